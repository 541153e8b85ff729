import { type Change, type FleetStore, LostDataError, type Stored } from '../store/fleet-store.ts';
import type { Stamp } from './transition.ts';

/** Somebody else may write between a read and a commit so often before we give up. */
const ATTEMPTS = 8;

export type Settled =
  | { kind: 'done'; change: Change }
  /** There was nothing to change. */
  | { kind: 'nothing'; stored: Stored }
  /** The heartbeat that was thought gone is there. */
  | { kind: 'still-beating' }
  /** Others wrote this node in between, every time. */
  | { kind: 'contended' };

export type Decide = (stored: Stored, stamp: Stamp) => Change | undefined;

/**
 * Decides on what is stored and commits, and where another hub came between, reads and decides again.
 * `known` spares the first read where the caller already holds the newest record. Throws `StoreAwayError`
 * and `LostDataError`.
 */
export async function settle(
  store: FleetStore,
  id: string,
  now: () => number,
  decide: Decide,
  known?: Stored,
): Promise<Settled> {
  let stored = known ?? (await store.read(id));
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const change = decide(stored, { now: now(), changeId: store.newChangeId() });
    if (!change) return { kind: 'nothing', stored };
    const outcome = await store.commit(change);
    switch (outcome) {
      case 'done':
        return { kind: 'done', change };
      case 'still-beating':
        return { kind: 'still-beating' };
      case 'epoch':
        throw new LostDataError(`the shard of ${id} lost its data`);
      case 'conflict':
        stored = await store.read(id);
        break;
      default:
        return outcome satisfies never;
    }
  }
  return { kind: 'contended' };
}
