import {
  type AgentErrorCode,
  busyReason,
  CLOSE,
  type CloseCode,
  type Deregister,
  type Dropped,
  FEATURE_OF_MESSAGE,
  type Feature,
  GOODBYE_CODES,
  type HubMessage,
  LIMITS,
  namedOf,
  printable,
  type Register,
} from '../../shared/index.ts';
import type { Admission } from '../edge/admission.ts';
import type { Refusals } from '../edge/refusals.ts';
import type { SocketFleet } from '../fleet/ports.ts';
import type { Unwritten } from '../fleet/registrar.ts';
import type { Link, LiveSession } from '../fleet/sessions.ts';
import { NOT_YOUR_NODE } from '../rules/claim.ts';
import { namesSameNode } from '../rules/identity.ts';
import { ANONYMOUS, type Caller, type Principal } from '../rules/principal.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Dated } from '../runtime/deadlines.ts';
import { sharedFeatures } from '../runtime/interning.ts';
import type { Log } from '../runtime/log.ts';
import { STALL_MS } from '../runtime/stall-watch.ts';
import { type Rate, refilled, TokenBucket } from '../runtime/token-bucket.ts';
import type { Channel, ChannelOwner } from './channel.ts';
import { type BadMessage, decodeAgentMessage, type Lenient } from './decode.ts';

/** What all agent connections of a hub share. */
export interface AgentContext {
  fleet: SocketFleet;
  clock: Clock;
  log: Log;
  /** A connection closed. */
  gone: (agent: AgentConnection) => void;
  admission: Admission;
  refusals: Refusals;
}

/** Messages of one session that may wait for the store at a time. */
const PENDING_MESSAGES = 8;

/** The most unread bytes of an agent before it is cut off: a few answers of the largest size. */
const MOST_UNREAD_BYTES = 4 * LIMITS.frameBytes;

/** A connection may be silent for this many timeouts of its node. */
const SILENT_TIMEOUTS = 2;

/** After a stall of any length, frames of at most this time are allowed. */
const LONGEST_STALL_MS = 60_000;

/** By this time after a stall the sockets have been read. */
const READ_WITHIN_MS = 100;

const NO_FEATURES: readonly string[] = [];

/** The rate limit of an agent's frames. */
const FRAMES: Rate = { perMs: LIMITS.framesPerSecond / 1_000, burst: LIMITS.framesBurst };

/**
 * The connection of one agent, from the upgrade to the close. Its state determines the messages that the agent may
 * send. A hub holds tens of thousands of connections, nearly all idle: rarely used parts are created on demand.
 */
export class AgentConnection implements ChannelOwner, Link, Dated {
  readonly remoteAddress: string;
  readonly principal: Principal;
  readonly known: boolean;
  deadlineSecond = 0;
  readonly #context: AgentContext;
  readonly #channel: Channel;
  #state: State;
  /** What the agent announced. */
  #features: readonly string[] = NO_FEATURES;
  #lastReceivedAt: number;
  /** Frames that the agent may send at once, as of `#lastReceivedAt`. */
  #frames = FRAMES.burst;
  /** Stalls of the hub whose gathered frames have been allowed. */
  #stalls = 0;
  #errors: TokenBucket | undefined;
  #pending = 0;
  #work: Promise<void> | undefined;
  #updates: FactUpdates | undefined;

  /** `open` makes the channel of this connection, which begins to listen at once. */
  constructor(
    context: AgentContext,
    { remoteAddress, principal, known }: Caller,
    open: (owner: ChannelOwner) => Channel,
  ) {
    const now = context.clock.now();
    this.#context = context;
    this.principal = principal ?? ANONYMOUS;
    this.known = known ?? false;
    this.remoteAddress = remoteAddress;
    this.#lastReceivedAt = now;
    this.#state = { kind: 'awaiting registration', since: now };
    this.#channel = open(this);
  }

