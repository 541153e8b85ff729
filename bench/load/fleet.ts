import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { sharedNow } from '../harness/processes.ts';
import { Histogram } from '../harness/statistics.ts';
import { Agent, type AgentOwner } from './agent.ts';
import type { AgentDialectName, Beat } from './agent-dialects.ts';
import { type Counts, PacedLoop, SaturatingLoop } from './loops.ts';
import { marker } from './marker.ts';

/** What an agent does when it is lost. */
type Policy =
  | { kind: 'stay' }
  | { kind: 'herd'; port: number; listening: boolean }
  | { kind: 'jitter'; ports: readonly number[]; ceilingMs: number };

/** How many of them connect at a time, where no storm is wanted. */
const AT_ONCE = 256;
const CONNECT_WITHIN_MS = 150_000;
/** Attempts of one agent before the whole load is called broken. */
const ATTEMPTS = 5;
/** A refusal that names no time is tried again after this, by everyone alike. */
const RETRY_MS = 100;
const SCOUT_MS = 5;

/** All agents of one load process. */
export class AgentFleet implements AgentOwner {
  readonly agents: Agent[] = [];
  readonly counts: Counts = { answered: 0, late: 0, latency: new Histogram() };
  lostCount = 0;
  changesSent = 0;
  #policy: Policy = { kind: 'stay' };
  #loop: SaturatingLoop | PacedLoop | undefined;
  #changes: NodeJS.Timeout | undefined;
  #connecting:
    | { settled(agent: Agent, why: string | undefined, retryAfterMs: number | undefined): void }
    | undefined;
  #listenAt = 0;
  #returns: number[] = [];
  #refusals = new Map<string, number>();
  #lostSince = 0;

  /** The third number of the loopback addresses that its sockets come from. */
  constructor(private readonly octet: number) {}

