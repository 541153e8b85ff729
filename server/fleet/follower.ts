import type { LimitedLog } from '../runtime/limited-log.ts';
import type { Slices } from '../runtime/slices.ts';
import { STALL_MS } from '../runtime/stall-watch.ts';
import {
  LEAST_TOMBSTONE_MS,
  type LogEntry,
  LostDataError,
  type LostNode,
  type Position,
  StoreAwayError,
  type TickAnswer,
} from '../store/fleet-store.ts';
import type { ChangeBudget } from './change-budget.ts';
import type { Closes } from './closes.ts';
import type { FleetCore } from './core.ts';
import type { Expiry } from './expiry.ts';
import type { Fencing } from './fencing.ts';
import type { Heartbeats } from './heartbeats.ts';
import type { NodeCount } from './node-count.ts';
import type { Pacing } from './pacing.ts';
import type { Recovery } from './recovery.ts';
import type { RestoredLog } from './restored-log.ts';
import type { Shard } from './shards.ts';
import type { TimeAnswer } from './store-clock.ts';

/** The most log entries in one step: reading these is work that cannot be cut. */
const ENTRIES_PER_TICK = 250;
/** Entries that are applied before the clock is read again. */
const ENTRIES_PER_SLICE = 25;
/** The most overdue nodes that one step examines. */
const OVERDUE_PER_TICK = 200;
/** The longest time between two steps without a bell and without a due node. */
const IDLE_MS = 500;

/** The parts that a follower feeds with the log and its findings. */
export interface FollowerParts {
  core: FleetCore;
  slices: Slices;
  /** For repeated failures, of all shards together. */
  limitedLog: LimitedLog;
  heartbeats: Heartbeats;
  pacing: Pacing;
  closes: Closes;
  expiry: Expiry;
  fencing: Fencing;
  recovery: Recovery;
  budget: ChangeBudget;
  restoredLog: RestoredLog;
  nodes: NodeCount;
}

/**
 * Follows one shard for one hub, one step at a time: at every bell, and when a node is due. A step
 *
 * 1. reads the log into the view (`#take`), where `Fencing` ends sessions that are over,
 * 2. passes overdue nodes to `Expiry`,
 * 3. detects that the store went away, came back, or lost data, and has `Recovery` restore this hub's knowledge.
 *
 * `Shard` is the follower's result for the rest of the hub.
 */
export class Follower {
  /** The start of unbroken contact with the store: silence from before expires no node. */
  #storeSince = Number.POSITIVE_INFINITY;
  readonly #shard: Shard;
  readonly #parts: FollowerParts;
  readonly #core: FleetCore;
  #phase: Phase = { kind: 'starting' };
  /** The view held the whole shard, up to the moment of a loss. */
  #viewIsWhole = false;
  #skip = 0;
  #running: Promise<void> | undefined;
  #again = false;
  #ended = false;
  /** When the next step is due without a bell, hub time. */
  #nextAt = 0;
  /** When the newest step began, and when it was answered. */
  #startedAt = Number.NEGATIVE_INFINITY;
  #answeredAt = Number.NEGATIVE_INFINITY;
  /** The last step of the store's clock, while its effects are not corrected yet. */
  #unsettledMs: number | undefined = 0;
  /** The slowest recent answer. */
  #slowest = { ms: 0, at: Number.NEGATIVE_INFINITY };
  /** Stalls of this hub that are accounted for. */
  #stalls = 0;
  /** The start of the newest step that read the log to its end. */
  #caughtUpAt = Number.NEGATIVE_INFINITY;

  constructor(shard: Shard, parts: FollowerParts) {
    this.#shard = shard;
    this.#parts = parts;
    this.#core = parts.core;
    shard.onRecheck(() => void this.wake());
  }

  /** Whether a step is due without a bell. */
  due(now: number): boolean {
    return now >= this.#nextAt;
  }

