import { LIMITS } from './limits.ts';
import type { Condition, NodeStats } from './node.ts';
import type { Dropped } from './salvage.ts';

const SEVERITIES = ['fail', 'warn', 'ok'] as const satisfies ReadonlyArray<Condition['status']>;

const severity = ({ status }: Condition): number => SEVERITIES.indexOf(status);

/**
 * Types of conditions that were reported and cannot be read, or `all` where the list itself cannot. What is known of
 * them stays: a report that cannot be read clears nothing.
 */
export type Unread = ReadonlySet<string> | 'all';

/** Stats with one condition of each type, and what of the conditions in the raw stats they come from is not in them. */
export interface ReadStats {
  stats: NodeStats;
  unread?: Unread;
}

/**
 * Reduces the conditions of stats to one of each type, and names the types that came more than once in `dropped`. `raw`
 * is what the stats were read from, where something of it was dropped.
 */
export function readConditions(stats: NodeStats, dropped: Dropped[], raw?: unknown): ReadStats {
  const { conditions } = stats;
  const unread = raw === undefined ? undefined : unreadOf(raw, conditions);
  const single = conditions && onePerType(conditions);
  if (single === conditions) return { stats, ...(unread && { unread }) };
  for (const { type } of single ?? [])
    if ((conditions ?? []).filter((other) => other.type === type).length > 1)
      dropped.push({
        code: 'invalid',
        path: 'stats.conditions',
        message: `has ${type} more than once: the worst of them counts`,
      });
  return { stats: { ...stats, ...(single && { conditions: single }) }, ...(unread && { unread }) };
}

function unreadOf(raw: unknown, read: readonly Condition[] | undefined): Unread | undefined {
  if (typeof raw !== 'object' || raw === null || !('conditions' in raw)) return undefined;
  if (!read || !Array.isArray(raw.conditions)) return 'all';
  const types = new Set<string>();
  for (const entry of raw.conditions) {
    const type = typeOf(entry);
    if (type !== undefined && !isRead(entry)) types.add(type);
  }
  return types.size > 0 ? types : undefined;
}

const statuses: ReadonlySet<unknown> = new Set(SEVERITIES);

const typeOf = (entry: unknown): string | undefined =>
  typeof entry === 'object' && entry !== null && 'type' in entry && typeof entry.type === 'string'
    ? entry.type
    : undefined;

const isRead = (entry: unknown): boolean =>
  typeof entry === 'object' && entry !== null && 'status' in entry && statuses.has(entry.status);

/** The worst condition of each type, the first of equals. The list itself where no type comes twice. */
function onePerType(conditions: Condition[]): Condition[] {
  if (conditions.length < 2) return conditions;
  const worst = new Map<string, Condition>();
  for (const condition of conditions) {
    const other = worst.get(condition.type);
    if (!other || severity(condition) < severity(other)) worst.set(condition.type, condition);
  }
  return worst.size === conditions.length ? conditions : [...worst.values()];
}

/** A report, with what was known before of the types that cannot be read in it; the worst of them where they are too many. */
export function withUnread(
  reported: Condition[],
  unread: ReadonlySet<string> | undefined,
  before: readonly Condition[],
): Condition[] {
  if (!unread) return reported;
  const all = onePerType([...reported, ...before.filter(({ type }) => unread.has(type))]);
  if (all.length <= LIMITS.conditions) return all;
  return all.toSorted((a, b) => severity(a) - severity(b)).slice(0, LIMITS.conditions);
}