  get live(): boolean {
    return this.#state.kind === 'live';
  }

  /**
   * The connection is ended after this time: the agent did not register, or sent nothing for longer than its node may
   * be silent.
   */
  get deadline(): number {
    const state = this.#state;
    if (state.kind === 'awaiting registration') return state.since + LIMITS.registerWithinMs;
    if (state.kind !== 'live') return Number.POSITIVE_INFINITY;
    // Longer than a heartbeat lasts: on a link with packet loss the next one may come after several retransmissions,
    // and brings the node back at once if the connection is still open.
    return this.#lastReceivedAt + SILENT_TIMEOUTS * state.session.timing.timeoutMs;
  }

  /** The deadline passed. */
  expire(): void {
    const state = this.#state;
    if (state.kind === 'awaiting registration') this.end(CLOSE.unregistered);
    if (state.kind !== 'live') return;
    this.#context.log.info(
      { nodeId: state.session.nodeId },
      'Nothing came from this agent for too long; ending its socket',
    );
    this.terminate();
  }

  /** The hub closes. The node's status depends on its heartbeat alone. */
  end(code: CloseCode, reason: string = code.reason): void {
    this.#closeState();
    this.#channel.close(code.code, reason);
  }

  /** The hub ends the connection at once. The node's status depends on its heartbeat alone. */
  terminate(): void {
    this.#closeState();
    this.#channel.terminate();
  }

  /** Bytes that the agent has not taken yet. */
  get unreadBytes(): number {
    return this.#channel.unreadBytes;
  }

  /** The hub shuts down. The session stays in the fleet, so that its waiting heartbeat is still written. */
  drain(): void {
    this.#enter({ kind: 'closed' });
    this.#channel.close(CLOSE.restarting.code, CLOSE.restarting.reason);
  }

  /** Leaves the state of registering or live. */
  #enter(state: Extract<State, { kind: 'live' | 'closed' }>): void {
    const { kind } = this.#state;
    this.#state = state;
    if (kind === 'awaiting registration' || kind === 'registering') this.#context.admission.ended();
  }

  #closeState(ending?: Ending): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    this.#enter({ kind: 'closed', ...(ending && { ending }) });
    this.#updates?.hurry();
    if (state.kind === 'live') this.#sessionOver(state.session, ending);
  }

  #sessionOver(session: LiveSession, ending: Ending | undefined): void {
    const { fleet } = this.#context;
    if (!ending) fleet.forget(session);
    else this.#logged(fleet.closed(session, ending));
  }

  closed(code: number, reason: Buffer): void {
    this.#context.gone(this);
    const detail = reason.length > 0 ? printable(reason.toString()) : undefined;
    this.#closeState({ goodbye: GOODBYE_CODES.has(code), code, ...(detail && { detail }) });
  }

  broken(error: Error): void {
    this.#context.log.info(
      { remoteAddress: this.remoteAddress, why: error.message },
      'An agent broke the WebSocket protocol',
    );
    this.#closeState();
  }

  pinged(): boolean {
    const now = this.#now();
    if (!this.#admits(now)) return false;
    this.#lives(now);
    return this.#mayWrite();
  }

  /** A pong without a ping: RFC 6455, 5.5.3 calls it a heartbeat in one direction. */
  ponged(): void {
    const now = this.#now();
    if (this.#admits(now)) this.#lives(now);
  }

  /** Any frame of a live session is proof of life, even one that the hub cannot parse. */
  #lives(now: number): void {
    if (this.#state.kind === 'live') this.#context.fleet.heartbeat(this.#state.session, now);
  }

  #now(): number {
    return this.#context.clock.now();
  }

  /** Counts a frame; one too many ends the session. */
  #admits(now: number): boolean {
    if (!this.#channel.isOpen || this.#state.kind === 'closed') return false;
    this.#frames = refilled(FRAMES, this.#frames, now - this.#lastReceivedAt) - 1;
    this.#lastReceivedAt = now;
    if (this.#frames >= 0 || this.#allowsForStall(now)) return true;
    this.end(CLOSE.protocol, `more than ${LIMITS.framesPerSecond} frames a second`);
    return false;
  }

  /** Frames gathered during a stall of the hub: as many as fit into that time are allowed, once. */
  #allowsForStall(now: number): boolean {
    const { stalls } = this.#context.fleet;
    if (this.#stalls === stalls.count(now)) return false;
    this.#stalls = stalls.count(now);
    this.#frames += Math.min(stalls.lastMs(now), LONGEST_STALL_MS) * FRAMES.perMs;
    return this.#frames >= 0;
  }

  received(data: Buffer, isBinary: boolean): void {
    const now = this.#now();
    if (!this.#admits(now)) return;
    if (isBinary) {
      this.end(CLOSE.protocol, 'messages are text frames');
      return;
    }
    const message = decodeAgentMessage(data);
    if (message.type !== 'stats') this.#lives(now);
    switch (message.type) {
      case 'bad':
        this.#refuse(message, now);
        break;
      case 'stats':
        if (this.#state.kind !== 'live') {
          this.#refuse(notRegistered, now);
          break;
        }
        this.#context.fleet.report(this.#state.session, message, now);
        if (message.dropped && this.#mayComplain(now)) this.#sendDropped(message.dropped);
        break;
      case 'register':
        this.#register(message, now);
        break;
      case 'heartbeat_set':
        if (this.#state.kind !== 'live') this.#refuse(notRegistered, now);
        else this.#context.fleet.acknowledged(this.#state.session, message.intervalMs);
        break;
      case 'deregister':
        if (this.#state.kind !== 'live') this.#refuse(notRegistered, now);
        else {
          this.#updates?.hurry();
          this.#whenLive(now, (session) => this.#deregister(session, message));
        }
        break;
      default:
        message satisfies never;
    }
  }

  #register(message: Lenient<Register>, now: number): void {
    if (message.dropped && !this.#mayComplain(now)) {
      this.end(CLOSE.protocol, 'too many bad messages');
      return;
    }
    if (this.#state.kind === 'awaiting registration') {
      this.#state = { kind: 'registering' };
      this.#inOrder(now, () => this.#firstRegister(message));
    } else if (!this.#updates?.joins(message)) {
      this.#updates ??= new FactUpdates(this.#context.clock);
      const update = this.#updates.begin(message);
      this.#inOrder(now, () => this.#update(update));
    }
  }

  async #firstRegister(message: Lenient<Register>): Promise<void> {
    if (await this.#gaveUp()) return;
    if (message.features) this.#features = sharedFeatures(message.features);
    const outcome = await this.#context.fleet.register(message, this);
    if (outcome.kind === 'not_your_node') {
      this.#context.refusals.note('agents', outcome.kind, this.remoteAddress);
      this.end(CLOSE.forbidden, `${outcome.kind}: ${NOT_YOUR_NODE}`);
      return;
    }
    if (outcome.kind === 'held') {
      if (outcome.code === 'fleet_full') this.end(CLOSE.fleetFull);
      else this.end(CLOSE.busy, busyReason(outcome.retryAfterMs, outcome.code));
      return;
    }
    if (outcome.kind !== 'registered') {
      this.#sendAway(outcome.kind === 'contended' ? CONTENDED.code : undefined);
      return;
    }
    const { session, reply } = outcome;
    if (this.#state.kind === 'closed') {
      // Closed during the call to the store: the node was registered all the same, and a goodbye counts now. Any other
      // end means nothing: the agent never got this session's answer, and may have another session elsewhere. Its
      // heartbeat decides.
      const { ending } = this.#state;
      this.#sessionOver(session, ending?.goodbye ? ending : undefined);
      return;
    }
    this.#enter({ kind: 'live', session });
    if (session.ended) this.end(CLOSE.superseded);
    else this.#send(reply);
    if (message.dropped) this.#sendDropped(message.dropped);
  }

  /**
   * The agent sent this registration during a stall of the hub, and gave it up since: accepting it would end the
   * session that it has elsewhere by now. Its close may lie in the socket behind it.
   */
  async #gaveUp(): Promise<boolean> {
    const { fleet, clock } = this.#context;
    if (fleet.stalls.graceLeftMs(STALL_MS, clock.now()) <= 0) return false;
    await clock.sleep(READ_WITHIN_MS);
    return this.#state.kind === 'closed' && !this.#state.ending?.goodbye;
  }

  async #update(update: Update): Promise<void> {
    const { fleet } = this.#context;
    if (this.#state.kind !== 'live') return;
    const { nodeId, record } = this.#state.session;
    // An update of another node is refused at once.
    const ours = namesSameNode(update.message.node, record.node);
    const slot = ours ? this.#updates?.slot(fleet.heldMs(nodeId)) : undefined;
    if (slot) await slot;
    this.#updates?.take(update);
    if (this.#state.kind !== 'live') return;
    const outcome = await fleet.update(this.#state.session, update.message);
    if (outcome.kind === 'updated' && outcome.written) this.#updates?.written();
    for (const dropped of update.answers) {
      if (outcome.kind === 'updated') {
        this.#send(outcome.reply);
        if (dropped) this.#sendDropped(dropped);
      } else if (outcome.kind === 'identity-changed')
        this.#sendError('identity_changed', 'this session is of another node', 'node.nodeId');
      else this.#sendUnwritten(outcome.kind);
    }
  }

  async #deregister(session: LiveSession, message: Deregister): Promise<void> {
    const outcome = await this.#context.fleet.deregister(session, message.reason);
    if (outcome !== 'removed' && outcome !== 'nothing') this.#sendUnwritten(outcome);
    else this.end({ code: 1000, name: 'deregistered', reason: 'deregistered', agent: 'stop' });
  }

  #whenLive(now: number, run: (session: LiveSession) => Promise<void>): void {
    this.#inOrder(now, async () => {
      if (this.#state.kind === 'live') await run(this.#state.session);
    });
  }

  /** Messages that wait for the store are processed in order, the first registration among them. */
  #inOrder(now: number, run: () => Promise<void>): void {
    if (this.#pending >= PENDING_MESSAGES) {
      this.#refuse({ code: 'too_many_pending', message: 'too many messages wait for an answer' }, now);
      return;
    }
    this.#pending += 1;
    const work = this.#work ? this.#work.then(run) : run();
    this.#work = work.then(
      () => this.#over(),
      (error: unknown) => {
        this.#over();
        this.#failed(error);
      },
    );
  }

  #over(): void {
    this.#pending -= 1;
    if (this.#pending === 0) this.#work = undefined;
  }

  /** Answers a bad message. A flood of bad messages ends the session. */
  #refuse({ code, message, path }: Omit<BadMessage, 'type'>, now: number): void {
    if (this.#mayComplain(now)) this.#sendError(code, message, path);
    else this.end(CLOSE.protocol, 'too many bad messages');
  }

  #mayComplain(now: number): boolean {
    this.#errors ??= new TokenBucket(LIMITS.errorsPerSecond, LIMITS.errorsBurst, now);
    return this.#errors.take(now);
  }

  /** Reports dropped fields of an accepted message. After its answer: an older agent takes an error for the answer. */
  #sendDropped(dropped: readonly Dropped[]): void {
    for (const { code, message, path } of namedOf(dropped)) this.#sendError(code, message, path);
  }

  understands(feature: Feature): boolean {
    return this.#features.includes(feature);
  }

  send(message: HubMessage): boolean {
    if (this.#state.kind !== 'live') return false;
    const feature = FEATURE_OF_MESSAGE[message.type];
    if (feature !== undefined && !this.understands(feature)) return false;
    this.#send(message);
    return true;
  }

  #sendUnwritten(why: Unwritten): void {
    const { code, message } = why === 'contended' ? CONTENDED : STORE_AWAY;
    this.#sendError(code, message);
  }

  #sendError(code: AgentErrorCode, message: string, path?: string): void {
    this.#send({ type: 'error', code, message, ...(path !== undefined && { path }) });
  }

  #send(message: HubMessage): void {
    if (this.#mayWrite()) this.#channel.sendText(JSON.stringify(message));
  }

  /** Replies are rare, but a peer that never reads must not make the hub's memory grow: it is cut off. */
  #mayWrite(): boolean {
    if (!this.#channel.isOpen) return false;
    if (this.unreadBytes <= MOST_UNREAD_BYTES) return true;
    this.terminate();
    return false;
  }

  #logged(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#failed(error));
  }

  /** The registration is refused for the moment. */
  #sendAway(why?: string): void {
    this.end(CLOSE.busy, busyReason(this.#context.admission.retryAfterMs(this.#now()), why));
  }

  #failed(error: unknown): void {
    this.#context.log.error({ err: error, remoteAddress: this.remoteAddress }, 'A session failed');
    this.#sendAway();
  }
}

