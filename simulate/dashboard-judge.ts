import type { DashboardEvent, Reason } from '../shared/index.ts';
import type { Simulation } from './simulation.ts';
import { type Latencies, Latency } from './tally.ts';

/** Clocks of two machines, and the flight of a pong, are not known better than this. */
const SLACK_MS = 250;
/** Reasons that say that nothing was heard for the whole timeout. */
const silent: ReadonlySet<Reason> = new Set(['heartbeat_timeout', 'hub_lost']);

export interface DashboardFindings {
  /** Changes that came. */
  changes: number;
  /** Nodes called offline though the hub had answered their agents within the timeout. */
  falseOffline: number;
  /** From a RST to `unreachable` here. */
  unreachable: Latencies;
  /** Times that the dashboard had to start over. */
  resyncs: number;
}

/** Compares what a dashboard is told with what the simulation knows better. */
export class DashboardJudge {
  readonly #simulation: Simulation;
  readonly #unreachable = new Latency();
  #changes = 0;
  #falseOffline = 0;
  resyncs = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  change({ nodeId, type, from, to, reason, at }: DashboardEvent): void {
    const { agents, options } = this.#simulation;
    const number = nodeId.startsWith(`${options.prefix}-`) ? nodeId.slice(options.prefix.length + 1) : '';
    const agent = /^\d+$/.test(number) ? agents[Number(number) - 1] : undefined;
    if (agent === undefined) return;
    this.#changes += 1;
    if (type !== 'status' || from === to) return;
    if (to === 'unreachable' && reason === 'connection_lost' && agent.cutAtMs !== undefined) {
      this.#unreachable.record(this.#simulation.clock.nowMs() - agent.cutAtMs);
      agent.cutAtMs = undefined;
    }
    if (to === 'offline' && silent.has(reason) && this.#wasHeard(agent, at)) this.#falseOffline += 1;
  }

  #wasHeard(agent: Simulation['agents'][number], at: string): boolean {
    const judgedMs = this.#simulation.fromStoreTime(at);
    if (judgedMs === undefined || agent.timing === undefined) return false;
    const aliveMs = agent.aliveAt(judgedMs);
    return aliveMs !== undefined && judgedMs - aliveMs < agent.timing.timeoutMs - SLACK_MS;
  }

  read(): DashboardFindings {
    return {
      changes: this.#changes,
      falseOffline: this.#falseOffline,
      unreachable: this.#unreachable.read(),
      resyncs: this.resyncs,
    };
  }
}
