import type { FleetEvent, FleetNode, HeartbeatTiming, HubState, LiveStats } from '../../shared/index.ts';
import type { FleetView } from '../picture/fleet-view.ts';
import { View } from '../picture/view.ts';
import { type Cancel, type Clock, instant } from '../runtime/clock.ts';
import { LimitedLog } from '../runtime/limited-log.ts';
import type { Log } from '../runtime/log.ts';
import { Places } from '../runtime/semaphore.ts';
import { Slices } from '../runtime/slices.ts';
import { STALL_MS, StallWatch } from '../runtime/stall-watch.ts';
import { type FleetStore, LostDataError, StoreAwayError } from '../store/fleet-store.ts';
import { ChangeBudget } from './change-budget.ts';
import { ConditionReports } from './condition-reports.ts';
import type { FleetContext } from './context.ts';
import { Follower } from './follower.ts';
import { Guardian } from './guardian.ts';
import { FLUSH_TURN_MS, flushTurns, Heartbeats } from './heartbeats.ts';
import { HttpAgents } from './http-agents.ts';
import { Presence } from './membership.ts';
import { Newcomers } from './newcomers.ts';
import { NodeCount } from './node-count.ts';
import { NodeWrites } from './node-writes.ts';
import { Pacing } from './pacing.ts';
import { Registrar } from './registrar.ts';
import { RestoredLog } from './restored-log.ts';
import { type LiveSession, Sessions } from './sessions.ts';

/** How often a hub may look at a shard without being rung for: silence is seen no later than that. */
const LOOK_INTERVAL_MS = 50;

/** Nodes that a fleet may have, where nothing else is given. */
const MAX_NODES = 100_000;
/** How often a hub without a view asks the store how many nodes there are; in between it counts what the log says. */
const RECOUNT_MS = 60_000;

/** Vouched heartbeats are checked after so long at the latest. */
const DOUBT_AFTER_MS = 5 * 60_000;

/** Answers of the event log that are made at a time: each may hold a thousand records. */
const HISTORIES_AT_A_TIME = 4;

export interface FleetOptions {
  hubId: string;
  /** Where other hubs and operators find this one; shown with its lease. */
  address: string;
  version: string;
  timing: HeartbeatTiming;
  /** The interval grows with the fleet, up to `longestMs`, so that it sends no more heartbeats a second than this. */
  pace?: { longestMs: number; perSecond: number };
  store: FleetStore;
  clock: Clock;
  log: Log;
  /** Whether agents need a token, but for those of an open dialect. Default false. */
  agentsNeedTokens?: boolean;
  /** What it keeps of the fleet; the whole of it where nothing else is given. */
  view?: FleetView;
  /** Beyond so many nodes no new one is registered. Default 100,000. */
  maxNodes?: number;
}

/**
 * One hub's part of the fleet: its live sessions, its view of all nodes, and its share of judging who is
 * silent. Sockets and requests come in through `registrar`, `heartbeat` and `node`; changes go out through
 * `view` and `presence`.
 */
export class Fleet {
  readonly view: FleetView;
  readonly sessions = new Sessions();
  readonly hubId: string;
  readonly presence: Presence;
  readonly pacing: Pacing;
  readonly registrar: Registrar;
  /** Agents that register and beat by requests. */
  readonly httpAgents: HttpAgents;
  readonly store: FleetStore;
  /** The turns that all long work of this hub takes. */
  readonly slices: Slices;
  /** Whether this hub stood still lately. */
  readonly stalls: StallWatch;
  readonly #context: FleetContext;
  readonly #histories = new Places(HISTORIES_AT_A_TIME);
  readonly #guardian: Guardian;
  readonly #heartbeats: Heartbeats;
  readonly #nodes: NodeCount;
  #followers: readonly Follower[] = [];
  /** The write of a shard's heartbeats that is under way. */
  readonly #flushing = new Map<number, Promise<void>>();
  readonly #ends: Cancel[] = [];
  readonly #limited: LimitedLog;
  readonly #restored: RestoredLog;
  /** The newest step of the store's clock that was told of. */
  #stepTold = { ms: 0, at: Number.NEGATIVE_INFINITY };
  /** Stalls of this hub that were told of. */
  #stallsTold = 0;
  /** When any part of the store answered last. */
  #heardAt: number;
  readonly #flushTurns: number;
  #flushTurn = 0;
  #flushedAt = Number.NEGATIVE_INFINITY;
  /** The shard whose turn it last was. */
  #doubted = 0;

