import { agreeTiming, FEATURES, type HeartbeatTiming } from '../../shared/index.ts';
import { decideInterval, nextPace, type Pace, type PaceLimits } from '../rules/interval.ts';
import type { Cancel } from '../runtime/clock.ts';
import { withTiming } from '../store/fleet-store.ts';
import type { FleetCore } from './core.ts';
import { Retimer } from './retimer.ts';
import { beatsIn, newRhythm, type Rhythm } from './rhythm.ts';
import type { LiveSession } from './sessions.ts';

/** Checks of the pace and of some sessions per interval: often enough to distinguish the beats of a session. */
const CHECKS_PER_INTERVAL = 4;
const SHORTEST_LOOK_MS = 100;
const LONGEST_LOOK_MS = 1_000;

/**
 * The interval of this hub's agents. If a limit is set, the interval grows with the fleet; all hubs read the same
 * leases and reach about the same result.
 *
 * A node must never be expired by a timeout that its agent does not know. So a longer timeout is stored before the
 * agent gets it. A shorter one is sent first, and stored once the agent has acknowledged it, or, if the agent does not
 * announce acknowledgements, once it beats in the new rhythm. Between the two, `session.timing` (which decides expiry)
 * is the longer one, and `session.sent` is the one that the agent knows.
 */
export class Pacing {
  readonly #core: FleetCore;
  readonly #retimer: Retimer;
  readonly #limits: PaceLimits | undefined;
  readonly #checkMs: number;
  #pace: Pace;
  #timing: HeartbeatTiming;
  /** A timeout longer than the present one, which agents may still have had lately. */
  #earlier = { timeoutMs: 0, until: 0 };
  /** The progress of this round, and the number of sessions that are due in it and not checked yet. */
  #round: IterableIterator<LiveSession> | undefined;
  #owed = 0;
  /** Sessions whose agents were sent a shorter timing than the stored one. */
  readonly #easing = new Map<LiveSession, Easing>();
  #tooMany = false;
  #end: Cancel = () => {};

