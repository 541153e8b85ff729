import type { FleetEvent, FleetNode, HeartbeatTiming, HubState, LiveStats } from '../../shared/index.ts';
import { type Cancel, type Clock, instant } from '../clock.ts';
import type { Log } from '../log.ts';
import { type FleetStore, LostDataError, StoreAwayError } from '../store/fleet-store.ts';
import { ConditionReports } from './condition-reports.ts';
import type { FleetContext } from './context.ts';
import { Follower, STALL_MS } from './follower.ts';
import { FLUSH_INTERVAL_MS, Guardian } from './guardian.ts';
import { Heartbeats } from './heartbeats.ts';
import { HttpAgents } from './http-agents.ts';
import { Presence } from './presence.ts';
import { Registrar } from './registrar.ts';
import { type LiveSession, Sessions } from './sessions.ts';
import { View } from './view.ts';

export interface FleetOptions {
  hubId: string;
  /** Where other hubs and operators find this one; shown with its lease. */
  address: string;
  version: string;
  timing: HeartbeatTiming;
  store: FleetStore;
  clock: Clock;
  log: Log;
}

/**
 * One hub's part of the fleet: its live sessions, its view of all nodes, and its share of judging who is
 * silent. Sockets and requests come in through `registrar`, `heartbeat` and `node`; changes go out through
 * `view` and `presence`.
 */
export class Fleet {
  readonly view: View;
  readonly sessions = new Sessions();
  readonly hubId: string;
  readonly presence: Presence;
  readonly registrar: Registrar;
  /** Agents that register and beat by requests. */
  readonly httpAgents: HttpAgents;
  readonly store: FleetStore;
  readonly #context: FleetContext;
  readonly #guardian: Guardian;
  readonly #heartbeats: Heartbeats;
  readonly #followers: Follower[];
  /** The write of a shard's heartbeats that is under way. */
  readonly #flushing = new Map<number, Promise<void>>();
  readonly #ends: Cancel[] = [];
  /** How far the store's clock is ahead of ours. */
  #storeAheadMs = 0;
  #beatAt: number;

  constructor(options: FleetOptions) {
    const { store, clock, log, timing, hubId } = options;
    this.store = store;
    this.hubId = hubId;
    this.view = new View(store.shards, (id) => store.shardOf(id), clock);
    this.#heartbeats = new Heartbeats(store.shards);
    const lease = () => ({
      hubId,
      address: options.address,
      sessions: this.sessions.size,
      version: options.version,
    });
    this.presence = new Presence({ store, clock, log, leaseMs: Math.floor(timing.timeoutMs / 2), lease });
    this.#context = {
      hubId,
      timing,
      store,
      clock,
      log,
      view: this.view,
      sessions: this.sessions,
      heartbeats: this.#heartbeats,
      presence: this.presence,
      storeNow: () => clock.now() + this.#storeAheadMs,
      usable: (nodeId) => this.#follower(nodeId)?.usable ?? false,
      doubt: (nodeId) => this.#follower(nodeId)?.doubt(),
    };
    const conditions = new ConditionReports(this.#context);
    this.registrar = new Registrar(this.#context, conditions);
    this.#guardian = new Guardian(this.#context);
    this.httpAgents = new HttpAgents(this.#context, {
      registrar: this.registrar,
      conditions,
      merge: (unmerged) => this.#guardian.merge(unmerged),
    });
    this.#followers = Array.from({ length: store.shards }, (_, shard) => this.#newFollower(shard));
    this.#beatAt = clock.now();
  }