const STORE_AWAY = { code: 'store_away', message: 'the hub cannot write now; try again' } as const;
const CONTENDED = {
  code: 'contended',
  message: 'others change this node at the same moment; try again',
} as const;
const notRegistered = { code: 'not_registered', message: 'register first' } as const;

/** A node's facts are written at most this often. */
const EVERY_MS = 1_000;

/** An update to be written, with the dropped fields of each message that it answers. */
interface Update {
  message: Lenient<Register>;
  answers: Array<Lenient<Register>['dropped']>;
}

/**
 * Further `register` messages of one session. While one waits to be written, later ones replace it and are answered
 * with it: the newest facts are written, at most once a second.
 */
class FactUpdates {
  readonly #clock: Clock;
  #waiting: Update | undefined;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #hurry = (): void => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Replaces the waiting update; false if there is none, or it names another node. */
  joins(message: Lenient<Register>): boolean {
    const waiting = this.#waiting;
    if (!waiting || nameOf(waiting.message) !== nameOf(message)) return false;
    waiting.message = message;
    waiting.answers.push(message.dropped);
    return true;
  }

  /** Begins an update that later ones may replace until it is written. */
  begin(message: Lenient<Register>): Update {
    this.#waiting = { message, answers: [message.dropped] };
    return this.#waiting;
  }

