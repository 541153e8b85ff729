import { CLOSE } from '../../shared/index.ts';
import type { SocketFleet } from '../fleet/ports.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { AgentConnection } from './agent-connection.ts';

/** A hub without an answer from its store for this part of its lease has its agents register elsewhere. */
const BLIND_PART = 1 / 2;
/** Agents are asked over this part of the timeout, and each leaves within the same time again. */
const SPREAD_PART = 1 / 12;
/** How often the other hubs are asked for their readiness, and how long an answer counts. */
const ASK_EVERY_MS = 500;
const ANSWER_COUNTS_MS = 2_000;
/** Other hubs that are asked at a time. */
const MOST_ASKED = 8;

export interface EvacuationParts {
  fleet: SocketFleet;
  clock: Clock;
  log: Log;
  agents: () => Iterable<AgentConnection>;
  /**
   * The age of the last answer from the store at the hub of this address, `host:port`; undefined if it is not ready. It
   * never throws, and takes a second at most.
   */
  unheardOf: (address: string) => Promise<number | undefined>;
}

/**
 * A hub reads its store at least twice a second: of two hubs that are cut off at once, one had its last answer at most
 * this much later.
 */
const HEARD_APART_MS = 750;

/**
 * Whether another hub, with a last answer from the store `unheardMs` ago, still reaches it although this one has been
 * cut off for `blindMs`. A hub that was cut off at the same moment still reports ready until a read of its own has
 * failed.
 */
export function seesTheStore(unheardMs: number, blindMs: number): boolean {
  return unheardMs <= Math.min(blindMs / 2, blindMs - HEARD_APART_MS);
}

/**
 * The measures of a hub that is cut off from the store while its agents are well: their heartbeats are not written, so
 * the other hubs would expire them. It asks its agents to register elsewhere. Each agent checks by itself whether another
 * hub accepts it, and stays until one does. An agent that does not know the message is closed with 1012, but only while
 * another hub reports ready: if all hubs are cut off, all agents stay.
 *
 * With a timeout of T the lease is T/2: after T/4 agents are asked, over T/12, and leave within T/12. So all have left
 * after 5/12 of T; the first heartbeat times out after 2/3 (an agent that beat an interval before).
 *
 *     timeout    asked from     all have left    first heartbeat ends
 *        3 s        0.75 s         1.25 s              2 s
 *       30 s        7.5  s        12.5  s             20 s
 *      180 s       45    s        75    s            120 s
 */
export class Evacuation {
  readonly #parts: EvacuationParts;
  #isOn = false;
  #toAsk: AgentConnection[] = [];
  #perTurn = 0;
  #asked: AgentConnection[] = [];
  /** Agents that do not know the message. */
  #older: AgentConnection[] = [];
  #askedAt = Number.NEGATIVE_INFINITY;
  #readyAt = Number.NEGATIVE_INFINITY;

  constructor(parts: EvacuationParts) {
    this.#parts = parts;
  }

  /** Whether this hub is cut off, so that it admits no agents. */
  get isOn(): boolean {
    return this.#isOn;
  }

  /** To be called every `turnMs`. */
  turned(now: number, turnMs: number): void {
    const { leaseMs } = this.#parts.fleet.membership;
    const isBlind = this.#parts.fleet.blindMs(now) >= leaseMs * BLIND_PART;
    if (isBlind && !this.#isOn) this.#begin(turnMs);
    if (!isBlind && this.#isOn) this.#end();
    if (!this.#isOn) return;
    this.#askSome();
    this.#ask(now);
    if (now - this.#readyAt < ANSWER_COUNTS_MS) this.#closeSome();
  }

  get #spreadMs(): number {
    return 2 * this.#parts.fleet.membership.leaseMs * SPREAD_PART;
  }

  #begin(turnMs: number): void {
    this.#isOn = true;
    this.#toAsk = [...this.#parts.agents()].filter(({ live }) => live);
    this.#perTurn = Math.ceil((this.#toAsk.length * turnMs) / this.#spreadMs);
    const fields = { agents: this.#toAsk.length };
    this.#parts.log.warn(fields, 'Cut off from the store: agents are asked to register with another hub');
  }

  #end(): void {
    this.#isOn = false;
    for (const agent of this.#asked) agent.send({ type: 'stay' });
    this.#toAsk = [];
    this.#asked = [];
    this.#older = [];
    this.#parts.log.info({}, 'The store answers again: agents may stay');
  }

  #askSome(): void {
    const withinMs = Math.round(this.#spreadMs);
    for (const agent of this.#toAsk.splice(0, this.#perTurn)) {
      if (agent.send({ type: 'move', withinMs })) this.#asked.push(agent);
      else if (agent.live) this.#older.push(agent);
    }
  }

  #closeSome(): void {
    for (const agent of this.#older.splice(0, this.#perTurn)) agent.end(CLOSE.restarting);
  }

  #ask(now: number): void {
    if (this.#older.length === 0 || now - this.#askedAt < ASK_EVERY_MS) return;
    this.#askedAt = now;
    const { fleet, clock, unheardOf } = this.#parts;
    for (const address of fleet.membership.addressesElsewhere.slice(0, MOST_ASKED)) {
      void unheardOf(address).then((unheardMs) => {
        const now = clock.now();
        if (unheardMs !== undefined && seesTheStore(unheardMs, fleet.blindMs(now))) this.#readyAt = now;
      });
    }
  }
}
