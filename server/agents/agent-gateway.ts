import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { CLOSE } from '../../shared/index.ts';
import { type Access, saysKnown } from '../edge/access.ts';
import { type Admission, OVERLOADS, type Refusal, TURN_MS } from '../edge/admission.ts';
import { refuseForNow, refuseUpgrade } from '../edge/upgrades.ts';
import { ANONYMOUS, type Principal } from '../rules/principal.ts';
import type { Cancel } from '../runtime/clock.ts';
import { Deadlines } from '../runtime/deadlines.ts';
import { AgentConnection, type AgentContext } from './agent-connection.ts';
import { type ChannelOwner, Handshakes } from './channel.ts';
import { Evacuation, type EvacuationParts } from './evacuation.ts';
import { LeanChannel } from './lean-channel.ts';

/** The interval of sweeps over passed deadlines, instead of a timer for each socket. */
const SWEEP_MS = 1_000;
/** The longest time between two checks of one socket: its deadline may have come nearer. */
const CHECK_WITHIN_MS = 10_000;
/** Sockets that are checked before the clock is read again. */
const SOCKETS_PER_SLICE = 50;
/** The hub's shutdown closes agents over this long at most, so that they do not all reconnect at once. */
const DRAIN_SPREAD_MS = 3_000;
const DRAIN_STEP_MS = 50;
/** How long a closed agent has to answer before its socket is ended. */
const DRAIN_ANSWER_MS = 1_000;

const STATUS = { unauthenticated: 401, forbidden: 403, rate_limited: 429 } as const;

/** The agents' sockets: admits them, sweeps their deadlines, and closes them when the hub shuts down. */
export class AgentGateway {
  readonly #context: AgentContext;
  readonly #access: Access;
  readonly #deadlines = new Deadlines<AgentConnection>();
  readonly #handshakes = new Handshakes();
  readonly #ends: Cancel[];
  readonly admission: Admission;
  readonly #evacuation: Evacuation;
  #sweeping = false;
  #draining: Promise<void> | undefined;

  constructor(parts: Omit<AgentContext, 'gone'> & Pick<EvacuationParts, 'unheardOf'> & { access: Access }) {
    const { fleet, clock, log, admission, refusals, unheardOf } = parts;
    this.admission = admission;
    const gone = (agent: AgentConnection) => this.#deadlines.delete(agent);
    this.#context = { fleet, clock, log, refusals, admission, gone };
    this.#access = parts.access;
    const agents = () => this.#deadlines.all();
    this.#evacuation = new Evacuation({ fleet, clock, log, agents, unheardOf });
    this.#ends = [
      clock.every(SWEEP_MS, () => void this.#sweep()),
      clock.every(TURN_MS, () => {
        const now = clock.now();
        this.admission.turned(now);
        this.#evacuation.turned(now, TURN_MS);
      }),
    ];
  }

  /** Open sockets, registered or not. */
  get size(): number {
    return this.#deadlines.size;
  }

