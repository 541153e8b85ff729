import { BACKOFF, Backoff } from '../agent/session/backoff.ts';
import { HubUrls } from '../agent/session/hub-urls.ts';
import {
  type Ceilings,
  ceilings,
  delayBefore,
  describeEnd,
  type Ended,
  nextStep,
} from '../agent/session/next-step.ts';
import type { HeartbeatTiming } from '../shared/index.ts';
import { Absence } from './absence.ts';
import type { AgentContext, AgentPlace } from './agent-context.ts';
import { Beats } from './beats.ts';
import { causeOf, refusalOf } from './causes.ts';
import type { Disruption } from './disruptions.ts';
import { type HeardMessage, readHubMessage } from './hub-message.ts';
import type { Link, LinkListener } from './link.ts';
import { deregisterFrame, newInstance, registrationFrame } from './machine.ts';
import type { Sleeper } from './wheel.ts';

/** As in the agent program. */
const HANDSHAKE_MS = 10_000;
const SHORTEST_HANDSHAKE_MS = 1_000;
const REGISTER_MS = 10_000;

/**
 * `held`: the profile keeps it away. `waiting`: between two attempts. `leaving`: its goodbye or deregistration is on
 * its way. `removed`: the hub told it to stop (4404). `gone`: the simulation has ended it.
 */
type Phase =
  | { name: 'idle' | 'held' | 'waiting' | 'removed' | 'gone' }
  | { name: 'connecting' | 'registering'; link: Link }
  | { name: 'live' | 'leaving'; link: Link; beats: Beats; sinceMs: number };

/**
 * One agent of the load: a bare socket that behaves to a hub as the agent program does, by the same rules (its pulse,
 * its backoff, its answers to close codes), without a timer or an allocation for each heartbeat.
 */
export class SocketAgent implements Sleeper {
  wakeAtMs = Number.POSITIVE_INFINITY;
  readonly #context: AgentContext;
  readonly #place: AgentPlace;
  readonly #urls: HubUrls;
  readonly #absence = new Absence();
  #backoff: Backoff;
  #phase: Phase = { name: 'idle' };
  #instanceId = newInstance();
  /** Whether this instance was registered before. */
  #known = false;
  /** Counts links, so that each is told from the one before. */
  #dialed = 0;
  #dialedAtMs = 0;
  /** The hub's last sign of life in the session before. */
  #aliveBeforeMs: number | undefined;
  #confirmed = false;
  /** The timing that the hub gave it last. */
  timing: HeartbeatTiming | undefined;
  /** When the profile cut its socket; the listener takes it away. */
  cutAtMs: number | undefined;
  /** How its last attempt or session ended, for people. */
  lastEnd: string | undefined;

  constructor(context: AgentContext, place: AgentPlace) {
    this.#context = context;
    this.#place = place;
    this.#urls = new HubUrls(context.hubUrls, context.random);
    this.#backoff = new Backoff(context.random);
  }

  get phase(): Phase['name'] {
    return this.#phase.name;
  }

  /** Whether its node stands in the fleet and the hub did not confirm its last word. */
  get leftBehind(): boolean {
    return this.timing !== undefined && !this.#confirmed;
  }

