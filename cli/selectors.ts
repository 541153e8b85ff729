import type { Command } from 'commander';
import {
  type Filter,
  faultOf,
  filterFromQuery,
  filterSchema,
  IN_WORDS,
  labelKeySchema,
  STATUSES,
  splitLists,
} from '../shared/index.ts';
import { UsageError } from './usage-error.ts';

/** Flags that choose nodes, as commander makes them. */
export interface SelectorFlags {
  status?: string[];
  kind?: string[];
  label?: string[];
  location?: string;
  pool?: string;
  q?: string;
}

/** For a flag that may be repeated. */
export const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

/** The flags that choose nodes, alike wherever nodes are chosen. */
export function withSelectors(command: Command): Command {
  return command
    .option('--status <status>', `${STATUSES.join(', ')}; repeat it or separate by commas`, collect)
    .option('--kind <kind>', 'repeat it or separate by commas (\\, is a comma in a value)', collect)
    .option('-l, --label <key=value>', 'a label; several must all match', collect)
    .option('--location <place>', 'only nodes there')
    .option('--pool <pool>', 'only nodes of this pool')
    .option('-q, --q <text>', 'part of the hostname, id or address');
}

/** The filter that flags ask for. Throws `UsageError`, which names the flag. */
export function readFilter({ status = [], kind = [], label = [], ...single }: SelectorFlags): Filter {
  const { location, pool, q } = single;
  const query: Array<[string, string]> = [
    ...splitLists(status).map((value): [string, string] => ['status', value]),
    ...splitLists(kind).map((value): [string, string] => ['kind', value]),
    ...splitLists(label).map((value): [string, string] => ['label', labelOf(value)]),
  ];
  for (const [key, value] of Object.entries({ location, pool, q })) {
    if (value !== undefined) query.push([key, value]);
  }
  for (const [flag, values] of Object.entries({ status, kind, label })) {
    if (values.some((value) => value.trim() === '')) throw new UsageError(`--${flag} must not be empty`);
  }
  const read = filterSchema.safeParse(filterFromQuery(query), IN_WORDS);
  if (read.success) return read.data;
  const { path, message } = faultOf(read.error.issues[0]);
  const flag = String(path[0] ?? 'filter').replace(/^labels$/, 'label');
  throw new UsageError(`--${flag}: ${message}`);
}

function labelOf(text: string): string {
  const key = text.slice(0, Math.max(0, text.indexOf('=')));
  if (labelKeySchema.safeParse(key).success) return text;
  throw new UsageError(
    `--label ${JSON.stringify(text)}: write it as key=value (a comma in a value is written \\,)`,
  );
}
