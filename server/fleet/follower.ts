import type { FleetView } from '../picture/fleet-view.ts';
import type { Clock } from '../runtime/clock.ts';
import type { LimitedLog } from '../runtime/limited-log.ts';
import type { Log } from '../runtime/log.ts';
import type { Slices } from '../runtime/slices.ts';
import { STALL_MS, type StallWatch } from '../runtime/stall-watch.ts';
import {
  type FleetStore,
  type LogEntry,
  LostDataError,
  type LostNode,
  type Position,
  type SilentNode,
  StoreAwayError,
  type TickAnswer,
} from '../store/fleet-store.ts';
import { StoreClock, type TimeAnswer } from './store-clock.ts';

/** Log entries that one look takes at most: reading them is about 5 ms of work that cannot be cut. */
const ENTRIES_PER_TICK = 250;
/** Entries that are applied before the clock is read again. */
const ENTRIES_PER_TURN = 25;
/** Overdue nodes that one look examines at most. */
const OVERDUE_PER_TICK = 200;
/** Lost records that are put back in one call. */
const RESTORE_PAGE = 200;
/** How long a shard that is followed goes without a look where no bell rings and nobody is due. */
const IDLE_MS = 500;
/** How well this hub knew a shard when the shard lost its data. */
export interface Heard {
  /** The view held all of it, up to the newest entry that was read. */
  viewIsWhole: boolean;
  /** Its log was not read for a while, so that registrations elsewhere may have been lost unheard. */
  missedSome: boolean;
}

/** What the follower asks of the hub around it. */
export interface FollowerDuties {
  /** What this hub knows of the shard, when the store lost data: to be put back. */
  lost: (shard: number, heard: Heard) => LostNode[];
  /** Merges what the store holds otherwise than we knew. */
  merge: (unmerged: Awaited<ReturnType<FleetStore['restore']>>) => Promise<void>;
  /** So much of the shard was put back. */
  restored: (shard: number, count: number, why: string) => void;
  /** The shard was loaded: its log is followed from here on, and nothing is told of what came before. */
  loaded: (shard: number) => Promise<void>;
  /** Writes the heartbeats that waited while the store was away, then the closes. */
  recovered: (shard: number) => Promise<void>;
  /** An event was applied to the view. */
  followed: (entry: LogEntry) => void;
  /**
   * Judges silent nodes and returns how many it left as they were. The slowest answer lately shows how late the store
   * may be with the heartbeats of those who live.
   */
  judge: (silent: SilentNode[], storeSince: number, slowestMs: number) => Promise<number>;
  /** The store answered. */
  heard: () => void;
  /** The store's clock was set; 0: it may have been while no hub ran. What stands by it is put right. */
  clockStepped: (shard: number, steppedMs: number) => Promise<void>;
  /** The shard came within reach, or went out of it. */
  reach: (shard: number, reachable: boolean) => void;
}

type Phase =
  /** The shard's data set is to be adopted: the hub starts. */
  | { kind: 'starting' }
  /** The view of this shard is to be loaded. */
  | { kind: 'loading'; why: string }
  | { kind: 'following'; position: Position; caughtUp: boolean }
  /** The store lost data of this shard; what we know is to be put back. */
  | { kind: 'lost'; why: string; waiting: LostNode[] };

/**
 * One hub's one look at one shard: it follows the log into the view, finds silent nodes, and notices that
 * the store went away, came back, or lost data. A look at a time, every tick and at every bell.
 */
