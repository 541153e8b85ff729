import type { LookupFunction } from 'node:net';
import type { AgentClock } from '../agent/session/clock.ts';
import type { AgentContext } from './agent-context.ts';
import { Disruptions } from './disruptions.ts';
import { type Dial, dialSocket } from './link.ts';
import { statsBeats } from './machine.ts';
import { type Act, type ProfileKind, type ProfileNumbers, shareOf } from './profiles/profile.ts';
import { seededRandom } from './random.ts';
import { slowDial } from './slow-link.ts';
import { SocketAgent } from './socket-agent.ts';
import { type Latencies, Tally } from './tally.ts';
import { Wheel } from './wheel.ts';

/** A hub that lets no agent in within this time is out of reach. */
const REACH_WITHIN_MS = 10_000;
/** After the last agent began to connect, and after the profile's end, agents get this long to be registered. */
const SETTLE_MS = 30_000;
/** How fast agents leave at the end, and how long the last ones may take. */
const LEAVES_PER_SECOND = 2_000;
const LEAVE_MS = 5_000;
/** Who ended the run waits for no more than this. */
const INTERRUPTED_LEAVE_MS = 3_000;
const STEP_MS = 20;

/** How a simulation is made. Times are in milliseconds. */
export interface SimulationOptions {
  /** As `toAgentUrl` makes them. */
  hubUrls: readonly string[];
  token?: string;
  lookup?: LookupFunction;
  agents: number;
  racks: number;
  prefix: string;
  /** The interval to ask for. */
  intervalMs?: number;
  /** The share of beats that carry stats. */
  statsShare: number;
  connectsPerSecond: number;
  /** How long the profile runs, once the agents are there; infinity: until the run is ended. */
  durationMs: number;
  seed: number;
  /** Where to connect from, in turn; none: as the system likes. */
  localAddresses: readonly string[];
  profile: ProfileKind;
  numbers: ProfileNumbers;
  end: 'goodbye' | 'deregister';
}

export type SimulationPhase = 'reaching' | 'connecting' | 'running' | 'settling' | 'leaving' | 'over';

/** What is going on now. */
export interface Progress {
  phase: SimulationPhase;
  elapsedMs: number;
  agents: number;
  registered: number;
  beatsPerSecond: number;
  /** Since the last look. */
  pong: Latencies;
  reconnects: number;
  missed: number;
  refusals: Record<string, number>;
  drops: Record<string, number>;
  failures: Record<string, number>;
}

/** No agent was let in: the message says why. */
export class HubOutOfReachError extends Error {
  override readonly name = 'HubOutOfReachError';
}

/** Many agents of one process, what a profile does to them, and what is counted meanwhile. */
export class Simulation {
  readonly options: SimulationOptions;
  readonly clock: AgentClock;
  readonly tally = new Tally();
  readonly disruptions = new Disruptions();
  readonly agents: readonly SocketAgent[];
  readonly #wheel: Wheel;
  readonly #context: AgentContext;
  readonly #startMs: number;
  #signal = new AbortController().signal;
  #phase: SimulationPhase = 'reaching';
  #looked = { atMs: 0, pings: 0 };
  /** Agents that were registered, and removed by the hub's word, when the profile was over. */
  atEnd = { registered: 0, removed: 0 };
  /** Nodes whose removal was asked for and not confirmed. */
  notDeregistered = 0;

  constructor(options: SimulationOptions, clock: AgentClock, dial: Dial = dialSocket) {
    this.options = options;
    this.clock = clock;
    this.#startMs = clock.nowMs();
    this.#looked.atMs = this.#startMs;
    this.#wheel = new Wheel(clock);
    const { prefix, racks, intervalMs, hubUrls, token, lookup, statsShare, seed } = options;
    const random = seededRandom(seed);
    this.#context = {
      ...{ clock, wheel: this.#wheel, random, hubUrls, statsShare },
      ...{ tally: this.tally, disruptions: this.disruptions, statsBeats: statsBeats(random) },
      site: { prefix, racks, ...(intervalMs !== undefined && { intervalMs }) },
      ...(token !== undefined && { token }),
      ...(lookup && { lookup }),
      storeAheadMs: Number.NEGATIVE_INFINITY,
    };
    this.agents = this.#makeAgents(dial, random);
  }

  #makeAgents(dial: Dial, random: () => number): SocketAgent[] {
    const { agents, localAddresses, profile, numbers } = this.options;
    const network = profile.network?.(numbers);
    const nowMs = (): number => this.clock.nowMs();
    const slow = network ? slowDial(dial, network, { wheel: this.#wheel, random, nowMs }) : dial;
    const slowAgents = network ? shareOf(agents, numbers.share) : 0;
    return Array.from({ length: agents }, (_, index) => {
      const localAddress = localAddresses[index % localAddresses.length];
      const place = { index, dial: index < slowAgents ? slow : dial };
      return new SocketAgent(this.#context, {
        ...place,
        ...(localAddress !== undefined && { localAddress }),
      });
    });
  }

  /** How late this process itself was. */
  get late(): Latencies {
    return this.#wheel.late.read();
  }

  get interrupted(): boolean {
    return this.#signal.aborted;
  }

  get elapsedMs(): number {
    return this.clock.nowMs() - this.#startMs;
  }

  /** A time of the store, on this process' own clock. Undefined before the first registration. */
  fromStoreTime(at: string): number | undefined {
    const { storeAheadMs } = this.#context;
    if (!Number.isFinite(storeAheadMs)) return undefined;
    return Date.parse(at) - storeAheadMs;
  }