  /** Resolves when an update may be written, after `heldMs` at the soonest; undefined if at once. */
  slot(heldMs: number): Promise<void> | undefined {
    const waitMs = Math.max(heldMs, this.#writtenAt + EVERY_MS - this.#clock.now());
    if (waitMs <= 0) return undefined;
    return new Promise((resolve) => {
      const cancel = this.#clock.after(waitMs, resolve);
      this.#hurry = () => {
        cancel();
        resolve();
      };
    });
  }

  /** The update is written now: no later one replaces it. */
  take(update: Update): void {
    if (this.#waiting === update) this.#waiting = undefined;
  }

  /** An update was written. */
  written(): void {
    this.#writtenAt = this.#clock.now();
  }

  /** The session ends: nothing waits any longer. */
  hurry(): void {
    this.#hurry();
  }
}

/** The name of a node in a message. */
const nameOf = ({ node }: Register): string => node.nodeId ?? node.hostname;

type State =
  | { kind: 'awaiting registration'; since: number }
  | { kind: 'registering' }
  | { kind: 'live'; session: LiveSession }
  /** `ending` is absent if the hub began the close, which means nothing for the node. */
  | { kind: 'closed'; ending?: Ending };

/** How a connection closed, if its agent began the close. */
interface Ending {
  goodbye: boolean;
  code: number;
  detail?: string;
}
