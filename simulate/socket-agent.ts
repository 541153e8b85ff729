import { BACKOFF, Backoff, retryCeilingMs } from '../agent/backoff.ts';
import { HubUrls } from '../agent/hub-urls.ts';
import { delayBefore, describeEnd, type Ended, nextStep } from '../agent/next-step.ts';
import { Pulse } from '../agent/pulse.ts';
import type { HeartbeatTiming } from '../shared/index.ts';
import type { AgentContext, AgentPlace } from './agent-context.ts';
import { causeOf, refusalOf } from './causes.ts';
import type { Disruption } from './disruptions.ts';
import { pingFrame } from './frames.ts';
import { type HeardMessage, readHubMessage } from './hub-message.ts';
import type { Link, LinkListener } from './link.ts';
import { deregisterFrame, newInstance, nodeIdOf, registrationFrame } from './machine.ts';
import type { Sleeper } from './wheel.ts';

/** As in the agent program. */
const HANDSHAKE_MS = 10_000;
const SHORTEST_HANDSHAKE_MS = 1_000;
const REGISTER_MS = 10_000;

/**
 * `held`: the profile keeps it away. `waiting`: between two attempts. `leaving`: its goodbye or deregistration is on
 * its way. `removed`: the hub told it to stop (4404). `gone`: the simulation has ended it.
 */
export type AgentPhase =
  | 'idle'
  | 'held'
  | 'waiting'
  | 'connecting'
  | 'registering'
  | 'live'
  | 'leaving'
  | 'removed'
  | 'gone';

/**
 * One agent of the load: a bare socket that behaves to a hub as the agent program does, by the same rules (its pulse,
 * its backoff, its answers to close codes), without a timer or an allocation for each heartbeat.
 */
export class SocketAgent implements Sleeper {
  wakeAtMs = Number.POSITIVE_INFINITY;
  readonly #context: AgentContext;
  readonly #place: AgentPlace;
  readonly #urls: HubUrls;
  #backoff: Backoff;
  #phase: AgentPhase = 'idle';
  #link: Link | undefined;
  #pulse: Pulse | undefined;
  #timing: HeartbeatTiming | undefined;
  #instanceId = newInstance();
  #known = false;
  /** Counts links, so that each is told from the one before. */
  #dialed = 0;
  #dialedAtMs = 0;
  #liveSinceMs = 0;
  #pingedAtMs: number | undefined;
  #lastAliveMs: number | undefined;
  #aliveBeforeMs: number | undefined;
  #freeAtMs: number | undefined;
  #disruption: Disruption | undefined;
  /** When the profile cut its socket; whoever hears of it takes it away. */
  cutAtMs: number | undefined;
  /** Whether the hub ended the connection after its goodbye or deregistration, as it should. */
  confirmed = false;
  /** How its last attempt or session ended, for people. */
  lastEnd: string | undefined;

  constructor(context: AgentContext, place: AgentPlace) {
    this.#context = context;
    this.#place = place;
    this.#urls = new HubUrls(context.hubUrls, context.random);
    this.#backoff = new Backoff(context.random);
  }

  get index(): number {
    return this.#place.index;
  }

