import type { Duplex } from 'node:stream';
import {
  type AgentErrorCode,
  busyReason,
  CLOSE,
  type CloseCode,
  type Deregister,
  type Dropped,
  GOODBYE_CODES,
  type HeartbeatTiming,
  type HubMessage,
  LIMITS,
  MOVE_FEATURE,
  printable,
  type Register,
} from '../../shared/index.ts';
import type { Admission } from '../edge/admission.ts';
import type { Refusals } from '../edge/refusals.ts';
import { endOnError } from '../edge/upgrades.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Unwritten } from '../fleet/registrar.ts';
import type { Link, LiveSession } from '../fleet/sessions.ts';
import { NOT_YOUR_NODE } from '../rules/claim.ts';
import { namesSameNode } from '../rules/identity.ts';
import { type Caller, NOBODY, type Principal } from '../rules/principal.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Dated } from '../runtime/deadlines.ts';
import type { Log } from '../runtime/log.ts';
import { STALL_MS } from '../runtime/stall-watch.ts';
import { type Rate, refilled, TokenBucket } from '../runtime/token-bucket.ts';
import { type BadMessage, decodeAgentMessage, type Lenient } from './decode.ts';
import { FactUpdates, type Update } from './fact-updates.ts';
import { DirectSocket } from './lean-socket.ts';

/** What all agent sockets of a hub share. */
export interface AgentSocketContext {
  fleet: Fleet;
  clock: Clock;
  log: Log;
  /** A socket closed. */
  gone: (agent: AgentSocket) => void;
  admission: Admission;
  refusals: Refusals;
}

/** How a socket closed, where its agent began it. */
interface Ending {
  goodbye: boolean;
  code: number;
  detail?: string;
}

type State =
  | { kind: 'awaiting registration'; since: number }
  | { kind: 'registering' }
  | { kind: 'live'; session: LiveSession }
  /** `ending` is absent where the hub began the close: that says nothing of the node. */
  | { kind: 'closed'; ending?: Ending };

/** Messages of one session that may wait for the store at a time. */
const PENDING_MESSAGES = 8;

/** What an agent may leave unread before it is cut off: a few answers of the largest size. */
const MOST_UNREAD_BYTES = 4 * LIMITS.frameBytes;

/** Timeouts of its node for which a socket may be silent. */
const SOCKET_TIMEOUTS = 2;

/** However long the hub stood still, frames for so long at most are allowed. */
const LONGEST_STALL_MS = 60_000;

/** What lies in the sockets after a stall has been read by then. */
const READ_WITHIN_MS = 100;

/** How many frames an agent may send. */
const FRAMES: Rate = { perMs: LIMITS.framesPerSecond / 1_000, burst: LIMITS.framesBurst };

/**
 * The socket of one agent, from the upgrade to the close. Its state says which messages it may send. There are tens
 * of thousands of them, nearly all idle: what only some need at times is made when they need it.
 */
export class AgentSocket extends DirectSocket implements Link, Dated {
  remoteAddress = '';
  principal: Principal = NOBODY;
  known = false;
  deadlineSecond = 0;
  lastReceivedAt = 0;
  #state: State = { kind: 'closed' };
  /** Its agent can be asked to register elsewhere. */
  canMove = false;
  #context: AgentSocketContext | undefined;
  /** Frames that it may send at once, as of `lastReceivedAt`. */
  #frames = FRAMES.burst;
  /** The hub's stalls of which the frames that came meanwhile were allowed. */
  #stalls = 0;
  #errors: TokenBucket | undefined;
  #pending = 0;
  #work: Promise<void> | undefined;
  #updates: FactUpdates | undefined;

  /** Begins to listen. To be called in the same turn as the upgrade, or an early error would end the process. */
  begin(context: AgentSocketContext, { remoteAddress, principal, known }: Caller, socket: Duplex): void {
    const now = context.clock.now();
    this.#context = context;
    this.principal = principal ?? NOBODY;
    this.known = known ?? false;
    this.remoteAddress = remoteAddress;
    this.lastReceivedAt = now;
    this.#state = { kind: 'awaiting registration', since: now };
    // It has one of its own by now.
    socket.off('error', endOnError);
  }