  /** What is going on, and what came since the last call. */
  look(): Progress {
    const nowMs = this.clock.nowMs();
    const { tally } = this;
    const seconds = Math.max(0.001, (nowMs - this.#looked.atMs) / 1_000);
    const beatsPerSecond = Math.round((tally.pings - this.#looked.pings) / seconds);
    const pong = tally.pongLately.read();
    tally.pongLately.reset();
    this.#looked = { atMs: nowMs, pings: tally.pings };
    return {
      ...{ phase: this.#phase, elapsedMs: this.elapsedMs, agents: this.agents.length },
      ...{ registered: tally.registered, beatsPerSecond, pong },
      ...{ reconnects: tally.reconnects, missed: tally.missed },
      refusals: tally.refusals.toJSON(),
      drops: tally.drops.toJSON(),
      failures: tally.failures.toJSON(),
    };
  }

  /**
   * Runs from the first connection to the last goodbye; `signal` ends it early, and still in order. `connected` is
   * called before the profile begins. Rejects with a `HubOutOfReachError` where no agent was let in.
   */
  async run(signal: AbortSignal, connected: () => void = () => {}): Promise<void> {
    this.#signal = signal;
    this.#wheel.start();
    try {
      await this.#reach();
      await this.#connect();
      if (!signal.aborted) connected();
      await this.#play();
      await this.#settle();
      this.atEnd = { registered: this.tally.registered, removed: this.#in('removed') };
      await this.#leave();
    } finally {
      for (const agent of this.agents) agent.drop();
      this.#wheel.stop();
      this.#phase = 'over';
    }
  }

  /** One agent goes first: a fleet that knocks at a wrong door in vain helps nobody. */
  async #reach(): Promise<void> {
    const [first] = this.agents;
    if (first === undefined) return;
    first.start();
    const { refusals } = this.tally;
    const decided = (): boolean =>
      first.phase === 'live' || refusals.has('HTTP 401', 'HTTP 403', '4401', '4403');
    await this.#until(decided, REACH_WITHIN_MS);
    if (first.phase === 'live' || this.#signal.aborted) return;
    throw new HubOutOfReachError(
      `${this.options.hubUrls.join(', ')} lets no agent in: ${first.lastEnd ?? 'no answer'}`,
    );
  }

  async #connect(): Promise<void> {
    this.#phase = 'connecting';
    const { connectsPerSecond } = this.options;
    const startMs = this.clock.nowMs();
    for (let started = 1; started < this.agents.length && !this.#signal.aborted; ) {
      const due = 1 + ((this.clock.nowMs() - startMs) / 1_000) * connectsPerSecond;
      for (; started < Math.min(due, this.agents.length); started += 1) this.agents[started]?.start();
      await this.#wait(STEP_MS);
    }
    await this.#until(() => this.#allThere(), SETTLE_MS);
  }

  async #play(): Promise<void> {
    this.#phase = 'running';
    const { profile, numbers, agents, racks, seed, durationMs } = this.options;
    const startMs = this.clock.nowMs();
    const playing = profile.begin({ agents, racks, numbers, random: seededRandom(seed + 1), startMs });
    for (;;) {
      const nowMs = this.clock.nowMs();
      if (this.#signal.aborted || nowMs >= startMs + durationMs) return;
      if (playing.nextAtMs <= nowMs) {
        const { what, acts } = playing.step(nowMs);
        for (const act of acts) this.#act(act, what, nowMs);
      }
      await this.#wait(STEP_MS);
    }
  }

  #act(act: Act, what: string | undefined, nowMs: number): void {
    const awayMs = act.kind === 'cut' ? act.awayMs : act.pauseMs;
    const disruption = what === undefined ? undefined : this.disruptions.begin(what, nowMs + (awayMs ?? 0));
    for (const index of act.agents) {
      const agent = this.agents[index];
      if (act.kind === 'cut') agent?.cut(awayMs, disruption);
      else if (act.kind === 'restart') agent?.restart(act.pauseMs, disruption);
      else act satisfies never;
    }
  }

  async #settle(): Promise<void> {
    this.#phase = 'settling';
    await this.#until(() => this.#allThere(), SETTLE_MS);
  }

  async #leave(): Promise<void> {
    this.#phase = 'leaving';
    const { end } = this.options;
    const startMs = this.clock.nowMs();
    const mostMs = this.interrupted ? INTERRUPTED_LEAVE_MS / 2 : Number.POSITIVE_INFINITY;
    const leaveMs = Math.min(mostMs, (this.agents.length / LEAVES_PER_SECOND) * 1_000);
    for (let left = 0; left < this.agents.length; ) {
      const due = this.agents.length * Math.min(1, (this.clock.nowMs() - startMs + STEP_MS) / leaveMs);
      for (; left < due; left += 1) this.agents[left]?.leave(end);
      await this.#pause(STEP_MS);
    }
    const untilMs = this.clock.nowMs() + (this.interrupted ? INTERRUPTED_LEAVE_MS / 2 : LEAVE_MS);
    while (this.#in('gone') < this.agents.length && this.clock.nowMs() < untilMs) await this.#pause(STEP_MS);
    if (end === 'deregister')
      this.notDeregistered = this.agents.filter(({ leftBehind }) => leftBehind).length;
  }

  #in(phase: SocketAgent['phase']): number {
    return this.agents.reduce((sum, agent) => sum + (agent.phase === phase ? 1 : 0), 0);
  }

  #allThere(): boolean {
    return this.tally.registered === this.agents.length - this.#in('removed');
  }

  async #until(holds: () => boolean, withinMs: number): Promise<void> {
    const untilMs = this.clock.nowMs() + withinMs;
    while (!holds() && this.clock.nowMs() < untilMs && !this.#signal.aborted) await this.#wait(STEP_MS);
  }

  #wait(ms: number): Promise<void> {
    return this.#signal.aborted ? Promise.resolve() : this.#pause(ms);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.after(ms, resolve);
    });
  }
}