export class Follower {
  readonly shard: number;
  /** Since when the store has been seen without a break: nobody is judged by an older silence. */
  storeSince = Number.POSITIVE_INFINITY;
  #phase: Phase = { kind: 'starting' };
  /** The view held all of the shard, up to the moment when something was lost. */
  #viewIsWhole = false;
  #reachable = false;
  /** A write failed since the last look: what waits because of it is written after the next one. */
  #doubted = false;
  #skip = 0;
  #running: Promise<void> | undefined;
  #again = false;
  #ended = false;
  /** When the next look is due, hub time: a wake before that needs a reason, such as a bell. */
  #nextLookAt = 0;
  /** When the newest look began, and when it was answered. */
  #lookedAt = Number.NEGATIVE_INFINITY;
  #answeredAt = Number.NEGATIVE_INFINITY;
  /** The store's clock, where it has one of its own. */
  readonly #storeClock = new StoreClock();
  /** By how much the store's clock was set, where what stands by it has not been put right yet. */
  #unsettledMs: number | undefined = 0;
  /** The slowest answer lately. */
  #slowest = { ms: 0, at: Number.NEGATIVE_INFINITY };
  /** Stalls of this hub that are accounted for. */
  #stalls = 0;
  /** When the newest look began that read the log to its end. */
  #caughtUpAt = Number.NEGATIVE_INFINITY;

  readonly #store: FleetStore;
  readonly #view: FleetView;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #limited: LimitedLog;
  readonly #slices: Slices;
  readonly #stallWatch: StallWatch;
  readonly #duties: FollowerDuties;
  /** The shortest timeout that any node of this hub has: before the store was seen for so long, nobody is due. */
  readonly #shortestTimeoutMs: number;

  constructor(
    shard: number,
    parts: {
      store: FleetStore;
      view: FleetView;
      clock: Clock;
      log: Log;
      /** What fails again and again, of all shards together. */
      limited: LimitedLog;
      slices: Slices;
      stalls: StallWatch;
      shortestTimeoutMs: number;
    },
    duties: FollowerDuties,
  ) {
    this.shard = shard;
    this.#store = parts.store;
    this.#view = parts.view;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#limited = parts.limited;
    this.#slices = parts.slices;
    this.#stallWatch = parts.stalls;
    this.#shortestTimeoutMs = parts.shortestTimeoutMs;
    this.#duties = duties;
  }

  /** The shard can be written to: it is in reach and nothing has to be put back or loaded first. */
  get usable(): boolean {
    return this.#reachable && this.#phase.kind === 'following';
  }

  /** How far the shard's log was followed; nothing while the shard is not followed. */
  get position(): Position | undefined {
    return this.#phase.kind === 'following' ? this.#phase.position : undefined;
  }

  get reachable(): boolean {
    return this.#reachable;
  }

  /** The store's time: milliseconds since the epoch. Where it keeps none, the hub's wall clock. */
  storeNow(): number {
    return this.#storeClock.at(this.#clock.now()) ?? this.#clock.wall();
  }

  /** Whether it is time to look without being rung for. */
  due(now: number): boolean {
    return now >= this.#nextLookAt;
  }