  /** Loads the view and begins to follow, flush and judge. Throws `StoreAwayError` where the store is out of reach. */
  async start(): Promise<void> {
    const { clock, store } = this.#context;
    await this.presence.start();
    await Promise.all(this.#followers.map((follower) => follower.wake()));
    this.#beatAt = clock.now();
    this.#ends.push(store.onBell((shard) => void this.#followers[shard]?.wake()));
    this.#ends.push(clock.every(FLUSH_INTERVAL_MS, () => this.#beat()));
  }

  /** Writes what waits and ends. The nodes stay as they are: only their heartbeats judge them. */
  async stop(): Promise<void> {
    for (const end of this.#ends.splice(0)) end();
    await this.flush();
    await Promise.all(this.#followers.map((follower) => follower.end()));
    await this.presence.stop();
    this.view.lists.drop();
  }

  /** True while the view is loaded and every shard of the store is in reach. */
  get ready(): boolean {
    return this.view.loaded && this.presence.state.state === 'live';
  }

  /** The store's time, as far as this hub can tell: milliseconds since the epoch. */
  now(): number {
    return this.#context.storeNow();
  }

  get state(): HubState {
    return this.presence.state;
  }

  /** A ping of a live session, at a hub time that the caller may have read already. */
  heartbeat(session: LiveSession, now: number = this.#context.clock.now()): void {
    this.#heartbeats.note(session, now);
  }

  /** Whether any part of the store can be written to: while none can, new agents are sent away. */
  get admits(): boolean {
    return this.#followers.some((follower) => follower.usable);
  }

  /** A node as this hub sees it, or as the store has it where the view does not know it yet. */
  async node(id: string): Promise<FleetNode | undefined> {
    const seen = this.view.get(id);
    if (seen) return seen.node;
    const stored = await this.store.read(id);
    return stored.kind === 'node' ? stored.record.node : undefined;
  }

  /** The live figures of nodes, and when they last beat. Throws `StoreAwayError`. */
  async stats(nodes: readonly FleetNode[]): Promise<Map<string, LiveStats>> {
    const asked = nodes.map(({ id, heartbeat }) => ({ id, timeoutMs: heartbeat.timeoutMs }));
    const found = await this.store.stats(asked);
    return new Map(
      nodes.map((node): [string, LiveStats] => {
        const beat = found.get(node.id);
        if (beat) return [node.id, { ...beat.stats, lastHeartbeatAt: instant(beat.at) }];
        return [node.id, { lastHeartbeatAt: node.evidence.lastHeartbeatAt ?? null }];
      }),
    );
  }

  /** The newest events, newest first. Throws `StoreAwayError`. */
  history(request: { id?: string; limit: number }): Promise<FleetEvent[]> {
    return this.store.history(request);
  }

  /** Writes every waiting heartbeat now. */
  async flush(): Promise<void> {
    // What is under way was begun without the newest.
    await Promise.all(this.#flushing.values());
    await Promise.all(this.#followers.map(({ shard }) => this.#flush(shard)));
  }

  #beat(): void {
    const now = this.#context.clock.now();
    const late = now - this.#beatAt - FLUSH_INTERVAL_MS;
    this.#beatAt = now;
    if (late > STALL_MS) {
      this.#context.log.warn({ lateMs: late }, 'This hub stalled; silence from before it judges nobody');
      for (const follower of this.#followers) follower.stalled();
      this.presence.renewNow();
    }
    for (const follower of this.#followers) {
      if (follower.usable) void this.#flush(follower.shard);
      void follower.wake();
    }
  }

  #flush(shard: number): Promise<void> {
    const running = this.#flushing.get(shard);
    if (running) return running;
    const flushing = this.#tryToWrite(shard).finally(() => this.#flushing.delete(shard));
    this.#flushing.set(shard, flushing);
    return flushing;
  }

  async #tryToWrite(shard: number): Promise<void> {
    try {
      await this.#writeHeartbeats(shard);
    } catch (error) {
      this.#followers[shard]?.doubt();
      if (!(error instanceof StoreAwayError) && !(error instanceof LostDataError)) {
        this.#context.log.error({ err: error, shard }, 'Could not write heartbeats');
      }
    }
  }

  async #writeHeartbeats(shard: number): Promise<void> {
    const answer = await this.#heartbeats.flush(this.store, shard, this.#context.clock.now());
    if (answer === 'epoch') throw new LostDataError(`shard ${shard} lost its data`);
    await this.#guardian.answered(shard, answer);
  }

  #newFollower(shard: number): Follower {
    const { store, clock, log, view, timing } = this.#context;
    return new Follower(
      shard,
      { store, clock, log, view, shortestTimeoutMs: timing.timeoutMs },
      {
        lost: (of, viewIsWhole) => {
          // The leases may be gone with the rest, and a hub without one looks dead to the others.
          this.presence.renewNow();
          return this.#guardian.lost(of, viewIsWhole);
        },
        merge: (unmerged) => this.#guardian.merge(unmerged),
        recovered: async (of) => {
          await this.#writeHeartbeats(of);
          await this.registrar.writeWaitingCloses(of);
        },
        followed: (entry) => this.#guardian.followed(entry),
        judge: (silent, storeSince) => this.#guardian.judge(silent, storeSince),
        time: (storeNow) => {
          this.#storeAheadMs = storeNow - clock.now();
        },
        reach: (of, reachable) => this.presence.reach(of, reachable),
      },
    );
  }

  #follower(nodeId: string): Follower | undefined {
    return this.#followers[this.store.shardOf(nodeId)];
  }
}