  constructor(options: FleetOptions) {
    const { store, clock, log, timing, hubId } = options;
    this.store = store;
    this.hubId = hubId;
    this.slices = new Slices(clock);
    this.#limited = new LimitedLog(clock);
    this.#restored = new RestoredLog(clock, log);
    this.stalls = new StallWatch(LOOK_INTERVAL_MS);
    this.view = options.view ?? new View(store.shards, (id) => store.shardOf(id), clock, this.slices);
    this.#heartbeats = new Heartbeats(store.shards);
    this.#nodes = new NodeCount(this.view, store);
    const lease = () => ({
      hubId,
      address: options.address,
      sessions: this.sessions.size,
      version: options.version,
    });
    this.presence = new Presence({
      ...{ store, clock, log, lease },
      leaseMs: Math.floor(timing.timeoutMs / 2),
      storeNow: () => this.#followers[0]?.storeNow() ?? clock.wall(),
    });
    const storeNow = (nodeId: string) => this.#follower(nodeId)?.storeNow() ?? clock.wall();
    const context = {
      hubId,
      timing,
      store,
      clock,
      log,
      view: this.view,
      sessions: this.sessions,
      heartbeats: this.#heartbeats,
      presence: this.presence,
      agentsNeedTokens: options.agentsNeedTokens ?? false,
      stalls: this.stalls,
      storeNow,
      writes: new NodeWrites({ store, clock, now: storeNow }),
      budget: new ChangeBudget(),
      newcomers: new Newcomers(options.maxNodes ?? MAX_NODES, () => this.#nodes.value, clock.now()),
      usable: (nodeId: string) => this.#follower(nodeId)?.usable ?? false,
      doubt: (nodeId: string) => this.#follower(nodeId)?.doubt(),
    };
    this.pacing = new Pacing(context, options.pace);
    this.#context = { ...context, pacing: this.pacing };
    const conditions = new ConditionReports(this.#context);
    this.registrar = new Registrar(this.#context, conditions);
    this.#guardian = new Guardian(this.#context);
    this.httpAgents = new HttpAgents(this.#context, {
      registrar: this.registrar,
      conditions,
      merge: (unmerged) => this.#guardian.merge(unmerged),
    });
    this.#followers = Array.from({ length: store.shards }, (_, shard) => this.#newFollower(shard));
    this.#heardAt = clock.now();
    this.#flushTurns = flushTurns(timing.timeoutMs);
  }

  /** Loads the view and begins to follow, flush and judge. Throws `StoreAwayError` where the store is out of reach. */
  async start(): Promise<void> {
    const { clock, store } = this.#context;
    await this.presence.start();
    this.pacing.start();
    await Promise.all(this.#followers.map((follower) => follower.wake()));
    this.#heardAt = clock.now();
    this.stalls.turned(this.#heardAt);
    this.#ends.push(store.onPutAside((id) => void this.#putBack(id)));
    this.#ends.push(store.onBell((shard) => void this.#followers[shard]?.wake()));
    this.#ends.push(clock.every(LOOK_INTERVAL_MS, () => this.#beat()));
    await this.#nodes.recount().catch(() => {});
    this.#ends.push(clock.every(RECOUNT_MS, () => void this.#nodes.recount().catch(() => {})));
  }

  /** Writes what waits and ends. The nodes stay as they are: only their heartbeats judge them. */
  async stop(): Promise<void> {
    for (const end of this.#ends.splice(0)) end();
    this.pacing.stop();
    this.registrar.stop();
    await this.flush();
    await Promise.all(this.#followers.map((follower) => follower.end()));
    this.#restored.flush();
    await this.presence.stop();
    this.view.lists.drop();
  }

  /** True while every shard of the store is in reach, which none is before the view has loaded it. */
  get ready(): boolean {
    return this.presence.state.state === 'live';
  }

  /** The store's time, as far as this hub can tell: milliseconds since the epoch. */
  now(): number {
    return this.#followers[0]?.storeNow() ?? this.#context.clock.wall();
  }

  get state(): HubState {
    return this.presence.state;
  }

  /** The state, with the time at which it is told: a dashboard's own clock may be wrong. */
  datedState(): HubState {
    return { ...this.state, now: instant(this.now()) };
  }

  /** A ping of a live session, at a hub time that the caller may have read already. */
  heartbeat(session: LiveSession, now: number = this.#context.clock.now()): void {
    this.#heartbeats.note(session, now);
  }

  /** Whether any part of the store can be written to: while none can, new agents are sent away. */
  get admits(): boolean {
    return this.#followers.some((follower) => follower.usable);
  }

  /** Milliseconds since any part of the store answered. */
  unheardMs(now: number = this.#context.clock.now()): number {
    return Math.max(0, now - this.#heardAt);
  }

  /** For how long no part of the store has answered while this hub listened: while it stood still it heard nothing. */
  blindMs(now: number): number {
    return Math.min(this.unheardMs(now), this.stalls.awakeMs(now));
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
        // Right after a step of the store's clock it may last too long.
        if (beat)
          return [node.id, { ...beat.stats, lastHeartbeatAt: instant(beat.at + Math.min(0, beat.agoMs)) }];
        return [node.id, { lastHeartbeatAt: node.evidence.lastHeartbeatAt ?? null }];
      }),
    );
  }

  /** The newest events, newest first. Throws `StoreAwayError`. */
  history(request: { id?: string; limit: number }): Promise<FleetEvent[]> {
    return this.#histories.use(() => this.store.history(request));
  }

  /** Writes every waiting heartbeat now. */
  async flush(): Promise<void> {
    // What is under way was begun without the newest.
    await Promise.all(this.#flushing.values());
    await Promise.all(this.#followers.map(({ shard }) => this.#flush(shard)));
  }

  #beat(): void {
    const now = this.#context.clock.now();
    this.stalls.turned(now);
    const stalls = this.stalls.count(now);
    if (stalls !== this.#stallsTold) {
      this.#stallsTold = stalls;
      const fields = { lateMs: this.stalls.lastMs(now) };
      this.#context.log.warn(fields, 'This hub stalled; silence from before it judges nobody');
      this.presence.renewNow();
    }
    if (now - this.#flushedAt > FLUSH_TURN_MS - LOOK_INTERVAL_MS) this.#flushInTurn(now);
    for (const follower of this.#followers) if (follower.due(now)) void follower.wake();
    this.#doubtInTurn(now);
  }

  #flushInTurn(now: number): void {
    this.#flushedAt = now;
    this.#flushTurn = (this.#flushTurn + 1) % this.#flushTurns;
    for (let shard = this.#flushTurn; shard < this.#followers.length; shard += this.#flushTurns) {
      // Asked first: a flush that finds nothing makes a dozen objects.
      if (this.#followers[shard]?.usable && this.#heartbeats.someWait(shard)) void this.#flush(shard);
    }
  }

  /** Each shard's heartbeats are checked every five minutes even if nothing was heard: somebody may have deleted a record. */
  #doubtInTurn(now: number): void {
    const turn = Math.floor((now / DOUBT_AFTER_MS) * this.store.shards) % this.store.shards;
    if (turn === this.#doubted) return;
    this.#doubted = turn;
    this.#heartbeats.doubt(this.sessions.ofShard(turn));
  }

  /** What stood in the place of a node was put aside: this hub puts back what it knows of it. */
  async #putBack(id: string): Promise<void> {
    try {
      await this.#guardian.putBack(id);
    } catch (error) {
      this.#follower(id)?.doubt();
      this.#context.log.debug({ nodeId: id, err: error }, 'Could not put a node back');
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
        this.#limited.say('heartbeats', (more) =>
          this.#context.log.error({ err: error, shard, ...more }, 'Could not write heartbeats'),
        );
      }
    }
  }

  async #writeHeartbeats(shard: number): Promise<void> {
    const followed = this.#followers[shard]?.position;
    const now = this.#context.clock.now();
    const answer = await this.#heartbeats.flush(this.store, shard, now, followed);
    if (answer) this.#heardAt = this.#context.clock.now();
    if (answer === 'epoch') throw new LostDataError(`shard ${shard} lost its data`);
    await this.#guardian.answered(shard, answer);
  }

  /**
   * The store's clock was set: TTLs, which are moments of that clock, last longer or shorter than they should. Every
   * heartbeat that this hub knows of is written again, with what is left of it.
   */
  async #clockStepped(shard: number, steppedMs: number): Promise<void> {
    const { store, clock, log, timing } = this.#context;
    if (steppedMs !== 0) {
      const now = clock.now();
      if (now - this.#stepTold.at > STALL_MS || Math.abs(steppedMs - this.#stepTold.ms) > STALL_MS) {
        this.#stepTold = { ms: steppedMs, at: now };
        log.warn({ steppedMs }, 'The clock of the store was set; this is not taken for silence');
        this.presence.clockStepped();
      }
      this.#heartbeats.writeAgain(this.sessions.ofShard(shard));
      // What is under way was begun without them.
      await this.#flushing.get(shard);
      await this.#writeHeartbeats(shard);
    }
    await store.settleClock(shard, { steppedMs, defaultTimeoutMs: timing.timeoutMs });
  }

  #newFollower(shard: number): Follower {
    const { store, clock, log, view, timing } = this.#context;
    return new Follower(
      shard,
      {
        store,
        clock,
        log,
        view,
        slices: this.slices,
        limited: this.#limited,
        stalls: this.stalls,
        shortestTimeoutMs: timing.timeoutMs,
      },
      {
        lost: (of, { viewIsWhole, missedSome }) => {
          this.#heartbeats.doubt(this.sessions.ofShard(of));
          // The leases may be gone with the rest, and a hub without one looks dead to the others.
          this.presence.renewNow();
          if (missedSome) this.pacing.mayHaveMoved(this.sessions.ofShard(of));
          return this.#guardian.lost(of, viewIsWhole);
        },
        merge: (unmerged) => {
          this.#heardAt = clock.now();
          return this.#guardian.merge(unmerged);
        },
        restored: (of, count, why) => this.#restored.add(of, count, why),
        loaded: (of) => {
          this.#heardAt = clock.now();
          return this.#guardian.recheck(of);
        },
        recovered: async (of) => {
          this.#heartbeats.doubt(this.sessions.ofShard(of));
          await this.#writeHeartbeats(of);
          await this.#guardian.putBackRemovals(of);
          await this.pacing.recovered(of);
          await this.registrar.writeWaitingCloses(of);
        },
        followed: (entry) => {
          this.#context.budget.followed(entry.event, clock.now());
          this.#nodes.followed(entry.event);
          this.#guardian.followed(entry);
        },
        judge: (silent, storeSince, slowestMs) => this.#guardian.judge(silent, storeSince, slowestMs),
        heard: () => {
          this.#heardAt = clock.now();
        },
        clockStepped: (of, steppedMs) => this.#clockStepped(of, steppedMs),
        reach: (of, reachable) => this.presence.reach(of, reachable),
      },
    );
  }

  #follower(nodeId: string): Follower | undefined {
    return this.#followers[this.store.shardOf(nodeId)];
  }
}