  /** Makes a step now, or another one as soon as the current one has ended. */
  wake(): Promise<void> {
    if (this.#ended) return Promise.resolve();
    if (this.#running) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#run();
    return this.#running;
  }

  /** Ends after the current step. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      try {
        await this.#step();
      } catch (error) {
        this.#failed(error);
        break;
      }
    } while (this.#again && !this.#ended);
    // Without an await since the last check for a bell: a later one begins a step of its own.
    this.#running = undefined;
  }

  #failed(error: unknown): void {
    if (error instanceof LostDataError) {
      this.#lost('its data set was replaced');
      return;
    }
    this.#storeSince = Number.POSITIVE_INFINITY;
    this.#nextAt = 0;
    if (!(error instanceof StoreAwayError)) {
      this.#parts.limitedLog.say('follow', (more) =>
        this.#core.log.error(
          { err: error, shard: this.#shard.index, ...more },
          'A step of following the store failed',
        ),
      );
    }
    this.#reach(false);
  }

  #reach(reachable: boolean): void {
    if (this.#shard.reachable === reachable) return;
    this.#shard.reachable = reachable;
    this.#core.membership.reach(this.#shard.index, reachable);
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#shard.position = phase.kind === 'following' ? phase.position : undefined;
    if (phase.kind !== 'following' || !phase.caughtUp) this.#again = true;
  }

  async #step(): Promise<void> {
    const phase = this.#phase;
    switch (phase.kind) {
      case 'starting':
        await this.#core.store.attach(this.#shard.index);
        return this.#load('start');
      case 'loading':
        return this.#load(phase.why);
      case 'lost':
        return this.#restore(phase);
      case 'following':
        return this.#follow(phase);
      default:
        return phase satisfies never;
    }
  }

  /** Loads the adopted data set: a loss since then must be detected, and the new data set not adopted. */
  async #load(why: string): Promise<void> {
    const { store, view, shards } = this.#core;
    const { index } = this.#shard;
    const { position, pages } = await store.snapshot(index);
    const records = [];
    if (view.keepsRecords) for await (const page of pages) records.push(...page);
    await view.load(index, records, position, why);
    shards.answered();
    await this.#parts.fencing.recheck(index);
    this.#viewIsWhole = true;
    this.#enter({ kind: 'following', position, caughtUp: false });
    await this.#recovered();
  }

  /** The shard is within reach: waiting writes go first, then the shard is usable. */
  async #recovered(): Promise<void> {
    const { heartbeats, recovery, pacing, closes } = this.#parts;
    const { index } = this.#shard;
    if (this.#storeSince === Number.POSITIVE_INFINITY) this.#storeSince = this.#core.clock.now();
    this.#shard.writeFailed = false;
    heartbeats.confirmAgain(index);
    await heartbeats.write(index);
    await recovery.putBackRemovals(index);
    await pacing.recovered(index);
    await closes.writeWaiting(index);
    this.#reach(true);
  }

  async #restore({ waiting, why }: Extract<Phase, { kind: 'lost' }>): Promise<void> {
    const { store, shards } = this.#core;
    const { index } = this.#shard;
    await store.attach(index);
    await this.#parts.recovery.restore(index, waiting);
    shards.answered();
    this.#parts.restoredLog.add(index, waiting.length, why);
    this.#enter({ kind: 'loading', why: `the store lost data: ${why}` });
  }

  async #follow(phase: Extract<Phase, { kind: 'following' }>): Promise<void> {
    const { clock, store, shards } = this.#core;
    const startedAt = clock.now();
    this.#noticeStall(startedAt);
    this.#startedAt = startedAt;
    this.#nextAt = startedAt;
    const mayExpire = phase.caughtUp && startedAt - this.#storeSince >= this.#core.timing.timeoutMs;
    const answer = await store.tick(this.#shard.index, {
      after: phase.position,
      limit: ENTRIES_PER_TICK,
      overdue: { skip: this.#skip, limit: mayExpire ? OVERDUE_PER_TICK : 0 },
    });
    const answeredAt = clock.now();
    this.#noticeStall(answeredAt);
    this.#answeredAt = answeredAt;
    this.#timed(answeredAt - startedAt, answeredAt);
    switch (answer.kind) {
      case 'epoch':
        this.#lost('its data set was replaced');
        break;
      case 'gap':
        if (answer.cause === 'lost') this.#lost('the end of its log is gone');
        else this.#reload('the log was trimmed before it was read');
        break;
      case 'news':
        shards.answered();
        if (answer.now !== undefined)
          this.#noticeStep({ askedAt: startedAt, answeredAt, storeNow: answer.now });
        if (this.#unsettledMs !== undefined) await this.#settleClock(this.#unsettledMs);
        if (!this.#shard.reachable || this.#shard.writeFailed) await this.#recovered();
        await this.#take(phase, answer);
        break;
      default:
        return answer satisfies never;
    }
  }

  /** A process that was stopped may get here (a bell, a socket's end) before its timers show the stall. */
  #noticeStall(now: number): void {
    const stalls = this.#core.stalls.count(now);
    if (stalls === this.#stalls) return;
    this.#stalls = stalls;
    this.#beginAnew();
  }

  /** Earlier contact with the store proves nothing for now. */
  #beginAnew(): void {
    if (this.#storeSince !== Number.POSITIVE_INFINITY) this.#storeSince = this.#core.clock.now();
  }

  /** After a slow answer heartbeats may be as late, for as long as a timeout lasts. */
  #timed(tookMs: number, now: number): void {
    if (tookMs >= this.#slowest.ms || now - this.#slowest.at > this.#core.timing.timeoutMs)
      this.#slowest = { ms: tookMs, at: now };
  }

  #noticeStep(answer: TimeAnswer): void {
    const steppedMs = this.#shard.storeClock.take(answer);
    if (steppedMs === 0) return;
    // A step forwards cut heartbeats short: silence is known a timeout later.
    if (steppedMs > 0) this.#beginAnew();
    this.#unsettledMs = steppedMs + (this.#unsettledMs ?? 0);
  }

