import type { HubState } from '../../shared/index.ts';
import { type Cancel, type Clock, instant } from '../clock.ts';
import type { Log } from '../log.ts';
import type { FleetStore, HubLease } from '../store/fleet-store.ts';

/** A lease is renewed this many times in its life, so that one lost renewal does not end it. */
const RENEWALS = 3;

/**
 * This hub among the hubs: its lease, how many hold one, and whether it sees its store. A lease lasts half the
 * default timeout, so that it is known to be gone before the nodes of a dead hub fall silent.
 */
export class Presence {
  readonly leaseMs: number;
  readonly #store: FleetStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #lease: () => HubLease;
  readonly #listeners = new Set<(state: HubState) => void>();
  readonly #away = new Set<number>();
  #state: HubState;
  #sessionsElsewhere = 0;
  #addressesElsewhere: string[] = [];
  #cancel: Cancel = () => {};

  constructor(parts: { store: FleetStore; clock: Clock; log: Log; leaseMs: number; lease: () => HubLease }) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.leaseMs = parts.leaseMs;
    this.#lease = parts.lease;
    for (let shard = 0; shard < parts.store.shards; shard += 1) this.#away.add(shard);
    this.#state = { state: 'stale', since: instant(parts.clock.now()), hubs: 0 };
  }

  get state(): HubState {
    return this.#state;
  }

  /** Calls back when the state or the number of hubs changed. Returns its end. */
  listen(listener: (state: HubState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async start(): Promise<void> {
    await this.#renew();
    this.#cancel = this.#clock.every(Math.ceil(this.leaseMs / RENEWALS), () => this.renewNow());
  }

  /** Ends the lease: nodes whose heartbeat ends before they come back elsewhere are given one more timeout. */
  async stop(): Promise<void> {
    this.#cancel();
    this.#listeners.clear();
    await this.#store.dropLease(this.#lease().hubId).catch(() => {});
  }

  /**
   * Renews the lease: others may have missed it. Not where no part of the store answers: a lease says that this
   * hub's heartbeats are written, and a renewal may get through although its answer is lost.
   */
  renewNow(): void {
    if (this.#away.size < this.#store.shards) void this.#renew();
  }

  /** A shard came within reach, or went out of it. */
  reach(shard: number, reachable: boolean): void {
    if (reachable) this.#away.delete(shard);
    else this.#away.add(shard);
    const state = this.#away.size === 0 ? 'live' : 'stale';
    if (state === this.#state.state) return;
    if (state === 'stale') this.#log.warn({}, 'The store is out of reach; heartbeats wait, nobody is judged');
    else this.#log.info({}, 'The store is within reach');
    this.#change({ ...this.#state, state, since: instant(this.#clock.now()) });
    if (state === 'live') void this.#renew();
  }

  /** Sessions of the other hubs that hold a lease, as of the last look at them. */
  get sessionsElsewhere(): number {
    return this.#sessionsElsewhere;
  }

  /** Where the other hubs were that held a lease, as of the last look at them. */
  get addressesElsewhere(): readonly string[] {
    return this.#addressesElsewhere;
  }

  /** The ids of the hubs that hold a lease, this one among them. */
  async holders(): Promise<Set<string>> {
    const leases = await this.#store.leases();
    const { hubId: own, address: here } = this.#lease();
    this.#addressesElsewhere = [...new Set(leases.map(({ address }) => address))].filter((a) => a !== here);
    this.#sessionsElsewhere = leases.reduce(
      (sum, { hubId, sessions }) => (hubId === own ? sum : sum + sessions),
      0,
    );
    return new Set([...leases.map(({ hubId }) => hubId), own]);
  }

  async #renew(): Promise<void> {
    try {
      await this.#store.renewLease(this.#lease(), this.leaseMs);
      const { size } = await this.holders();
      if (size !== this.#state.hubs) this.#change({ ...this.#state, hubs: size });
    } catch (error) {
      this.#log.debug({ err: error }, 'Could not renew the lease');
    }
  }

  #change(state: HubState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}
