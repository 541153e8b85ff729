import type { FleetNode, Status } from '../../shared/index.ts';
import type { Clock } from '../runtime/clock.ts';
import { Slices } from '../runtime/slices.ts';
import type { LogEntry, NodeRecord, Position } from '../store/fleet-store.ts';
import type { FleetView } from './fleet-view.ts';
import { NodeLists } from './node-lists.ts';
import { Tombstones } from './tombstones.ts';

/**
 * The view of a hub that serves agents only: it keeps no node, so that such a hub does not grow with the fleet. It
 * keeps removals, so that a removal lasts that only this hub saw. The state of the hub's own nodes is in their
 * sessions; for any other node the store is asked.
 */
export class NoView implements FleetView {
  readonly keepsRecords = false;
  readonly lists: NodeLists;
  readonly size = 0;
  readonly loaded = false;

  readonly tombstones: Tombstones;

  constructor(clock: Clock, shards: number) {
    this.lists = new NodeLists(this, clock, new Slices(clock));
    this.tombstones = new Tombstones(shards);
  }

  positions(): Position[] {
    return [];
  }

  ids(): string[] {
    return [];
  }

  get(): undefined {
    return undefined;
  }

  /** Only the store knows: a missing record here means nothing. */
  stored(): undefined {
    return undefined;
  }

  find(): Promise<FleetNode[]> {
    return Promise.resolve([]);
  }

  countByStatus(): Record<Status, number> {
    return { online: 0, degraded: 0, unreachable: 0, offline: 0 };
  }

  recordsOf(): NodeRecord[] {
    return [];
  }

  listen(): () => void {
    return () => {};
  }

  load(): Promise<void> {
    return Promise.resolve();
  }

  retime(): undefined {
    return undefined;
  }

  advance(): void {}

  /** Versions are not known, so none is missed: after a loss or a gap each session's node is read again. */
  apply(shard: number, { event }: LogEntry): 'applied' {
    if (event.type === 'removed') this.tombstones.remember(shard, event);
    else this.tombstones.returned(shard, event.node);
    return 'applied';
  }

  /** No client could read the write here. */
  waitFor(): Promise<void> {
    return Promise.resolve();
  }
}