  get nodeId(): string {
    return nodeIdOf(this.#context.site.prefix, this.#place.index);
  }

  get phase(): AgentPhase {
    return this.#phase;
  }

  get timing(): HeartbeatTiming | undefined {
    return this.#timing;
  }

  /** Whether a ping waits for its pong. */
  get waitsForPong(): boolean {
    return this.#phase === 'live' && this.#pingedAtMs !== undefined;
  }

  /** When the hub last showed that it heard this agent, as it was known at that time. */
  aliveAt(nowMs: number): number | undefined {
    return nowMs >= this.#liveSinceMs ? this.#lastAliveMs : this.#aliveBeforeMs;
  }

  /** Connects, and from then on comes back after every loss. */
  start(): void {
    if (this.#phase === 'idle') this.#connect();
  }

  /**
   * RST. It returns as after any loss, with backoff; with `awayMs` it is kept away for so long first, and connects
   * then.
   */
  cut(awayMs: number | undefined, disruption: Disruption | undefined): void {
    if (!this.#connected()) return;
    const now = this.#now();
    const wasLive = this.#phase === 'live';
    this.#lose(now, awayMs ?? 0, disruption);
    if (wasLive) this.cutAtMs = now;
    this.#link?.reset();
    this.#detach();
    if (awayMs === undefined) this.#retry({ kind: 'failed', message: 'cut by the profile' });
    else this.#hold(now + awayMs);
  }

  /** A goodbye, and after a pause a new instance of the agent. */
  restart(pauseMs: number, disruption: Disruption | undefined): void {
    if (!this.#connected()) return;
    const now = this.#now();
    this.#lose(now, pauseMs, disruption);
    this.#link?.goodbye(1001);
    this.#detach();
    this.#instanceId = newInstance();
    this.#backoff = new Backoff(this.#context.random);
    this.#known = false;
    this.#lastAliveMs = undefined;
    this.#hold(now + pauseMs);
  }

  /** The end of the simulation: a goodbye, or the node is removed. Who is not connected just stops. */
  leave(how: 'goodbye' | 'deregister'): void {
    const live = this.#phase === 'live';
    if (live) this.#context.tally.registered -= 1;
    this.#context.wheel.forget(this);
    this.#phase = live ? 'leaving' : 'gone';
    if (!live) {
      this.#link?.reset();
      return;
    }
    if (how === 'goodbye') this.#link?.goodbye(1000);
    else this.#link?.write(deregisterFrame);
  }

  /** Ends whatever is left. */
  drop(): void {
    if (this.#phase === 'live') this.#context.tally.registered -= 1;
    this.#context.wheel.forget(this);
    this.#phase = 'gone';
    this.#link?.reset();
    this.#detach();
  }

  wake(nowMs: number): void {
    switch (this.#phase) {
      case 'held':
      case 'waiting':
        this.#connect();
        break;
      case 'connecting':
        this.#giveUp({ kind: 'failed', message: 'no answer in time' });
        break;
      case 'registering':
        this.#giveUp({ kind: 'unanswered' });
        break;
      case 'live':
        this.#beat(nowMs);
        break;
      case 'idle':
      case 'leaving':
      case 'removed':
      case 'gone':
        break;
      default:
        this.#phase satisfies never;
    }
  }

  #opened(): void {
    if (this.#phase !== 'connecting') return;
    this.#phase = 'registering';
    this.#context.wheel.wakeAt(this, this.#now() + REGISTER_MS);
    this.#link?.write(registrationFrame(this.index, this.#instanceId, this.#context.site));
  }

  #text(text: string): void {
    const message = readHubMessage(text);
    if (message === undefined) return;
    if (message.type === 'registered') this.#registered(message);
    else if (message.type === 'heartbeat') this.#retime(message);
    else if (message.type === 'error') this.#refused(message);
    else message satisfies never;
  }

  #pong(): void {
    if (this.#phase !== 'live' && this.#phase !== 'leaving') return;
    const now = this.#now();
    this.#lastAliveMs = now;
    this.#pulse?.pong(now);
    if (this.#pingedAtMs === undefined) return;
    this.#context.tally.ponged(now - this.#pingedAtMs);
    this.#pingedAtMs = undefined;
  }

  #ended(how: Ended): void {
    this.#detach();
    if (this.#phase === 'leaving') {
      this.#phase = 'gone';
      this.confirmed = how.kind === 'closed' && how.code === 1000;
      return;
    }
    if (!this.#connected()) return;
    this.#over(how);
  }

  #now(): number {
    return this.#context.clock.nowMs();
  }

  #connected(): boolean {
    return this.#phase === 'connecting' || this.#phase === 'registering' || this.#phase === 'live';
  }

  #connect(): void {
    const { token, lookup, wheel } = this.#context;
    const { dial, localAddress } = this.#place;
    const now = this.#now();
    this.#phase = 'connecting';
    this.#dialed += 1;
    this.#dialedAtMs = now;
    const longestMs = Math.max(SHORTEST_HANDSHAKE_MS, this.#ceilingMs(now));
    wheel.wakeAt(this, now + Math.min(HANDSHAKE_MS, longestMs));
    this.#link = dial(
      {
        url: new URL(this.#urls.next()),
        known: this.#known,
        ...(token !== undefined && { token }),
        ...(localAddress !== undefined && { localAddress }),
        ...(lookup && { lookup }),
      },
      this.#listener(),
    );
  }

  /** The agent itself, for one link only: what an earlier one still says after its goodbye is not for the next. */
  #listener(): LinkListener {
    const dialed = this.#dialed;
    const mine = (): boolean => dialed === this.#dialed;
    return {
      opened: () => mine() && this.#opened(),
      text: (text) => mine() && this.#text(text),
      pong: () => mine() && this.#pong(),
      ended: (how) => mine() && this.#ended(how),
    };
  }

  #detach(): void {
    this.#dialed += 1;
    this.#link = undefined;
  }

  #registered({ hubTime, heartbeat }: Extract<HeardMessage, { type: 'registered' }>): void {
    if (this.#phase !== 'registering') return;
    const { tally, clock, wheel, random } = this.#context;
    const now = this.#now();
    const aheadMs = Date.parse(hubTime) - clock.wallMs();
    this.#context.storeAheadMs = Math.max(this.#context.storeAheadMs, aheadMs);
    this.#phase = 'live';
    tally.registered += 1;
    tally.registrations += 1;
    tally.registering.record(now - this.#dialedAtMs);
    if (this.#freeAtMs !== undefined) {
      tally.reconnects += 1;
      tally.returning.record(Math.max(0, now - this.#freeAtMs));
    }
    this.#disruption?.back(now);
    this.#disruption = undefined;
    this.#freeAtMs = undefined;
    this.#known = true;
    this.#aliveBeforeMs = this.#lastAliveMs;
    this.#lastAliveMs = now;
    this.#liveSinceMs = now;
    this.#timing = heartbeat;
    this.#pulse = new Pulse(heartbeat, now, random);
    wheel.wakeAt(this, this.#pulse.nextAtMs);
  }

  #retime(timing: HeartbeatTiming): void {
    const { intervalMs, timeoutMs } = timing;
    this.#timing = { intervalMs, timeoutMs };
    if (this.#phase !== 'live' || this.#pulse === undefined) return;
    this.#pulse.retime(this.#timing, this.#now(), this.#context.random);
    this.#context.wheel.wakeAt(this, this.#pulse.nextAtMs);
  }

  #refused({ code, message }: Extract<HeardMessage, { type: 'error' }>): void {
    if (this.#phase === 'registering') this.#giveUp({ kind: 'rejected', code, message });
    else this.#context.tally.errors.add(code);
  }

  #beat(nowMs: number): void {
    const pulse = this.#pulse;
    if (pulse === undefined) return;
    const { tally, wheel, random, statsShare, statsBeats } = this.#context;
    const action = pulse.due(nowMs);
    if (action === 'probe' || action === 'lost') tally.missed += 1;
    if (action === 'lost') {
      this.#giveUp({ kind: 'silent' });
      return;
    }
    wheel.wakeAt(this, pulse.nextAtMs);
    if (action === 'none') return;
    this.#pingedAtMs ??= nowMs;
    tally.pings += 1;
    const withStats = action === 'beat' && statsShare > 0 && random() < statsShare;
    if (withStats) tally.stats += 1;
    const beat = withStats ? statsBeats[Math.floor(random() * statsBeats.length)] : undefined;
    this.#link?.write(beat ?? pingFrame);
  }

  /** The agent itself ends an attempt or a session. */
  #giveUp(how: Ended): void {
    this.#link?.reset();
    this.#detach();
    this.#over(how);
  }

  /** An attempt or a session ended by itself. */
  #over(how: Ended): void {
    const { tally, disruptions } = this.#context;
    const now = this.#now();
    if (this.#phase === 'live') {
      tally.drops.add(causeOf(how));
      this.#leaveSession(now);
      this.#freeAtMs = now;
      this.#disruption = disruptions.unplanned(now);
      this.#disruption.lost();
    } else {
      const refusal = refusalOf(how);
      if (refusal === undefined) tally.failures.add(causeOf(how));
      else tally.refusals.add(refusal);
    }
    this.lastEnd = describeEnd(how);
    this.#retry(how);
  }

  #retry(how: Ended): void {
    const now = this.#now();
    const delayMs = delayBefore(nextStep(how), how, this.#backoff, this.#ceilingMs(now));
    this.#phase = delayMs === null ? 'removed' : 'waiting';
    if (delayMs === null) this.#context.wheel.forget(this);
    else this.#context.wheel.wakeAt(this, now + delayMs);
  }

  #hold(untilMs: number): void {
    this.#phase = 'held';
    this.#context.wheel.wakeAt(this, untilMs);
  }

  /** The profile takes it off the hub. */
  #lose(now: number, awayMs: number, disruption: Disruption | undefined): void {
    this.#context.tally.cuts += 1;
    if (this.#phase === 'live') this.#leaveSession(now);
    this.#disruption?.overtaken(now);
    this.#disruption = disruption;
    disruption?.lost();
    this.#freeAtMs = now + awayMs;
  }

  /** The session is over: it counts as registered no longer. */
  #leaveSession(now: number): void {
    this.#context.tally.registered -= 1;
    this.#pulse = undefined;
    this.#pingedAtMs = undefined;
    if (now - this.#liveSinceMs >= BACKOFF.stableMs) this.#backoff.reset();
  }

  #ceilingMs(now: number): number {
    return retryCeilingMs(now, this.#lastAliveMs, this.#timing?.timeoutMs ?? 0);
  }
}
