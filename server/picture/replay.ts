import type { Clock } from '../runtime/clock.ts';
import type { Slices } from '../runtime/slices.ts';
import { comparePositions, type FleetStore, type LogEntry, type Position } from '../store/fleet-store.ts';
import type { FleetView } from './fleet-view.ts';

/** How long a hub waits for its own view if a cursor from another hub is ahead of it. */
const VIEW_WAIT_MS = 1_000;
const VIEW_CHECK_MS = 20;
/** Log entries in one read. */
const ENTRIES_PER_READ = 500;

/** The log does not reach back to the start of the replay. */
export class ReplayGap extends Error {
  override name = 'ReplayGap';
}

export interface ReplayStep {
  entries: LogEntry[];
  /** The positions up to which everything has been read. */
  positions: Position[];
}

/** Whether one of these positions is ahead of the others. */
export function isAhead(positions: readonly Position[], others: readonly Position[]): boolean {
  return positions.some(({ at }, shard) => comparePositions(at, others[shard]?.at ?? at) > 0);
}

/** Waits until the view is as far as a cursor from another hub, which may have been ahead. False: it is not in time. */
export async function viewReaches(
  view: Pick<FleetView, 'positions'>,
  positions: readonly Position[],
  clock: Clock,
  isOver: () => boolean = () => false,
): Promise<boolean> {
  for (let waited = 0; isAhead(positions, view.positions()); waited += VIEW_CHECK_MS) {
    if (waited >= VIEW_WAIT_MS || isOver()) return false;
    await clock.sleep(VIEW_CHECK_MS);
  }
  return true;
}

/**
 * Reads the logs of all shards for a reader, in slices, from one vector of positions to another, in order per shard.
 * Throws `ReplayGap` if a log does not reach back that far, and `StoreAwayError`.
 */
export async function* replay(
  store: FleetStore,
  from: readonly Position[],
  upTo: readonly Position[],
  slices: Slices,
): AsyncGenerator<ReplayStep, void> {
  const positions = [...from];
  for (const [shard, target] of upTo.entries()) {
    for (let at = positions[shard]; at && needsReading(at, target); at = positions[shard]) {
      await slices.forReader();
      const entries = await store.replay(shard, at, target, ENTRIES_PER_READ);
      if (entries === 'gap') throw new ReplayGap(`the log of shard ${shard} does not reach back`);
      const last = entries.length < ENTRIES_PER_READ ? undefined : entries.at(-1);
      positions[shard] = last ? { epoch: at.epoch, at: last.at } : target;
      if (entries.length > 0) yield { entries, positions: [...positions] };
    }
  }
}

function needsReading(from: Position, target: Position): boolean {
  if (from.epoch !== target.epoch) throw new ReplayGap('the store lost data');
  return comparePositions(from.at, target.at) < 0;
}

/** Whether at most this many events lie between two vectors of positions. Throws as `replay` does. */
export async function isWithin(
  store: FleetStore,
  from: readonly Position[],
  upTo: readonly Position[],
  limit: number,
  slices: Slices,
): Promise<boolean> {
  let count = 0;
  for await (const { entries } of replay(store, from, upTo, slices)) {
    count += entries.length;
    if (count > limit) return false;
  }
  return true;
}
