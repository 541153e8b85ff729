import type { z } from 'zod';
import { faultOf, IN_WORDS } from './issue-words.ts';
import { jsonBytes } from './json.ts';
import { LIMITS } from './limits.ts';
import type { NodeStats } from './node.ts';
import { printable } from './text.ts';

/** A field that was dropped, and why; the rest of its message counts. */
export interface Dropped {
  code: 'invalid' | 'too_large';
  path: string;
  message: string;
}

export type Salvaged<T> =
  | { ok: true; data: T; dropped: Dropped[] }
  /** What cannot be done without is wrong. */
  | { ok: false; fault: Dropped };

/** A schema of zod, compiled or not. */
interface Reader<T> {
  safeParse(
    value: unknown,
    params: typeof IN_WORDS,
  ): { success: true; data: T } | { success: false; error: z.ZodError };
}

type Path = ReadonlyArray<PropertyKey>;

/** So often what is wrong is dropped as deep as it lies; from then on the whole field, so that there is an end. */
const DEEP_PASSES = 8;
/** More fields than any message has. */
const PASSES = 32;
const MOST_TEXT = 256;

/**
 * Reads a value field by field: what is wrong is dropped, as little of it as can be (an entry of a list, one label), and
 * the rest is read. Refused where one of the `required` paths is wrong. Leaves the value as it is.
 */
export function salvage<T>(
  reader: Reader<T>,
  value: unknown,
  required: ReadonlySet<string> = new Set(),
): Salvaged<T> {
  const dropped = new Map<string, Dropped>();
  let rest = value;
  for (let pass = 0; pass < PASSES; pass += 1) {
    const result = reader.safeParse(rest, IN_WORDS);
    if (result.success) return { ok: true, data: result.data, dropped: [...dropped.values()] };
    const before = rest;
    const copier = new Copier();
    for (const issue of result.error.issues) {
      const named = nameOf(issue);
      const path = pass < DEEP_PASSES ? issue.path : issue.path.slice(0, depthOf(issue.path, required));
      // As it was when it was read: another fault of this pass may have cost the field that this one lies in.
      const where = existing(before, path);
      if (where.length === 0 || required.has(pathText(where))) return { ok: false, fault: named };
      if (path.length < issue.path.length) nameWhole(dropped, { ...named, path: pathText(where) });
      else if (!dropped.has(named.path)) dropped.set(named.path, named);
      rest = copier.without(rest, where, mostOf(issue));
    }
    copier.end();
  }
  return { ok: false, fault: { code: 'invalid', path: '', message: 'has more faults than can be named' } };
}

/** The whole field goes: it is named in the place of its parts. */
function nameWhole(dropped: Map<string, Dropped>, { code, path }: Dropped): void {
  for (const part of dropped.keys()) if (part.startsWith(`${path}.`)) dropped.delete(part);
  dropped.set(path, { code, path, message: 'has more faults than are dropped one by one' });
}

/** What is wrong, for people and programs: of a bounded length. */
export function nameOf(issue: z.core.$ZodIssue): Dropped {
  const { path, message } = faultOf(issue);
  return {
    code: 'invalid',
    path: printable(pathText(path)).slice(0, MOST_TEXT),
    message: message.slice(0, MOST_TEXT),
  };
}

/** The first of what was dropped, of which the last says how many more there are. */
export function namedOf(dropped: readonly Dropped[]): Dropped[] {
  const named = dropped.slice(0, LIMITS.namedFaults);
  const left = dropped.length - named.length;
  const last = named.at(-1);
  if (left === 0 || !last) return named;
  return [
    ...named.slice(0, -1),
    { ...last, message: `${last.message}; and ${left} more fields are dropped` },
  ];
}

const pathText = (path: Path): string => path.map(String).join('.');

/** How much of a path names the first thing that is not required. */
function depthOf(path: Path, required: ReadonlySet<string>): number {
  let depth = 1;
  while (depth < path.length && required.has(pathText(path.slice(0, depth)))) depth += 1;
  return depth;
}

/** How many entries a list or map may have, where it has more. */
function mostOf(issue: z.core.$ZodIssue): number | undefined {
  if (issue.code === 'too_big' && issue.origin === 'array') return Number(issue.maximum);
  const most: unknown = issue.code === 'custom' ? issue.params?.maximum : undefined;
  return typeof most === 'number' ? most : undefined;
}

const isKeyed = (value: unknown): value is Record<PropertyKey, unknown> =>
  typeof value === 'object' && value !== null;