  get live(): boolean {
    return this.#state.kind === 'live';
  }

  /** After this it is ended: it did not register in time, or nothing came for longer than its node may be silent. */
  get deadline(): number {
    const state = this.#state;
    if (state.kind === 'awaiting registration') return state.since + LIMITS.registerWithinMs;
    if (state.kind !== 'live') return Number.POSITIVE_INFINITY;
    // Longer than its heartbeat lasts: on a link that lost packets, the next one may come after several retransmissions,
    // and brings the node back at once where the socket still stands.
    return this.lastReceivedAt + SOCKET_TIMEOUTS * state.session.timing.timeoutMs;
  }

  /** Its deadline passed. */
  expire(): void {
    const state = this.#state;
    if (state.kind === 'awaiting registration') this.end(CLOSE.unregistered);
    if (state.kind !== 'live') return;
    this.#context?.log.info(
      { nodeId: state.session.nodeId },
      'Nothing came from this agent for too long; ending its socket',
    );
    this.#closeState();
    this.terminate();
  }

  /** The hub closes. The node's status is left to its heartbeat. */
  end(code: CloseCode, reason: string = code.reason): void {
    this.#closeState();
    this.close(code.code, reason);
  }

  /** The hub shuts down. The session is left in the fleet, so that its waiting heartbeat is written all the same. */
  drain(): void {
    this.#enter({ kind: 'closed' });
    this.close(CLOSE.restarting.code, CLOSE.restarting.reason);
  }

  /** Out of the registration, or from there on. */
  #enter(state: Extract<State, { kind: 'live' | 'closed' }>): void {
    const { kind } = this.#state;
    this.#state = state;
    if (kind === 'awaiting registration' || kind === 'registering') this.#context?.admission.ended();
  }

  #closeState(ending?: Ending): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    this.#enter({ kind: 'closed', ...(ending && { ending }) });
    this.#updates?.hurry();
    if (state.kind === 'live') this.#sessionOver(state.session, ending);
  }

  #sessionOver(session: LiveSession, ending: Ending | undefined): void {
    const registrar = this.#context?.fleet.registrar;
    if (!ending) registrar?.forget(session);
    else this.#logged(registrar?.closed(session, ending));
  }

  protected override closed(code: number, reason: Buffer): void {
    this.#context?.gone(this);
    const detail = reason.length > 0 ? printable(reason.toString()) : undefined;
    this.#closeState({ goodbye: GOODBYE_CODES.has(code), code, ...(detail && { detail }) });
  }

  protected override broken(error: Error): void {
    this.#context?.log.info(
      { remoteAddress: this.remoteAddress, why: error.message },
      'An agent broke the WebSocket protocol',
    );
    this.#closeState();
  }

  protected override pinged(): boolean {
    const now = this.#now();
    if (!this.#admits(now)) return false;
    this.#lives(now);
    return this.#mayWrite();
  }

  /** Nobody asked for it: RFC 6455, 5.5.3 calls it a heartbeat in one direction. */
  protected override ponged(): void {
    const now = this.#now();
    if (this.#admits(now)) this.#lives(now);
  }

  /** Whatever a live session sends shows that its machine lives, also where the hub can make nothing of it. */
  #lives(now: number): void {
    if (this.#state.kind === 'live') this.#context?.fleet.heartbeat(this.#state.session, now);
  }

  #now(): number {
    return this.#context?.clock.now() ?? 0;
  }

  /** Counts a frame; one too many ends the session. */
  #admits(now: number): boolean {
    if (!this.isOpen || this.#state.kind === 'closed') return false;
    this.#frames = refilled(FRAMES, this.#frames, now - this.lastReceivedAt) - 1;
    this.lastReceivedAt = now;
    if (this.#frames >= 0 || this.#allowsForStall(now)) return true;
    this.end(CLOSE.protocol, `more than ${LIMITS.framesPerSecond} frames a second`);
    return false;
  }

  /** While the hub stood still frames gathered: as many as may come in that time are no flood, once. */
  #allowsForStall(now: number): boolean {
    const { stalls } = this.#context?.fleet ?? {};
    if (!stalls || this.#stalls === stalls.count(now)) return false;
    this.#stalls = stalls.count(now);
    this.#frames += Math.min(stalls.lastMs(now), LONGEST_STALL_MS) * FRAMES.perMs;
    return this.#frames >= 0;
  }

  protected override received(data: Buffer, isBinary: boolean): void {
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
        this.#context?.fleet.registrar.stats(this.#state.session, message.stats, now);
        if (message.dropped && this.#mayComplain(now)) this.#sendDropped(message.dropped);
        break;
      case 'register':
        this.#register(message, now);
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
      this.#inTurn(now, () => this.#firstRegister(message));
    } else if (!this.#updates?.joins(message)) {
      const { clock } = this.#context ?? {};
      if (!clock) return;
      this.#updates ??= new FactUpdates(clock);
      const update = this.#updates.begin(message);
      this.#inTurn(now, () => this.#update(update));
    }
  }

  async #firstRegister(message: Lenient<Register>): Promise<void> {
    if (await this.#gaveUp()) return;
    const outcome = await this.#context?.fleet.registrar.register(message, this);
    if (outcome?.kind === 'not_your_node') {
      this.#context?.refusals.note('agents', outcome.kind, this.remoteAddress);
      this.end(CLOSE.forbidden, `${outcome.kind}: ${NOT_YOUR_NODE}`);
      return;
    }
    if (outcome?.kind === 'held') {
      if (outcome.code === 'fleet_full') this.end(CLOSE.fleetFull);
      else this.end(CLOSE.busy, busyReason(outcome.retryAfterMs, outcome.code));
      return;
    }
    if (outcome?.kind !== 'registered') {
      this.#sendAway(outcome?.kind === 'contended' ? CONTENDED.code : undefined);
      return;
    }
    const { session, reply } = outcome;
    if (this.#state.kind === 'closed') {
      // Gone while the store was asked: the node was registered all the same, and a goodbye is told now. Any other end
      // says nothing of an agent that never heard of this session, and may have one elsewhere: its heartbeat judges.
      const { ending } = this.#state;
      this.#sessionOver(session, ending?.goodbye ? ending : undefined);
      return;
    }
    this.#enter({ kind: 'live', session });
    this.canMove = message.features?.includes(MOVE_FEATURE) ?? false;
    if (session.ended) this.end(CLOSE.superseded);
    else this.#send(reply);
    if (message.dropped) this.#sendDropped(message.dropped);
  }

  /**
   * The agent sent this registration while the hub stood still, and gave it up since: taking it would end the session
   * that it has elsewhere by now. Its close may lie in the socket behind it.
   */
  async #gaveUp(): Promise<boolean> {
    const { fleet, clock } = this.#context ?? {};
    if (!clock || !fleet || fleet.stalls.graceLeftMs(STALL_MS, clock.now()) <= 0) return false;
    await new Promise<void>((resolve) => clock.after(READ_WITHIN_MS, resolve));
    return this.#state.kind === 'closed' && !this.#state.ending?.goodbye;
  }

  async #update(update: Update): Promise<void> {
    const { fleet } = this.#context ?? {};
    if (this.#state.kind !== 'live' || !fleet) return;
    const { nodeId, record } = this.#state.session;
    // One of another node is refused at once.
    const ours = namesSameNode(update.message.node, record.node);
    const turn = ours ? this.#updates?.turn(fleet.registrar.heldMs(nodeId)) : undefined;
    if (turn) await turn;
    this.#updates?.take(update);
    if (this.#state.kind !== 'live') return;
    const outcome = await fleet.registrar.update(this.#state.session, update.message);
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
    const outcome = await this.#context?.fleet.registrar.deregister(session, message.reason);
    if (outcome && outcome !== 'removed' && outcome !== 'nothing') this.#sendUnwritten(outcome);
    else this.end({ code: 1000, name: 'deregistered', reason: 'deregistered', agent: 'stop' });
  }

  #whenLive(now: number, run: (session: LiveSession) => Promise<void>): void {
    this.#inTurn(now, async () => {
      if (this.#state.kind === 'live') await run(this.#state.session);
    });
  }

  /** Messages that wait for the store are taken one after the other, the first registration among them. */
  #inTurn(now: number, run: () => Promise<void>): void {
    if (this.#pending >= PENDING_MESSAGES) {
      this.#refuse({ code: 'too_many_pending', message: 'too many messages wait for an answer' }, now);
      return;
    }
    this.#pending += 1;
    const turn = this.#work ? this.#work.then(run) : run();
    this.#work = turn.then(
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

  /** Answers a bad message. A flood of them ends the session. */
  #refuse({ code, message, path }: Omit<BadMessage, 'type'>, now: number): void {
    if (this.#mayComplain(now)) this.#sendError(code, message, path);
    else this.end(CLOSE.protocol, 'too many bad messages');
  }

  #mayComplain(now: number): boolean {
    this.#errors ??= new TokenBucket(LIMITS.errorsPerSecond, LIMITS.errorsBurst, now);
    return this.#errors.take(now);
  }

  /** Names what was dropped of a message that was taken. After its answer: an older agent takes an error for one. */
  #sendDropped(dropped: readonly Dropped[]): void {
    const left = dropped.length - LIMITS.namedFaults;
    for (const [index, { code, message, path }] of dropped.slice(0, LIMITS.namedFaults).entries()) {
      const more =
        left > 0 && index === LIMITS.namedFaults - 1 ? `; and ${left} more fields are dropped` : '';
      this.#sendError(code, `${message}${more}`, path);
    }
  }

  /** The agent is to beat otherwise from now on. Not before it has the answer to its registration. */
  tell({ intervalMs, timeoutMs }: HeartbeatTiming): boolean {
    if (this.#state.kind !== 'live') return false;
    this.#send({ type: 'heartbeat', intervalMs, timeoutMs });
    return true;
  }

  #sendUnwritten(why: Unwritten | undefined): void {
    const { code, message } = why === 'contended' ? CONTENDED : STORE_AWAY;
    this.#sendError(code, message);
  }

  /** The agent is to register elsewhere within this time, and to stay here until it has. */
  move(withinMs: number): void {
    if (this.live) this.#send({ type: 'move', withinMs: Math.round(withinMs) });
  }

  /** It may stay after all. */
  stay(): void {
    if (this.live) this.#send({ type: 'stay' });
  }

  #sendError(code: AgentErrorCode, message: string, path?: string): void {
    this.#send({ type: 'error', code, message, ...(path !== undefined && { path }) });
  }

  #send(message: HubMessage): void {
    if (this.#mayWrite()) this.sendText(JSON.stringify(message));
  }

  /** Replies are few, but a peer that never reads must not make the hub grow: it is cut off. */
  #mayWrite(): boolean {
    if (!this.isOpen) return false;
    if (this.unreadBytes <= MOST_UNREAD_BYTES) return true;
    this.#closeState();
    this.terminate();
    return false;
  }

  #logged(work: Promise<unknown> | undefined): void {
    work?.catch((error: unknown) => this.#failed(error));
  }

  /** The registration cannot be taken now. */
  #sendAway(why?: string): void {
    this.end(CLOSE.busy, busyReason(this.#context?.admission.retryAfterMs(this.#now()) ?? 1_000, why));
  }

  #failed(error: unknown): void {
    this.#context?.log.error({ err: error, remoteAddress: this.remoteAddress }, 'A session failed');
    this.#sendAway();
  }
}

const STORE_AWAY = { code: 'store_away', message: 'the hub cannot write now; try again' } as const;
const CONTENDED = {
  code: 'contended',
  message: 'others change this node at the same moment; try again',
} as const;
const notRegistered = { code: 'not_registered', message: 'register first' } as const;