  constructor(core: FleetCore, limits?: Omit<PaceLimits, 'shortestMs'>) {
    const { intervalMs } = core.timing;
    this.#core = core;
    this.#retimer = new Retimer(core);
    this.#limits = limits && { ...limits, shortestMs: intervalMs };
    this.#checkMs = Math.floor(
      Math.min(Math.max(intervalMs / CHECKS_PER_INTERVAL, SHORTEST_LOOK_MS), LONGEST_LOOK_MS),
    );
    this.#pace = { intervalMs };
    this.#timing = core.timing;
  }

  /** The timing for an agent that asks for none, or for a shorter one. */
  get timing(): HeartbeatTiming {
    return this.#timing;
  }

  /**
   * The timeout that agents of any hub may have now, regardless of their records: a store that failed over may have
   * lost the newest timings. Milliseconds; 0 if the interval is fixed.
   */
  get likelyTimeoutMs(): number {
    return this.#limits ? Math.max(this.#timing.timeoutMs, this.#earlier.timeoutMs) : 0;
  }

  /** The longest timing that any hub sends; the settings' own if the interval is fixed. */
  get longest(): HeartbeatTiming {
    return agreeTiming(this.#core.timing, this.#limits?.longestMs);
  }

  /** Begins with the interval that fits the present fleet. */
  start(): void {
    if (!this.#limits) return;
    this.#take({ intervalMs: decideInterval(this.#fleetSize(), this.#pace.intervalMs, this.#limits) });
    this.#end = this.#core.clock.every(this.#checkMs, () => this.#check());
  }

  stop(): void {
    this.#end();
  }

  /** The timing that fits a session: the fleet's, or its agent's own if that is longer. */
  fitting(session: Pick<LiveSession, 'askedIntervalMs'>): HeartbeatTiming {
    return agreeTiming(this.#timing, session.askedIntervalMs);
  }

  /**
   * Stores another timing that the session's agent asked for, before the agent gets it; its record is changed too.
   * False if the store is out of reach: then the session keeps its timing.
   */
  async agree(session: LiveSession, timing: HeartbeatTiming): Promise<boolean> {
    const longer = timing.timeoutMs > session.timing.timeoutMs;
    return (
      (await this.#retimer.write(session.shard, [session], () => timing, longer)).length > 0 || session.ended
    );
  }

  /** The shard was out of reach, or lost data: the timings of this hub's sessions are written again. */
  async recovered(shard: number): Promise<void> {
    if (!this.#limits) return;
    const sessions = [...this.#core.sessions.ofShard(shard)];
    await this.#retimer.rewrite(shard, sessions);
    for (const session of sessions) this.show(session);
  }

  /** The session's agent acknowledges this interval. Only the one sent last counts. */
  acknowledged(session: LiveSession, intervalMs: number): void {
    if (this.#easing.get(session) === 'sent' && intervalMs === session.sent.intervalMs)
      this.#easing.set(session, 'acknowledged');
  }

  /**
   * These agents may have registered elsewhere and got a longer timeout there, without a trace here. They get the
   * longest until they acknowledge their timing once more, or beat in the rhythm of this hub's timing.
   */
  mayHaveMoved(sessions: Iterable<LiveSession>): void {
    if (!this.#limits) return;
    const now = this.#core.clock.now();
    const { longest } = this;
    for (const session of sessions) {
      if (longest.timeoutMs <= session.timing.timeoutMs) continue;
      session.timing = longest;
      this.#easing.set(session, acknowledges(session) ? 'to send' : newRhythm(now));
    }
  }

  /** This hub's copy of the node gets the timing that decides expiry. */
  show(session: LiveSession): void {
    const seen = this.#core.view.retime(session.nodeId, session.session, session.timing);
    const newer = seen !== undefined && seen.node.seq >= session.record.node.seq;
    session.take(newer ? seen : withTiming(session.record, session.timing));
  }

  #fleetSize(): number {
    return this.#core.sessions.size + this.#core.membership.sessionsElsewhere;
  }

  #check(): void {
    if (!this.#limits) return;
    const now = this.#core.clock.now();
    const { membership } = this.#core;
    // A dead hub is counted until its lease ends, while its agents are elsewhere already; and until they are, a timeout
    // at most, they are not counted at all. Neither is a change of the fleet's size.
    const patience = { longerMs: membership.leaseMs, shorterMs: this.#timing.timeoutMs };
    this.#take(nextPace(this.#pace, this.#fleetSize(), now, this.#limits, patience));
    this.#warn(this.#limits);
    if (now >= this.#earlier.until) this.#earlier.timeoutMs = 0;
    this.#sendSome(now);
    this.#takeShorter(now);
  }

  #take(pace: Pace): void {
    const before = this.#timing;
    const changed = pace.intervalMs !== this.#pace.intervalMs;
    this.#pace = pace;
    if (!changed) return;
    const { timing, clock, log } = this.#core;
    this.#timing = agreeTiming(timing, pace.intervalMs);
    const { timeoutMs } = before;
    if (timeoutMs >= this.#earlier.timeoutMs)
      this.#earlier = { timeoutMs, until: clock.now() + 2 * timeoutMs };
    log.info({ ...this.#timing, sessions: this.#fleetSize() }, 'The heartbeat interval changed');
  }

  #warn({ perSecond, longestMs }: PaceLimits): void {
    const tooMany = (this.#fleetSize() / perSecond) * 1_000 > longestMs;
    if (tooMany && !this.#tooMany) {
      const fields = { sessions: this.#fleetSize(), intervalMs: this.#timing.intervalMs };
      this.#core.log.warn(fields, 'The fleet is too large for MAX_HEARTBEATS_PER_SECOND');
    }
    this.#tooMany = tooMany;
  }

  /** Covers all sessions once an interval, a few at each check, so that agents do not all get a new timing at once. */
  #sendSome(now: number): void {
    const { sessions } = this.#core;
    this.#owed = Math.min(
      sessions.size,
      this.#owed + (sessions.size * this.#checkMs) / this.#timing.intervalMs,
    );
    const toWrite = new Map<number, LiveSession[]>();
    while (this.#owed >= 1) {
      this.#round ??= sessions.all();
      const { value: session, done } = this.#round.next();
      if (done) {
        this.#round = undefined;
        continue;
      }
      this.#owed -= 1;
      // An overdue node keeps its timeout, and gets a new one when it beats again.
      const overdue = now - session.lastBeatAt >= session.timing.timeoutMs;
      if (!overdue && !this.#retimer.busy(session)) this.#fit(session, toWrite);
    }
    for (const [shard, some] of toWrite) void this.#lengthen(shard, some);
  }

  #fit(session: LiveSession, toWrite: Map<number, LiveSession[]>): void {
    const fitting = this.fitting(session);
    if (fitting.timeoutMs > session.timing.timeoutMs || this.#retimer.unsure(session)) {
      addTo(toWrite, session);
    } else if (fitting.intervalMs !== session.sent.intervalMs || this.#easing.get(session) === 'to send')
      this.#send(session, fitting);
  }

  /** The store first, then the agents. */
  async #lengthen(shard: number, sessions: readonly LiveSession[]): Promise<void> {
    const longest = (session: LiveSession): HeartbeatTiming => {
      const fitting = this.fitting(session);
      return fitting.timeoutMs > session.timing.timeoutMs ? fitting : session.timing;
    };
    for (const session of await this.#retimer.write(shard, sessions, longest, true)) {
      this.show(session);
      const fitting = this.fitting(session);
      const mayKnow = fitting.timeoutMs <= session.timing.timeoutMs;
      if (mayKnow && fitting.intervalMs !== session.sent.intervalMs) this.#send(session, fitting);
    }
  }

  #send(session: LiveSession, timing: HeartbeatTiming): void {
    // An agent that waits for the answer to its registration gets it in the next round.
    if (session.ended || !session.link.send({ type: 'heartbeat', ...timing })) return;
    session.sent = timing;
    if (timing.timeoutMs < session.timing.timeoutMs) {
      this.#easing.set(session, acknowledges(session) ? 'sent' : newRhythm(this.#core.clock.now()));
    }
  }

  /** Stores the shorter timing of sessions whose agents have it. */
  #takeShorter(now: number): void {
    const shortened = new Map<number, LiveSession[]>();
    for (const [session, easing] of this.#easing) {
      const { sent, timing, lastBeatAt } = session;
      if (session.ended || sent.timeoutMs >= timing.timeoutMs) this.#easing.delete(session);
      else if (this.#retimer.busy(session) || !hasTiming(easing, lastBeatAt, sent.intervalMs)) continue;
      // The current heartbeat is shortened too: not if that would expire it.
      else if (now - lastBeatAt < sent.intervalMs) addTo(shortened, session);
    }
    for (const [shard, some] of shortened) void this.#shorten(shard, some);
  }

  async #shorten(shard: number, sessions: readonly LiveSession[]): Promise<void> {
    const written = await this.#retimer.write(shard, sessions, ({ sent }) => sent, true);
    for (const session of written) this.show(session);
  }
}

const acknowledges = ({ link }: LiveSession): boolean => link.understands(FEATURES.heartbeatSet);

/** Whether an agent beats in the interval that it was sent. To be called several times an interval. */
function hasTiming(easing: Easing, lastBeatAt: number, intervalMs: number): boolean {
  if (typeof easing === 'string') return easing === 'acknowledged';
  return beatsIn(easing, lastBeatAt, intervalMs);
}

function addTo(byShard: Map<number, LiveSession[]>, session: LiveSession): void {
  const some = byShard.get(session.shard);
  if (some) some.push(session);
  else byShard.set(session.shard, [session]);
}

/**
 * The progress of a session towards its shorter timing: it is to be sent, was sent, or was acknowledged. An agent that
 * does not announce acknowledgements proves it by its rhythm.
 */
type Easing = 'to send' | 'sent' | 'acknowledged' | Rhythm;