/** The part of a path that is there: a field that is missing is a fault of what should have it. */
function existing(value: unknown, path: Path): Path {
  let current = value;
  for (const [depth, key] of path.entries()) {
    if (!isKeyed(current) || !Object.hasOwn(current, key)) return path.slice(0, depth);
    current = current[key];
  }
  return path;
}

/** Takes parts out of a value. Copies each list and object that it changes, once. */
class Copier {
  readonly #own = new Set<unknown>();
  readonly #lists = new Set<unknown[]>();

  /** The value without what lies at the path, or with no more than `most` entries of it. */
  without(value: unknown, [key, ...deeper]: Path, most: number | undefined): unknown {
    if (key === undefined || !isKeyed(value))
      return most === undefined || value === undefined ? HOLE : cut(value, most);
    const copy = this.#copy(value);
    const left = this.without(copy[key], deeper, most);
    // The places of a list stay until all faults of this pass are out.
    if (left === HOLE && !Array.isArray(copy)) delete copy[key];
    else copy[key] = left;
    return copy;
  }

  /** Closes the gaps in lists. */
  end(): void {
    for (const list of this.#lists) list.splice(0, list.length, ...list.filter((entry) => entry !== HOLE));
  }

  #copy(value: Record<PropertyKey, unknown>): Record<PropertyKey, unknown> {
    if (this.#own.has(value)) return value;
    const copy = Array.isArray(value) ? this.#copyList(value) : { ...value };
    this.#own.add(copy);
    return copy;
  }

  #copyList(value: unknown[]): Record<PropertyKey, unknown> & unknown[] {
    const list: Record<PropertyKey, unknown> & unknown[] = Object.assign([...value]);
    this.#lists.add(list);
    return list;
  }
}

const HOLE = Symbol('dropped');

const severity = (entry: unknown): number => {
  const status = isKeyed(entry) ? entry.status : undefined;
  return status === 'fail' ? 0 : status === 'warn' ? 1 : 2;
};

function cut(value: Record<PropertyKey, unknown> | unknown, most: number): unknown {
  // The worst of what has a status, such as conditions; of all else the first.
  if (Array.isArray(value)) return value.toSorted((a, b) => severity(a) - severity(b)).slice(0, most);
  return isKeyed(value) ? Object.fromEntries(Object.entries(value).slice(0, most)) : value;
}

const tooLarge = (path: string, limit: number): Dropped => ({
  code: 'too_large',
  path,
  message: `is dropped: without it ${path.split('.', 1)[0]} has at most ${limit} bytes`,
});

/** Takes the least important out of stats until they have at most 8 KiB as JSON; what speaks for the status goes last. */
export function fitStats(stats: NodeStats): { stats: NodeStats; dropped: Dropped[] } {
  const dropped: Dropped[] = [];
  let rest = stats;
  for (const field of ['metrics', 'pools', 'at', 'messages', 'conditions'] as const) {
    if (jsonBytes(rest) <= LIMITS.statsBytes) break;
    if (field === 'messages') {
      if (!rest.conditions?.some(({ message }) => message !== undefined)) continue;
      rest = { ...rest, conditions: rest.conditions.map(({ type, status }) => ({ type, status })) };
      dropped.push(tooLarge('stats.conditions.message', LIMITS.statsBytes));
    } else if (rest[field] !== undefined) {
      const { [field]: _, ...others } = rest;
      rest = others;
      dropped.push(tooLarge(`stats.${field}`, LIMITS.statsBytes));
    }
  }
  return { stats: rest, dropped };
}

/** Takes parts out of a raw node until it has at most 32 KiB as JSON: the largest that can be missed first. */
export function fitNode(node: unknown): { node: unknown; dropped: Dropped[] } {
  if (!isKeyed(node) || Array.isArray(node)) return { node, dropped: [] };
  const dropped: Dropped[] = [];
  let rest = node;
  while (jsonBytes(rest) > LIMITS.nodeBytes) {
    const [largest] = Object.keys(rest)
      .filter((key) => key !== 'hostname' && key !== 'nodeId')
      .map((key) => ({ key, bytes: jsonBytes(rest[key] ?? null) }))
      .sort((a, b) => b.bytes - a.bytes);
    if (largest === undefined) break;
    const { [largest.key]: _, ...others } = rest;
    rest = others;
    dropped.push(tooLarge(`node.${largest.key}`, LIMITS.nodeBytes));
  }
  return { node: rest, dropped };
}
