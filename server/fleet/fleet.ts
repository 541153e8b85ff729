import type {
  FleetEvent,
  FleetNode,
  HeartbeatTiming,
  HubState,
  LiveStats,
  ReadStats,
  Register,
} from '../../shared/index.ts';
import type { FleetView } from '../picture/fleet-view.ts';
import { View } from '../picture/view.ts';
import type { Closing } from '../rules/liveness.ts';
import { type Cancel, type Clock, instant } from '../runtime/clock.ts';
import { LimitedLog } from '../runtime/limited-log.ts';
import type { Log } from '../runtime/log.ts';
import { Semaphore } from '../runtime/semaphore.ts';
import { Slices } from '../runtime/slices.ts';
import { StallWatch } from '../runtime/stall-watch.ts';
import type { FleetStore, HubLease } from '../store/fleet-store.ts';
import { ChangeBudget } from './change-budget.ts';
import { Closes } from './closes.ts';
import { ConditionReports } from './condition-reports.ts';
import type { FleetCore } from './core.ts';
import { Expiry } from './expiry.ts';
import { Fencing } from './fencing.ts';
import { Follower } from './follower.ts';
import { Heartbeats } from './heartbeats.ts';
import { HttpAgents } from './http-agents.ts';
import { Membership } from './membership.ts';
import { Newcomers } from './newcomers.ts';
import { NodeCount } from './node-count.ts';
import { NodeWrites } from './node-writes.ts';
import { Operators } from './operators.ts';
import { Pacing } from './pacing.ts';
import type { HttpFleet, SocketFleet } from './ports.ts';
import { Recovery } from './recovery.ts';
import { type RegisterOutcome, Registrar, type UpdateOutcome } from './registrar.ts';
import { type RemovalOutcome, Removals } from './removals.ts';
import { RestoredLog } from './restored-log.ts';
import { type Link, type LiveSession, Sessions } from './sessions.ts';
import { Shards } from './shards.ts';

/** The interval of steps without a bell: silence is detected no later than that. */
const TICK_MS = 50;
/** Default limit of a fleet's nodes. */
const MAX_NODES = 100_000;
/** How often a hub without a view asks the store for the number of nodes; in between it counts along the log. */
const RECOUNT_MS = 60_000;
/** Answers of the event log in progress at a time: each may hold a thousand records. */
const HISTORIES_AT_A_TIME = 4;

export interface FleetOptions {
  hubId: string;
  /** The address of this hub for other hubs and operators; part of its lease. */
  address: string;
  version: string;
  timing: HeartbeatTiming;
  /**
   * The interval grows with the fleet, up to `longestMs`, so that the fleet sends no more heartbeats a second than
   * this.
   */
  pace?: { longestMs: number; perSecond: number };
  store: FleetStore;
  clock: Clock;
  log: Log;
  /** Whether agents need a token, except those of an open dialect. Default false. */
  agentsNeedTokens?: boolean;
  /** The hub's copy of the fleet. Default: all of it. */
  view?: FleetView;
  /** With this many nodes no new one is registered. Default 100,000. */
  maxNodes?: number;
}

/**
 * One hub's part of the fleet: its live sessions, its view of all nodes, and its share of the work that the hubs do
 * together. It connects the parts and is the interface for gateways and HTTP.
 */
export class Fleet implements SocketFleet, HttpFleet {
  readonly hubId: string;
  readonly store: FleetStore;
  readonly view: FleetView;
  /** The slices of all long work of this hub. */
  readonly slices: Slices;
  readonly stalls: StallWatch;
  readonly sessions = new Sessions();
  readonly membership: Membership;
  readonly pacing: Pacing;
  readonly registrar: Registrar;
  readonly removals: Removals;
  readonly operators: Operators;
  /** Agents that register and beat by requests. */
  readonly httpAgents: HttpAgents;
  readonly #core: FleetCore;
  readonly #recovery: Recovery;
  readonly #heartbeats: Heartbeats;
  readonly #closes: Closes;
  readonly #nodes: NodeCount;
  readonly #followers: readonly Follower[];
  readonly #histories = new Semaphore(HISTORIES_AT_A_TIME);
  readonly #restoredLog: RestoredLog;
  readonly #ends: Cancel[] = [];
  /** Stalls of this hub that were logged. */
  #stallsLogged = 0;

  constructor(options: FleetOptions) {
    const { hubId, store, clock, log, timing } = options;
    const { sessions } = this;
    this.hubId = hubId;
    this.store = store;
    this.slices = new Slices(clock);
    this.stalls = new StallWatch(TICK_MS);
    const shardOf = (id: string) => store.shardOf(id);
    this.view = options.view ?? new View(store.shards, shardOf, clock, this.slices);
    const shards = new Shards(store.shards, shardOf, clock);
    const self: Omit<HubLease, 'sessions'> = { hubId, address: options.address, version: options.version };
    const leaseMs = Math.floor(timing.timeoutMs / 2);
    this.membership = new Membership({ self, store, shards, sessions, clock, log, leaseMs });
    const core: FleetCore = {
      ...{ hubId, timing, store, clock, log, shards, sessions },
      agentsNeedTokens: options.agentsNeedTokens ?? false,
      view: this.view,
      stalls: this.stalls,
      writes: new NodeWrites({ store, clock, shards }),
      membership: this.membership,
    };
    this.#core = core;
    const budget = new ChangeBudget();
    const conditions = new ConditionReports(core, budget);
    const nodes = new NodeCount(this.view, store);
    const newcomers = new Newcomers(options.maxNodes ?? MAX_NODES, () => nodes.value, clock.now());
    const pacing = new Pacing(core, options.pace);
    const recovery = new Recovery(core, pacing);
    const fencing = new Fencing(core, pacing, recovery);
    const heartbeats = new Heartbeats(core, fencing);
    const closes = new Closes(core, heartbeats);
    const expiry = new Expiry(core, pacing);
    this.removals = new Removals(core);
    this.operators = new Operators(core, this.removals);
    this.registrar = new Registrar(core, { heartbeats, pacing, conditions, newcomers, budget });
    this.httpAgents = new HttpAgents(core, {
      ...{ registrar: this.registrar, removals: this.removals, conditions, recovery },
    });
    this.pacing = pacing;
    this.#recovery = recovery;
    this.#heartbeats = heartbeats;
    this.#closes = closes;
    this.#nodes = nodes;
    const { slices } = this;
    const limitedLog = new LimitedLog(clock);
    const restoredLog = new RestoredLog(clock, log);
    this.#restoredLog = restoredLog;
    const parts = {
      core,
      slices,
      limitedLog,
      heartbeats,
      pacing,
      closes,
      expiry,
      fencing,
      recovery,
      budget,
      restoredLog,
      nodes,
    };
    this.#followers = shards.all.map((shard) => new Follower(shard, parts));
  }

