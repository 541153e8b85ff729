import { z } from 'zod';
import { foldText, idSchema, LIMITS, normalHostname } from '../../shared/index.ts';
import { UsageError } from '../usage-error.ts';
import type { ApiClient } from './api-client.ts';
import { CommandFailure, EXIT } from './failure.ts';
import { selectNodes } from './select.ts';

/** A node, as far as these commands look into it. */
const nodeSchema = z.looseObject({ id: z.string(), status: z.string() });
/** Nodes that are named where several match. */
const NAMED = 5;

/** What names a node on the command line. Throws `UsageError`. */
export function readReference(text: string): string {
  if (text.trim() === '')
    throw new UsageError('a node is named by its id, its host name or the beginning of one');
  if (text.length > LIMITS.nameLength)
    throw new UsageError(`no id and no host name is longer than ${LIMITS.nameLength} characters`);
  return text;
}

/** The path of a node. */
export const nodePath = (id: string): string => `/api/v1/nodes/${encodeURIComponent(id)}`;

/**
 * The node that is meant by an id, a host name or the beginning of either; the case matters in ids only. Throws
 * a `CommandFailure`: `none` where there is no such node, `usage` where there are several.
 */
export async function getNode(api: ApiClient, reference: string): Promise<z.output<typeof nodeSchema>> {
  if (idSchema.safeParse(reference).success) {
    try {
      return await api.get(nodePath(reference), nodeSchema);
    } catch (error) {
      if (!(error instanceof CommandFailure) || error.exitCode !== EXIT.none) throw error;
    }
  }
  return api.get(nodePath(await idOf(api, reference)), nodeSchema);
}

async function idOf(api: ApiClient, reference: string): Promise<string> {
  const q = reference.trim();
  const found = await selectNodes(api, { q }, {}, ['hostname']);
  const choice = chooseNode(q, found);
  if (choice.kind === 'one') return choice.id;
  if (choice.kind === 'none') throw new CommandFailure(EXIT.none, `there is no node ${q}`);
  throw severalNodes(q, choice.rows);
}

/** What is said where a reference may mean several nodes. */
export function severalNodes(reference: string, rows: readonly NamedNode[]): CommandFailure {
  const names = rows
    .slice(0, NAMED)
    .map(({ id, hostname }) => (hostname === id ? id : `${hostname} (${id})`));
  const more = rows.length > NAMED ? ` and ${rows.length - NAMED} more` : '';
  return new CommandFailure(
    EXIT.usage,
    `${reference} may be ${rows.length} nodes: ${names.join(', ')}${more}; write more of it`,
  );
}

type NamedNode = { id: string; hostname?: string | undefined };
type Choice =
  | { kind: 'one'; id: string }
  | { kind: 'none' }
  | { kind: 'several'; rows: readonly NamedNode[] };

/** A whole host name comes before the beginning of one. */
export function chooseNode(reference: string, rows: readonly NamedNode[]): Choice {
  const name = foldText(reference);
  const spelling = normalHostname(reference);
  const texts = rows.map((row) => ({ row, hostname: foldText(row.hostname ?? ''), id: row.id }));
  const whole = texts.filter(({ hostname }) => normalHostname(hostname) === spelling);
  const matching =
    whole.length > 0
      ? whole
      : texts.filter(({ hostname, id }) => hostname.startsWith(name) || id.startsWith(reference));
  const [first, ...others] = matching.map(({ row }) => row);
  if (first === undefined) return { kind: 'none' };
  return others.length === 0 ? { kind: 'one', id: first.id } : { kind: 'several', rows: [first, ...others] };
}