  /**
   * The store's clock was set: TTLs and deadlines, which are times of that clock, last longer or shorter than intended.
   * 0: it may have been set while no hub ran.
   */
  async #settleClock(steppedMs: number): Promise<void> {
    const { store, membership, timing } = this.#core;
    const { index } = this.#shard;
    if (steppedMs !== 0) {
      membership.clockStepped(steppedMs);
      await this.#parts.heartbeats.rewrite(index);
    }
    if (steppedMs >= LEAST_TOMBSTONE_MS) await this.#parts.recovery.keepRemovals(index);
    await store.settleClock(index, { steppedMs, defaultTimeoutMs: timing.timeoutMs });
    this.#unsettledMs = undefined;
  }

  /** Reads the log into the view. */
  async #take(phase: Extract<Phase, { kind: 'following' }>, news: News): Promise<void> {
    const { slices } = this.#parts;
    for (const [index, entry] of news.entries.entries()) {
      if (index % ENTRIES_PER_SLICE === 0 && slices.over()) await slices.next();
      const hole = this.#apply(phase, entry);
      if (hole !== undefined) return this.#reload(hole);
    }
    // Entries that no hub wrote are skipped.
    if (news.upTo !== undefined && news.upTo !== phase.position.at) this.#advance(phase, news.upTo);
    if (news.unreadable) return this.#reload('an entry of the log cannot be read', this.#storeSince);
    phase.caughtUp = !news.moreLogged;
    if (phase.caughtUp) this.#caughtUpAt = this.#startedAt;
    else this.#again = true;
    if (news.examined > 0) await this.#expire(news);
    else this.#rest(news);
  }

  /** Returns why the log cannot be followed any further, or undefined. */
  #apply(phase: Extract<Phase, { kind: 'following' }>, entry: LogEntry): string | undefined {
    const { clock, view } = this.#core;
    const { fencing, budget, nodes } = this.#parts;
    const { event } = entry;
    if (view.apply(this.#shard.index, entry, phase.caughtUp) === 'hole')
      return `version ${event.seq} of ${event.nodeId} came without the one before`;
    this.#advance(phase, entry.at);
    budget.followed(event, clock.now());
    nodes.followed(event);
    fencing.followed(entry);
    return undefined;
  }

  #advance(phase: Extract<Phase, { kind: 'following' }>, at: Position['at']): void {
    phase.position = { ...phase.position, at };
    this.#shard.position = phase.position;
    this.#core.view.advance(this.#shard.index, phase.position);
  }

  /**
   * Nothing is overdue: the next step waits for the next deadline or a bell. The deadline was computed about
   * half a round trip ago, so that with a distant store the step begins earlier by that.
   */
  #rest({ nextDueInMs = Number.POSITIVE_INFINITY }: News): void {
    const computedAt = (this.#startedAt + this.#answeredAt) / 2;
    const dueAt = Math.max(this.#startedAt, computedAt + nextDueInMs);
    this.#nextAt = Math.min(this.#core.clock.now() + IDLE_MS, dueAt);
  }

  async #expire(news: News): Promise<void> {
    const { silent, moreDue } = news;
    const sight = { storeSince: this.#storeSince, slowestMs: this.#slowest.ms };
    const left = silent.length > 0 ? await this.#parts.expiry.expireSilent(silent, sight) : 0;
    // Nodes that must not be expired yet stay at the front: they are skipped, or they would hide the others.
    this.#skip = moreDue ? this.#skip + left : 0;
    if (moreDue) this.#again = true;
    else if (left === 0) this.#rest(news);
  }

  /** `storeSince`: the start of contact with the store, if it is certain. */
  #reload(why: string, storeSince = Number.POSITIVE_INFINITY): void {
    this.#core.log.warn(
      { shard: this.#shard.index, why },
      'Lost its place in the event log; loading the shard again',
    );
    this.#storeSince = storeSince;
    this.#viewIsWhole = false;
    this.#enter({ kind: 'loading', why });
  }

  #lost(why: string): void {
    if (this.#phase.kind === 'lost') return;
    const { clock, membership, sessions } = this.#core;
    const { heartbeats, pacing, recovery } = this.#parts;
    const { index } = this.#shard;
    this.#storeSince = Number.POSITIVE_INFINITY;
    heartbeats.confirmAgain(index);
    // The leases may be lost as well, and a hub without one counts as dead.
    membership.renewNow();
    // Agents that moved while the log was not read may have longer timeouts, without a trace here.
    if (clock.now() - this.#caughtUpAt > STALL_MS) pacing.mayHaveMoved(sessions.ofShard(index));
    this.#enter({ kind: 'lost', why, waiting: recovery.lostNodes(index, this.#viewIsWhole) });
    void this.wake();
  }
}

type News = Extract<TickAnswer, { kind: 'news' }>;

type Phase =
  /** The shard's data set is to be adopted: the hub starts. */
  | { kind: 'starting' }
  /** The view of this shard is to be loaded. */
  | { kind: 'loading'; why: string }
  | { kind: 'following'; position: Position; caughtUp: boolean }
  /** The store lost data of this shard; this hub's knowledge is to be restored. */
  | { kind: 'lost'; why: string; waiting: LostNode[] };
