import type { HubState } from '../../shared/index.ts';
import { type Cancel, type Clock, instant } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { STALL_MS } from '../runtime/stall-watch.ts';
import type { FleetStore, HubLease } from '../store/fleet-store.ts';
import type { Sessions } from './sessions.ts';
import type { Shards } from './shards.ts';

/** A lease is renewed this many times in its life, so that one lost renewal does not end it. */
const RENEWALS = 3;

/**
 * This hub's membership among the hubs: its lease, the number of leases, and its contact with the store. A lease lasts
 * half the default timeout, so that its end is known before the nodes of a dead hub fall silent.
 */
export class Membership {
  readonly leaseMs: number;
  readonly #self: Omit<HubLease, 'sessions'>;
  readonly #store: FleetStore;
  readonly #shards: Shards;
  readonly #sessions: Sessions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #listeners = new Set<(state: HubState) => void>();
  readonly #away = new Set<number>();
  /** Hubs that hold a lease, as last read, with the hub time at which it ends unless it is renewed. */
  readonly #seen = new Map<string, { lease: HubLease; until: number }>();
  #hubs = 0;
  /** The newest step of the store's clock, which each shard detects by itself. */
  #step = { ms: 0, at: Number.NEGATIVE_INFINITY };
  #state: HubState;
  #sessionsElsewhere = 0;
  #addressesElsewhere: string[] = [];
  #cancel: Cancel = () => {};

  constructor(parts: {
    self: Omit<HubLease, 'sessions'>;
    store: FleetStore;
    shards: Shards;
    sessions: Sessions;
    clock: Clock;
    log: Log;
    leaseMs: number;
  }) {
    this.#self = parts.self;
    this.#store = parts.store;
    this.#shards = parts.shards;
    this.#sessions = parts.sessions;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.leaseMs = parts.leaseMs;
    for (const { index } of parts.shards.all) this.#away.add(index);
    this.#state = { state: 'stale', since: instant(parts.shards.now()), hubs: 0 };
  }

  get state(): HubState {
    return this.#state;
  }

  /** Calls back when the state or the number of hubs changed. Returns a function that ends it. */
  listen(listener: (state: HubState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async start(): Promise<void> {
    // The store's clock may have been set back while no hub ran.
    await this.#settle();
    await this.#renew();
    this.#cancel = this.#clock.every(Math.ceil(this.leaseMs / RENEWALS), () => this.renewNow());
  }

  /** Ends the lease: nodes whose heartbeats time out before they come back elsewhere get one more timeout. */
  async stop(): Promise<void> {
    this.#cancel();
    this.#listeners.clear();
    await this.#store.dropLease(this.#self.hubId).catch(() => {});
  }

  /**
   * Renews the lease: the other hubs may have missed it. Not if no part of the store answers: a lease promises that
   * this hub's heartbeats are written, and a renewal may arrive although its answer is lost.
   */
  renewNow(): void {
    if (this.#away.size < this.#store.shards) void this.#renew();
  }

  /**
   * The clock of a shard was set by this many milliseconds: a step forwards ends all leases at once, and one back
   * prolongs those of dead hubs. This hub's lease is renewed now, and the others get the time to renew theirs. Each
   * shard detects the same step by itself; the first one counts.
   */
  clockStepped(steppedMs: number): void {
    const now = this.#clock.now();
    if (now - this.#step.at <= STALL_MS && Math.abs(steppedMs - this.#step.ms) <= STALL_MS) return;
    this.#step = { ms: steppedMs, at: now };
    this.#log.warn({ steppedMs }, 'The clock of the store was set; this is not taken for silence');
    this.renewNow();
    // Listeners get the hub's time with the state.
    void this.#settle().then(() => this.#change(this.#state));
  }

  async #settle(): Promise<void> {
    try {
      await this.#store.settleLeases(this.leaseMs);
    } catch (error) {
      this.#log.debug({ err: error }, 'Could not put the leases right');
    }
  }

  /** A shard came within reach, or went out of it. */
  reach(shard: number, reachable: boolean): void {
    if (reachable) this.#away.delete(shard);
    else this.#away.add(shard);
    const state = this.#away.size === 0 ? 'live' : 'stale';
    if (state === this.#state.state) return;
    if (state === 'stale')
      this.#log.warn({}, 'The store is out of reach: heartbeats wait, and no node is expired');
    else this.#log.info({}, 'The store is within reach');
    this.#change({ ...this.#state, state, since: instant(this.#shards.now()) });
    if (state === 'live') void this.#renew();
  }

  /** Sessions of the other hubs that hold a lease, as last read. */
  get sessionsElsewhere(): number {
    return this.#sessionsElsewhere;
  }

  /** Addresses of the other hubs that hold a lease, as last read. */
  get addressesElsewhere(): readonly string[] {
    return this.#addressesElsewhere;
  }

  /**
   * The ids of the hubs that hold a lease, this one among them. By hub time a lease lasts for its stated time after it
   * was read: one that disappears earlier was dropped, or cut short by a step of the store's clock.
   */
  async holders(): Promise<Set<string>> {
    const askedAt = this.#clock.now();
    const held = await this.#store.leases();
    const now = this.#clock.now();
    for (const [hubId, { until }] of this.#seen) if (until <= now) this.#seen.delete(hubId);
    for (const { lease, leftMs } of held)
      this.#seen.set(lease.hubId, { lease, until: askedAt + Math.min(leftMs, this.leaseMs) });
    const { hubId: own, address: here } = this.#self;
    const stepped = now - this.#step.at < this.leaseMs;
    const others = (stepped ? [...this.#seen.values()] : held).filter(({ lease }) => lease.hubId !== own);
    this.#hubs = others.length + 1;
    const addresses = others.map(({ lease }) => lease.address);
    this.#addressesElsewhere = [...new Set(addresses)].filter((address) => address !== here);
    this.#sessionsElsewhere = others.reduce((sum, { lease }) => sum + lease.sessions, 0);
    return new Set(this.#seen.keys()).add(own);
  }

  async #renew(): Promise<void> {
    try {
      await this.#store.renewLease({ ...this.#self, sessions: this.#sessions.size }, this.leaseMs);
      await this.holders();
      if (this.#hubs !== this.#state.hubs) this.#change({ ...this.#state, hubs: this.#hubs });
    } catch (error) {
      this.#log.debug({ err: error }, 'Could not renew the lease');
    }
  }

  #change(state: HubState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}