  /** Bytes that all agents together have not read yet. */
  get unreadBytes(): number {
    let bytes = 0;
    for (const agent of this.#deadlines.all()) bytes += agent.unreadBytes;
    return bytes;
  }

  /** Admits an upgrade to an agent's socket, or refuses it before the handshake. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const now = this.#context.clock.now();
    const known = saysKnown(request);
    const admitted = this.#stopping() ?? this.#admit(request);
    const refusal = 'status' in admitted ? admitted : this.#notNow(known, now);
    if (refusal) {
      const { status, reason, why, retryAfterMs } = refusal;
      this.admission.refused[reason] += 1;
      if (status === 503) refuseForNow(socket, status, why, this.admission.retryAfterMs(now));
      else if (status === 429) refuseForNow(socket, status, why, retryAfterMs ?? 0);
      else refuseUpgrade(socket, status, why, status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {});
      return;
    }
    const principal = 'status' in admitted ? ANONYMOUS : admitted;
    const caller = this.#access.caller(request, principal);
    this.#handshakes.accept(request, socket, head, ({ stream, head, frameOptions }) => {
      this.admission.began(known);
      const open = (owner: ChannelOwner) => new LeanChannel(owner, stream, head, frameOptions);
      const agent = new AgentConnection(this.#context, caller, open);
      this.#deadlines.set(agent, agent.deadline + 1);
    });
  }

  #stopping(): Refused | undefined {
    return this.#draining && { status: 503, reason: 'stopping', why: 'the hub is shutting down' };
  }

  /** Why this agent is refused for the moment. Only callers with a token use up admission. */
  #notNow(known: boolean, now: number): Refused | undefined {
    if (!this.#context.fleet.admits || this.#evacuation.isOn)
      return { status: 503, reason: 'away', why: 'the hub cannot reach its store' };
    const reason = this.admission.overload(known, now);
    return reason && { status: 503, reason, why: OVERLOADS[reason] };
  }

  #admit(request: IncomingMessage): Principal | Refused {
    const admitted = this.#access.admit(request, { right: 'agent', entrance: 'agents' });
    if (!('refused' in admitted)) return admitted;
    const { refused, why, retryAfterMs } = admitted;
    return {
      status: STATUS[refused],
      reason: refused === 'forbidden' ? 'forbidden' : 'unauthenticated',
      why,
      retryAfterMs,
    };
  }

  /** Closes this many registered agents, which register again at another hub. Their nodes keep their status. */
  moveAway(count: number): void {
    let moved = 0;
    for (const agent of this.#deadlines.all()) {
      if (moved >= count) return;
      if (!agent.live) continue;
      agent.end(CLOSE.restarting, 'another hub of this group has room');
      moved += 1;
    }
  }

  /** In slices: the loss of a network ends thousands of sockets in one sweep. */
  async #sweep(): Promise<void> {
    const { clock, fleet } = this.#context;
    let now = clock.now();
    // After a stall sockets are read first: their data may have come long before their deadline.
    if (this.#sweeping || fleet.stalls.graceLeftMs(SWEEP_MS, now) > 0) return;
    this.#sweeping = true;
    let checked = 0;
    try {
      for (const agent of this.#deadlines.passed(now)) {
        if (now > agent.deadline) agent.expire();
        this.#deadlines.set(agent, Math.min(agent.deadline + 1, now + CHECK_WITHIN_MS));
        checked += 1;
        if (checked % SOCKETS_PER_SLICE > 0) continue;
        if (fleet.slices.over()) await fleet.slices.next();
        now = clock.now();
      }
    } finally {
      this.#sweeping = false;
    }
  }

  /** Closes every agent with 1012, spread over up to three seconds, and ends those that do not answer. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  async #drain(): Promise<void> {
    const all = [...this.#deadlines.all()];
    const steps = Math.min(DRAIN_SPREAD_MS / DRAIN_STEP_MS, Math.ceil(all.length / 20));
    const perStep = Math.ceil(all.length / Math.max(1, steps));
    for (let from = 0; from < all.length; from += perStep) {
      for (const agent of all.slice(from, from + perStep)) agent.drain();
      if (from + perStep < all.length) await this.#context.clock.sleep(DRAIN_STEP_MS);
    }
    for (let waited = 0; waited < DRAIN_ANSWER_MS && this.size > 0; waited += DRAIN_STEP_MS) {
      await this.#context.clock.sleep(DRAIN_STEP_MS);
    }
    for (const agent of this.#deadlines.all()) agent.terminate();
    for (const end of this.#ends) end();
    this.#handshakes.close();
  }
}

/** The refusal of an upgrade before the handshake. */
interface Refused {
  status: 401 | 403 | 429 | 503;
  reason: Refusal;
  why: string;
  /** After a 429. */
  retryAfterMs?: number;
}