  async connect(order: {
    dialect: AgentDialectName;
    ports: readonly number[];
    count: number;
    prefix: string;
    keepAliveSeconds: number;
  }): Promise<number> {
    const { ports } = order;
    const portOf = (index: number): number => ports[index % ports.length] ?? 0;
    const added = Array.from({ length: order.count }, (_, index) => {
      const localAddress = `127.0.${this.octet}.${2 + (index % 8)}`;
      return new Agent(`${order.prefix}-${index}`, order.dialect, localAddress, order.keepAliveSeconds, this);
    });
    this.agents.push(...added);
    const indexOf = new Map(added.map((agent, index) => [agent, index]));
    let next = 0;
    let left = added.length;
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`${left} of ${added.length} agents did not connect in time`)),
        CONNECT_WITHIN_MS,
      );
      const begin = (): void => {
        const agent = added[next];
        next += 1;
        if (agent) agent.connect(portOf(next - 1));
      };
      this.#connecting = {
        settled: (agent, why, retryAfterMs) => {
          // One of those that were there before is not waited for here.
          if (!indexOf.has(agent)) return;
          const asked = retryAfterMs !== undefined;
          if (why === undefined) {
            left -= 1;
            if (left > 0) begin();
            else {
              clearTimeout(late);
              resolve();
            }
            return;
          }
          // To be asked to wait is no failure; the deadline of all bounds it.
          if (!asked) agent.failures += 1;
          if (agent.failures >= ATTEMPTS) {
            clearTimeout(late);
            reject(new Error(`${agent.id} cannot connect: ${why}`));
          } else setTimeout(() => agent.connect(portOf(indexOf.get(agent) ?? 0)), retryAfterMs ?? RETRY_MS);
        },
      };
      if (left === 0) {
        clearTimeout(late);
        resolve();
      }
      for (let index = 0; index < Math.min(AT_ONCE, left); index += 1) begin();
    }).finally(() => {
      this.#connecting = undefined;
    });
    for (const agent of added) agent.failures = 0;
    return this.agents.length;
  }

  joined(agent: Agent): void {
    if (this.#connecting) this.#connecting.settled(agent, undefined, undefined);
    else if (this.#policy.kind !== 'stay') this.#returns.push(sharedNow());
  }

  answered(agent: Agent, count: number): void {
    for (let index = 0; index < count; index += 1) this.#loop?.answered(agent);
  }

  lost(agent: Agent, why: string, retryAfterMs: number | undefined): void {
    this.#loop?.lost(agent);
    agent.sentAt = 0;
    if (this.#connecting) {
      this.#connecting.settled(agent, why, retryAfterMs);
      return;
    }
    this.lostCount += 1;
    const policy = this.#policy;
    if (policy.kind === 'stay') return;
    if (policy.kind === 'jitter') {
      const step = Math.min(60_000, 1_000 * 2 ** Math.min(agent.failures, 16), policy.ceilingMs);
      agent.failures += 1;
      this.#lostSince += 1;
      // As the agent does: its hubs one after the other, each agent in an order of its own.
      const port = policy.ports[(agent.failures + agent.turn) % policy.ports.length] ?? 0;
      const wait = retryAfterMs === undefined ? Math.random() * step : retryAfterMs * (1 + Math.random() / 2);
      setTimeout(() => agent.connect(port), wait);
    } else if (policy.listening) {
      const kind = why.replaceAll(/\d{4,}/g, '…').slice(0, 60);
      this.#refusals.set(kind, (this.#refusals.get(kind) ?? 0) + 1);
      setTimeout(() => agent.connect(policy.port), retryAfterMs ?? RETRY_MS);
    } else this.#lostSince += 1;
  }

  saturate(beat: Beat, p99Ms: number): void {
    this.rest();
    this.#loop = new SaturatingLoop(this.#live(), beat, p99Ms, this.counts);
  }

  pace(beat: Beat, perSecond: number): void {
    this.rest();
    this.#loop = new PacedLoop(this.#live(), beat, perSecond, this.counts);
  }

  get underWay(): number {
    return this.#loop?.underWay ?? 0;
  }

  rest(): void {
    this.#loop?.stop();
    this.#loop = undefined;
    clearInterval(this.#changes);
    for (const agent of this.agents) agent.sentAt = 0;
  }

  #live(): Agent[] {
    return this.agents.filter(({ state }) => state === 'joined');
  }

  /** Pings of all agents, one after the other; when each was sent. */
  async lastPings(spacingMs: number): Promise<Array<[id: string, sentAt: number]>> {
    const sent: Array<[string, number]> = [];
    for (const agent of this.#live()) {
      sent.push([agent.id, sharedNow()]);
      agent.beat('ping');
      if (spacingMs > 0) await pause(spacingMs);
    }
    return sent;
  }

  /** Status changes, so many a second: each agent's check fails and is well again in turn. */
  change(perSecond: number): void {
    this.rest();
    const agents = this.#live();
    const startedAt = performance.now();
    let sent = 0;
    this.#changes = setInterval(() => {
      const due = Math.floor(((performance.now() - startedAt) / 1_000) * perSecond);
      for (; sent < due; sent += 1) {
        const round = Math.floor(sent / agents.length);
        const index = sent % agents.length;
        // Half of them fail while the others are well again, so that at any time every other change has a marker.
        agents[index]?.change((round + index) % 2 === 0 ? marker(sharedNow()) : undefined);
        this.changesSent += 1;
      }
    }, 5);
  }

  /** RST of some at once; when it began. */
  reset(from: number, count: number): number {
    const at = sharedNow();
    for (const agent of this.agents.slice(from, from + count)) agent.reset();
    return at;
  }

  drop(): void {
    this.rest();
    this.#policy = { kind: 'stay' };
    for (const agent of this.agents) agent.destroy();
    this.agents.length = 0;
  }

  /** Whoever is lost from now on waits for somebody to listen at the port; then all come at once. */
  herd(port: number): void {
    this.#begin({ kind: 'herd', port, listening: false });
    const scout = (): void => {
      if (this.#policy.kind !== 'herd') return;
      const socket = connect({ host: '127.0.0.1', port, localAddress: `127.0.${this.octet}.254` });
      socket.once('error', () => setTimeout(scout, SCOUT_MS));
      socket.once('connect', () => {
        socket.destroy();
        // The server that is still to be killed answers too.
        if (this.#lostSince < this.agents.length) setTimeout(scout, SCOUT_MS);
        else this.#comeBack(port);
      });
    };
    scout();
  }

  #comeBack(port: number): void {
    this.#policy = { kind: 'herd', port, listening: true };
    this.#listenAt = sharedNow();
    for (const agent of this.agents) agent.connect(port);
  }

  jitter(ports: readonly number[], ceilingMs: number): void {
    this.#begin({ kind: 'jitter', ports, ceilingMs });
  }

  #begin(policy: Policy): void {
    this.rest();
    this.#policy = policy;
    this.#returns = [];
    this.#refusals = new Map();
    this.#lostSince = 0;
    this.#listenAt = 0;
  }

  returned() {
    const times = [...this.#returns].sort((a, b) => a - b);
    const wanted = Math.ceil(0.99 * this.agents.length);
    return {
      agents: this.agents.length,
      joined: this.#live().length,
      listenAt: this.#listenAt,
      at99: times[wanted - 1] ?? 0,
      lastAt: times.at(-1) ?? 0,
      lost: this.#lostSince,
      refusals: [...this.#refusals],
    };
  }
}