  /** Loads the view and begins to follow, flush and expire. Throws `StoreAwayError` if the store is out of reach. */
  async start(): Promise<void> {
    const { clock, store, shards } = this.#core;
    await this.membership.start();
    this.pacing.start();
    await Promise.all(this.#followers.map((follower) => follower.wake()));
    shards.answered();
    this.stalls.turned(clock.now());
    this.#ends.push(store.onPutAside((id) => void this.#putBack(id)));
    this.#ends.push(store.onBell((shard) => void this.#followers[shard]?.wake()));
    this.#ends.push(clock.every(TICK_MS, () => this.#tick()));
    this.#heartbeats.start();
    await this.#nodes.recount().catch(() => {});
    this.#ends.push(clock.every(RECOUNT_MS, () => void this.#nodes.recount().catch(() => {})));
  }

  /** Writes waiting heartbeats and ends. The nodes keep their status, which depends on their heartbeats. */
  async stop(): Promise<void> {
    for (const end of this.#ends.splice(0)) end();
    this.pacing.stop();
    this.#closes.stop();
    await this.#heartbeats.stop();
    await Promise.all(this.#followers.map((follower) => follower.end()));
    this.#restoredLog.flush();
    await this.membership.stop();
    this.view.lists.drop();
  }

  /** True while every shard of the store is in reach; false before the view is loaded. */
  get ready(): boolean {
    return this.membership.state.state === 'live';
  }

  now(): number {
    return this.#core.shards.now();
  }

  get state(): HubState {
    return this.membership.state;
  }

  /** The state with the time at which it is sent: a dashboard's own clock may be wrong. */
  datedState(): HubState {
    return { ...this.state, now: instant(this.now()) };
  }

  get admits(): boolean {
    return this.#core.shards.someUsable;
  }

  /** Milliseconds since any part of the store answered. */
  unheardMs(now: number = this.#core.clock.now()): number {
    return this.#core.shards.unansweredMs(now);
  }

  blindMs(now: number): number {
    return Math.min(this.unheardMs(now), this.stalls.awakeMs(now));
  }

  register(message: Register, link: Link): Promise<RegisterOutcome> {
    return this.registrar.register(message, link);
  }

  update(session: LiveSession, message: Register): Promise<UpdateOutcome> {
    return this.registrar.update(session, message);
  }

  heldMs(nodeId: string): number {
    return this.registrar.heldMs(nodeId);
  }

  heartbeat(session: LiveSession, now: number = this.#core.clock.now()): void {
    this.#heartbeats.note(session, now);
  }

  report(session: LiveSession, read: ReadStats, now: number = this.#core.clock.now()): void {
    this.registrar.report(session, read, now);
  }

  acknowledged(session: LiveSession, intervalMs: number): void {
    this.pacing.acknowledged(session, intervalMs);
  }

  deregister(session: LiveSession, detail?: string): Promise<RemovalOutcome> {
    return this.removals.deregister(session, detail);
  }

  closed(session: LiveSession, how: Pick<Closing, 'goodbye' | 'code' | 'detail'>): Promise<void> {
    return this.#closes.closed(session, how);
  }

  forget(session: LiveSession): void {
    this.sessions.detach(session);
  }

  /** A node as this hub sees it, or as stored if the view does not have it yet. */
  async node(id: string): Promise<FleetNode | undefined> {
    const seen = this.view.get(id);
    if (seen) return seen.node;
    const stored = await this.store.read(id);
    return stored.kind === 'node' ? stored.record.node : undefined;
  }

  /** The live figures of nodes, and the time of their last heartbeats. Throws `StoreAwayError`. */
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
  flush(): Promise<void> {
    return this.#heartbeats.flush();
  }

  #tick(): void {
    const now = this.#core.clock.now();
    this.stalls.turned(now);
    this.#logStall(now);
    for (const follower of this.#followers) if (follower.due(now)) void follower.wake();
  }

  #logStall(now: number): void {
    const stalls = this.stalls.count(now);
    if (stalls === this.#stallsLogged) return;
    this.#stallsLogged = stalls;
    const fields = { lateMs: this.stalls.lastMs(now) };
    this.#core.log.warn(fields, 'This hub stalled: silence from before the stall is not counted');
    this.membership.renewNow();
  }

  /** A broken record was put aside: this hub restores what it knows of the node. */
  async #putBack(id: string): Promise<void> {
    try {
      await this.#recovery.putBack(id);
    } catch (error) {
      this.#core.shards.of(id).recheck();
      this.#core.log.debug({ nodeId: id, err: error }, 'Could not put a node back');
    }
  }
}