  /** Looks now, or again as soon as the look that is under way has ended. */
  wake(): Promise<void> {
    if (this.#ended) return Promise.resolve();
    if (this.#running) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#run();
    return this.#running;
  }

  /** Ends after the look that is under way. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#running;
  }

  /** What was heard of the store before says nothing of now. */
  #beginAnew(): void {
    if (this.storeSince !== Number.POSITIVE_INFINITY) this.storeSince = this.#clock.now();
  }

  /** A write failed or found another data set: the look that follows shows whether the store is there. */
  doubt(): void {
    this.#doubted = true;
    void this.wake();
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      try {
        await this.#look();
      } catch (error) {
        this.#failed(error);
        break;
      }
    } while (this.#again && !this.#ended);
    // In the same turn as the last check for a bell: one that rings later begins a look of its own.
    this.#running = undefined;
  }

  #failed(error: unknown): void {
    if (error instanceof LostDataError) {
      this.#loses('its data set was replaced');
      return;
    }
    this.storeSince = Number.POSITIVE_INFINITY;
    this.#nextLookAt = 0;
    if (!(error instanceof StoreAwayError)) {
      this.#limited.say('look', (more) =>
        this.#log.error({ err: error, shard: this.shard, ...more }, 'A look at the store failed'),
      );
    }
    this.#reach(false);
  }

  #reach(reachable: boolean): void {
    if (this.#reachable === reachable) return;
    this.#reachable = reachable;
    this.#duties.reach(this.shard, reachable);
  }

  async #look(): Promise<void> {
    const phase = this.#phase;
    switch (phase.kind) {
      case 'starting':
        await this.#store.attach(this.shard);
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

  /** Of the data set that was adopted: one that was lost since then must be noticed, not adopted. */
  async #load(why: string): Promise<void> {
    const { position, pages } = await this.#store.snapshot(this.shard);
    const records = [];
    if (this.#view.keepsRecords) for await (const page of pages) records.push(...page);
    await this.#view.load(this.shard, records, position, why);
    await this.#duties.loaded(this.shard);
    this.#viewIsWhole = true;
    this.#phase = { kind: 'following', position, caughtUp: false };
    this.#again = true;
    await this.#becomeReachable();
  }

  async #becomeReachable(): Promise<void> {
    if (this.storeSince === Number.POSITIVE_INFINITY) this.storeSince = this.#clock.now();
    this.#doubted = false;
    await this.#duties.recovered(this.shard);
    this.#reach(true);
  }

  async #restore(phase: Extract<Phase, { kind: 'lost' }>): Promise<void> {
    await this.#store.attach(this.shard);
    // From the start at each try: what was put back before may have been lost again, and doing it twice is harmless.
    for (let from = 0; from < phase.waiting.length; from += RESTORE_PAGE) {
      const page = phase.waiting.slice(from, from + RESTORE_PAGE);
      await this.#duties.merge(await this.#store.restore(this.shard, page));
    }
    const { why, waiting } = phase;
    this.#duties.restored(this.shard, waiting.length, why);
    this.#phase = { kind: 'loading', why: `the store lost data: ${phase.why}` };
    this.#again = true;
  }

  async #follow(phase: Extract<Phase, { kind: 'following' }>): Promise<void> {
    const startedAt = this.#clock.now();
    this.#noticeStall(startedAt);
    this.#lookedAt = startedAt;
    this.#nextLookAt = startedAt;
    const mayJudge = phase.caughtUp && startedAt - this.storeSince >= this.#shortestTimeoutMs;
    const answer = await this.#store.tick(this.shard, {
      after: phase.position,
      limit: ENTRIES_PER_TICK,
      look: { skip: this.#skip, limit: mayJudge ? OVERDUE_PER_TICK : 0 },
    });
    const answeredAt = this.#clock.now();
    this.#noticeStall(answeredAt);
    this.#answeredAt = answeredAt;
    this.#timed(answeredAt - startedAt, answeredAt);
    switch (answer.kind) {
      case 'epoch':
        this.#loses('its data set was replaced');
        break;
      case 'gap':
        if (answer.cause === 'lost') this.#loses('the end of its log is gone');
        else this.#reload('the log was trimmed before it was read');
        break;
      case 'news':
        this.#duties.heard();
        if (answer.now !== undefined)
          this.#clockSeen({ askedAt: startedAt, answeredAt, storeNow: answer.now });
        if (this.#unsettledMs !== undefined) await this.#settleClock(this.#unsettledMs);
        await this.#take(phase, answer);
        break;
      default:
        return answer satisfies never;
    }
  }

  /** A process that was stopped may look (a bell, a socket's end) before its timers tell that it was. */
  #noticeStall(now: number): void {
    const stalls = this.#stallWatch.count(now);
    if (stalls === this.#stalls) return;
    this.#stalls = stalls;
    this.#beginAnew();
  }

  /** An answer that took long means that heartbeats may be as late, for as long as a timeout lasts. */
  #timed(tookMs: number, now: number): void {
    if (tookMs >= this.#slowest.ms || now - this.#slowest.at > this.#shortestTimeoutMs)
      this.#slowest = { ms: tookMs, at: now };
  }

  #clockSeen(answer: TimeAnswer): void {
    const steppedMs = this.#storeClock.take(answer);
    if (steppedMs === 0) return;
    // Heartbeats were cut short by a step forwards: who is silent shows a timeout later.
    if (steppedMs > 0) this.#beginAnew();
    this.#unsettledMs = steppedMs + (this.#unsettledMs ?? 0);
  }

  async #settleClock(steppedMs: number): Promise<void> {
    await this.#duties.clockStepped(this.shard, steppedMs);
    this.#unsettledMs = undefined;
  }

  async #take(phase: Extract<Phase, { kind: 'following' }>, news: Extract<TickAnswer, { kind: 'news' }>) {
    if (!this.#reachable || this.#doubted) await this.#becomeReachable();
    for (const [index, entry] of news.entries.entries()) {
      if (index % ENTRIES_PER_TURN === 0 && this.#slices.over()) await this.#slices.next();
      if (this.#view.apply(this.shard, entry, phase.caughtUp) === 'hole') {
        this.#reload(`version ${entry.event.seq} of ${entry.event.nodeId} came without the one before`);
        return;
      }
      phase.position = { ...phase.position, at: entry.at };
      this.#view.advance(this.shard, phase.position);
      this.#duties.followed(entry);
    }
    if (news.upTo !== undefined && news.upTo !== phase.position.at) {
      // Entries that no hub wrote are passed over.
      phase.position = { ...phase.position, at: news.upTo };
      this.#view.advance(this.shard, phase.position);
    }
    if (news.unreadable) {
      this.#reload('an entry of the log cannot be read', this.storeSince);
      return;
    }
    phase.caughtUp = !news.moreLogged;
    if (phase.caughtUp) this.#caughtUpAt = this.#lookedAt;
    else this.#again = true;
    if (news.looked > 0) await this.#judge(news);
    else this.#rest(news);
  }

  /**
   * Nothing is overdue: the next tick waits for the next deadline or a bell. The deadline was computed about half a round
   * trip ago, so that with a distant store the tick is sent earlier by that.
   */
  #rest({ nextDueInMs = Number.POSITIVE_INFINITY }: Extract<TickAnswer, { kind: 'news' }>): void {
    const saidAt = (this.#lookedAt + this.#answeredAt) / 2;
    this.#nextLookAt = Math.min(this.#clock.now() + IDLE_MS, Math.max(this.#lookedAt, saidAt + nextDueInMs));
  }

  async #judge(news: Extract<TickAnswer, { kind: 'news' }>): Promise<void> {
    const { silent } = news;
    const left = silent.length > 0 ? await this.#duties.judge(silent, this.storeSince, this.#slowest.ms) : 0;
    const more = news.moreDue;
    // Those that may not be judged yet stay at the front: step over them, or they would hide the others.
    this.#skip = more ? this.#skip + left : 0;
    if (more) this.#again = true;
    else if (left === 0) this.#rest(news);
  }

  /** `storeSince`: since when the store was seen, where that is not in doubt. */
  #reload(why: string, storeSince = Number.POSITIVE_INFINITY): void {
    this.#log.warn({ shard: this.shard, why }, 'Lost the thread of the log; loading the shard again');
    this.storeSince = storeSince;
    this.#viewIsWhole = false;
    this.#phase = { kind: 'loading', why };
    this.#again = true;
  }

  #loses(why: string): void {
    if (this.#phase.kind === 'lost') return;
    this.storeSince = Number.POSITIVE_INFINITY;
    const missedSome = this.#clock.now() - this.#caughtUpAt > STALL_MS;
    const waiting = this.#duties.lost(this.shard, { viewIsWhole: this.#viewIsWhole, missedSome });
    this.#phase = { kind: 'lost', why, waiting };
    this.#again = true;
    void this.wake();
  }
}
