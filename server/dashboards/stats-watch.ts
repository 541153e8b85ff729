import type { FleetNode, LiveStats } from '../../shared/index.ts';
import type { FleetReader } from '../fleet/ports.ts';
import type { Cancel, Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { LostDataError, StoreAwayError } from '../store/fleet-store.ts';

/** The shortest time between two reads of live figures. */
const READ_EVERY_MS = 1_000;

/** A dashboard that watches the live figures of some nodes. */
export interface StatsWatcher {
  /** Sends the changed figures. False if the dashboard cannot take more now: it gets the newest later. */
  sendStats(stats: Record<string, LiveStats>): boolean;
}

/** Reads the live figures of all nodes that any dashboard of this hub watches, in one call a second. */
export class StatsWatch {
  readonly #fleet: FleetReader;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #watchers = new Map<StatsWatcher, Watched>();
  #resting: Cancel | undefined;
  #reading = false;

  constructor({ fleet, clock, log }: { fleet: FleetReader; clock: Clock; log: Log }) {
    this.#fleet = fleet;
    this.#clock = clock;
    this.#log = log;
  }

  /** Watches these nodes from now on, instead of the ones before. An empty list ends watching. */
  watch(watcher: StatsWatcher, ids: readonly string[]): void {
    if (ids.length === 0) {
      this.#watchers.delete(watcher);
      return;
    }
    this.#watchers.set(watcher, { ids: [...new Set(ids)], sent: new Map() });
    if (!this.#resting) void this.#read();
  }

  close(): void {
    this.#watchers.clear();
    this.#resting?.();
    this.#resting = undefined;
  }

  async #read(): Promise<void> {
    if (this.#reading || this.#watchers.size === 0) return;
    this.#reading = true;
    this.#resting = this.#clock.after(READ_EVERY_MS, () => {
      this.#resting = undefined;
      void this.#read();
    });
    try {
      const found = await this.#fleet.stats(this.#watchedNodes());
      const figures = new Map(
        Array.from(found, ([id, stats]) => [id, { stats, json: JSON.stringify(stats) }]),
      );
      const { slices } = this.#fleet;
      for (const [watcher, watched] of [...this.#watchers]) {
        if (slices.over()) await slices.forReader();
        if (this.#watchers.get(watcher) === watched) sendChanged(watcher, watched, figures);
      }
    } catch (error) {
      // Without the store there are no new figures; the next read may bring some.
      if (!(error instanceof StoreAwayError) && !(error instanceof LostDataError)) {
        this.#log.error({ err: error }, 'Could not read live figures');
      }
    } finally {
      this.#reading = false;
      // The read took longer than the interval: go on with the next.
      if (!this.#resting) void this.#read();
    }
  }

  #watchedNodes(): FleetNode[] {
    const nodes = new Map<string, FleetNode>();
    for (const { ids } of this.#watchers.values()) {
      for (const id of ids) {
        const node = nodes.has(id) ? undefined : this.#fleet.view.get(id)?.node;
        if (node) nodes.set(id, node);
      }
    }
    return [...nodes.values()];
  }
}

function sendChanged(
  watcher: StatsWatcher,
  { ids, sent }: Watched,
  figures: ReadonlyMap<string, { stats: LiveStats; json: string }>,
): void {
  const changed: Array<[id: string, stats: LiveStats, json: string]> = [];
  for (const id of ids) {
    const figure = figures.get(id);
    if (figure && figure.json !== sent.get(id)) changed.push([id, figure.stats, figure.json]);
  }
  if (changed.length === 0) return;
  // Own properties only: an id may be a name such as `constructor`.
  if (!watcher.sendStats(Object.fromEntries(changed.map(([id, stats]) => [id, stats])))) return;
  for (const [id, , json] of changed) sent.set(id, json);
}

interface Watched {
  ids: readonly string[];
  /** The last figures sent of each node, as JSON. */
  sent: Map<string, string>;
}