  /** When the hub last showed that it hears this agent, as it was known at that time. */
  aliveAt(timeMs: number): number | undefined {
    if (this.#phase.name === 'live' && timeMs >= this.#phase.sinceMs) return this.#phase.beats.aliveMs;
    return this.#aliveBeforeMs;
  }

  /** Connects, and from then on comes back after every loss. */
  start(): void {
    if (this.#phase.name === 'idle') this.#connect();
  }

  /**
   * RST. It returns as after any loss, with backoff; with `awayMs` it is kept away for that time first, and connects
   * then.
   */
  cut(awayMs: number | undefined, disruption: Disruption | undefined): void {
    const phase = this.#phase;
    if (!('link' in phase)) return;
    const now = this.#now();
    if (phase.name === 'live') this.cutAtMs = now;
    this.#end();
    phase.link.reset();
    this.#context.tally.cuts += 1;
    this.#absence.begin(now, now + (awayMs ?? 0), disruption);
    if (awayMs === undefined) this.#retry({ kind: 'failed', message: 'cut by the profile' });
    else this.#sleep('held', now + awayMs);
  }

  /** A goodbye, and after a pause a new instance of the agent. */
  restart(pauseMs: number, disruption: Disruption | undefined): void {
    const phase = this.#phase;
    if (!('link' in phase)) return;
    const now = this.#now();
    this.#end();
    phase.link.goodbye(1001);
    this.#context.tally.cuts += 1;
    this.#absence.begin(now, now + pauseMs, disruption);
    this.#instanceId = newInstance();
    this.#backoff = new Backoff(this.#context.random);
    this.#known = false;
    this.#aliveBeforeMs = undefined;
    this.#sleep('held', now + pauseMs);
  }

  /** The end of the simulation: a goodbye, or the node is removed. Who is not connected just stops. */
  leave(how: 'goodbye' | 'deregister'): void {
    const phase = this.#phase;
    if (phase.name !== 'live') {
      this.drop();
      return;
    }
    this.#context.wheel.forget(this);
    this.#context.tally.registered -= 1;
    this.#phase = { ...phase, name: 'leaving' };
    if (how === 'goodbye') phase.link.goodbye(1000);
    else phase.link.write(deregisterFrame);
  }

  /** Ends whatever is left. */
  drop(): void {
    const phase = this.#phase;
    this.#end();
    if ('link' in phase) phase.link.reset();
    this.#context.wheel.forget(this);
    this.#phase = { name: 'gone' };
  }

  wake(nowMs: number): void {
    switch (this.#phase.name) {
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
        this.#beat(this.#phase.link, this.#phase.beats, nowMs);
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

  #now(): number {
    return this.#context.clock.nowMs();
  }

  #connect(): void {
    const { token, lookup } = this.#context;
    const { dial, localAddress } = this.#place;
    const now = this.#now();
    this.#dialed += 1;
    this.#dialedAtMs = now;
    const link = dial(
      {
        url: new URL(this.#urls.next()),
        known: this.#known,
        ...(token !== undefined && { token }),
        ...(localAddress !== undefined && { localAddress }),
        ...(lookup && { lookup }),
      },
      this.#listener(),
    );
    this.#phase = { name: 'connecting', link };
    const longestMs = this.#known ? Math.max(SHORTEST_HANDSHAKE_MS, this.#ceilings().ownMs) : HANDSHAKE_MS;
    this.#context.wheel.wakeAt(this, now + Math.min(HANDSHAKE_MS, longestMs));
  }

  /** For one link only: what an earlier one still says after its goodbye is not for the next. */
  #listener(): LinkListener {
    const dialed = this.#dialed;
    const mine = (): boolean => dialed === this.#dialed;
    return {
      opened: () => mine() && this.#opened(),
      text: (text) => mine() && this.#text(text),
      pong: () => mine() && 'beats' in this.#phase && this.#phase.beats.pong(this.#now()),
      ended: (how) => mine() && this.#over(how),
    };
  }

  #opened(): void {
    if (this.#phase.name !== 'connecting') return;
    const { link } = this.#phase;
    this.#phase = { name: 'registering', link };
    this.#context.wheel.wakeAt(this, this.#now() + REGISTER_MS);
    link.write(registrationFrame(this.#place.index, this.#instanceId, this.#context.site));
  }

  #text(text: string): void {
    const message = readHubMessage(text);
    if (message === undefined) return;
    if (message.type === 'registered') this.#registered(message);
    else if (message.type === 'heartbeat') this.#retime(message);
    else if (message.type === 'error') this.#refused(message);
    else message satisfies never;
  }

  #registered({ hubTime, heartbeat }: Extract<HeardMessage, { type: 'registered' }>): void {
    if (this.#phase.name !== 'registering') return;
    const { tally, wheel } = this.#context;
    const now = this.#now();
    const aheadMs = Date.parse(hubTime) - now;
    this.#context.storeAheadMs = Math.max(this.#context.storeAheadMs, aheadMs);
    const beats = new Beats(this.#context, heartbeat, now);
    this.#phase = { name: 'live', link: this.#phase.link, beats, sinceMs: now };
    this.#known = true;
    this.timing = heartbeat;
    tally.registered += 1;
    tally.registrations += 1;
    tally.registering.record(now - this.#dialedAtMs);
    this.#absence.end(now, tally);
    wheel.wakeAt(this, beats.nextAtMs);
  }

  #retime({ intervalMs, timeoutMs }: HeartbeatTiming): void {
    if (this.#phase.name !== 'live') return;
    const { beats } = this.#phase;
    this.timing = { intervalMs, timeoutMs };
    beats.retime(this.timing, this.#now());
    this.#context.wheel.wakeAt(this, beats.nextAtMs);
  }

  #refused({ code, message }: Extract<HeardMessage, { type: 'error' }>): void {
    if (this.#phase.name === 'registering') this.#giveUp({ kind: 'rejected', code, message });
    else this.#context.tally.errors.add(code);
  }

  #beat(link: Link, beats: Beats, nowMs: number): void {
    const due = beats.due(nowMs);
    if (due === 'lost') {
      this.#giveUp({ kind: 'silent' });
      return;
    }
    this.#context.wheel.wakeAt(this, beats.nextAtMs);
    if (due) link.write(due);
  }

  /** The agent itself ends an attempt or a session. */
  #giveUp(how: Ended): void {
    if ('link' in this.#phase) this.#phase.link.reset();
    this.#over(how);
  }

  /** An attempt or a session ended by itself. */
  #over(how: Ended): void {
    const { tally, disruptions } = this.#context;
    const { name } = this.#phase;
    this.#end();
    if (name === 'leaving') {
      this.#confirmed = how.kind === 'closed' && how.code === 1000;
      this.#phase = { name: 'gone' };
      return;
    }
    const now = this.#now();
    const refusal = refusalOf(how);
    if (name === 'live') {
      tally.drops.add(causeOf(how));
      this.#absence.begin(now, now, disruptions.unplanned(now));
    } else if (refusal === undefined) {
      tally.failures.add(causeOf(how));
    } else {
      tally.refusals.add(refusal);
    }
    this.lastEnd = describeEnd(how);
    this.#retry(how);
  }

  #retry(how: Ended): void {
    const now = this.#now();
    const delayMs = delayBefore(nextStep(how), how, this.#backoff, this.#ceilings());
    if (delayMs !== null) {
      this.#sleep('waiting', now + delayMs);
      return;
    }
    this.#phase = { name: 'removed' };
    this.#context.wheel.forget(this);
  }

  #sleep(name: 'held' | 'waiting', untilMs: number): void {
    this.#phase = { name };
    this.#context.wheel.wakeAt(this, untilMs);
  }

  /** Nothing that its link still says is heard; what is worth remembering of a session is remembered. */
  #end(): void {
    this.#dialed += 1;
    const phase = this.#phase;
    if (phase.name !== 'live') return;
    const now = this.#now();
    this.#context.tally.registered -= 1;
    this.#aliveBeforeMs = phase.beats.aliveMs;
    if (now - phase.sinceMs >= BACKOFF.stableMs) this.#backoff.reset();
  }

  #ceilings(): Ceilings {
    return ceilings(this.#known ? this.timing?.timeoutMs : undefined, this.#urls.size);
  }
}
