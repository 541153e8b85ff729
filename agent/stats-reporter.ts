import { jsonBytes, LIMITS, type NodeStats } from '../shared/index.ts';
import type { AgentClock } from './clock.ts';
import type { AgentLogger } from './log.ts';

/** Called once per interval for the machine's live figures. `undefined`: nothing to send this time. */
export type StatsProvider = () => NodeStats | undefined | Promise<NodeStats | undefined>;

export interface StatsReporterOptions {
  provider: StatsProvider;
  /** Figures that took longer than this are dropped: they no longer say how the machine is. */
  timeoutMs: number;
  clock: AgentClock;
  logger: AgentLogger;
  send: (stats: NodeStats) => void;
}

/**
 * Calls a provider that may throw, be slow or hang, apart from the heartbeat. One call at a time: a provider
 * that hangs, say on a dead network disk, would otherwise take one more thread each interval, until all of
 * them are taken. It is called again once its last call has ended, however late.
 */
export class StatsReporter {
  readonly #options: StatsReporterOptions;
  #running = false;
  /** Counts up when the waiting result is no longer wanted. */
  #round = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(options: StatsReporterOptions) {
    this.#options = options;
  }

  /** Asks the provider, and sends what it gives. Returns at once. */
  collect(): void {
    if (this.#running) return;
    this.#running = true;
    const round = this.#round;
    try {
      const figures = this.#options.provider();
      if (figures !== undefined && 'then' in figures) this.#wait(figures, round);
      else this.#settle(figures, round);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Drops a result that has not come yet. */
  cancel(): void {
    this.#round += 1;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #wait(figures: Promise<NodeStats | undefined>, round: number): void {
    const { clock, logger, timeoutMs } = this.#options;
    this.#cancelTimer = clock.after(timeoutMs, () => {
      logger.warn({ timeoutMs }, 'The stats provider is too slow; heartbeats go on without stats');
      this.cancel();
    });
    figures.then(
      (stats) => this.#settle(stats, round),
      (error: unknown) => this.#fail(error),
    );
  }

  #settle(stats: NodeStats | undefined, round: number): void {
    this.#running = false;
    if (round !== this.#round) return;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (stats !== undefined) this.#options.send(stats);
  }

  #fail(error: unknown): void {
    this.#running = false;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const reason = error instanceof Error ? error.message : String(error);
    this.#options.logger.warn({ reason }, 'The stats provider failed; heartbeats go on without stats');
  }
}

/** The wire message, or undefined with a warning where the hub would refuse it, or it is not JSON at all. */
export function statsMessage(stats: NodeStats, logger: AgentLogger): string | undefined {
  try {
    const bytes = jsonBytes(stats);
    if (bytes <= LIMITS.statsBytes) return JSON.stringify({ type: 'stats', stats });
    logger.warn({ bytes, limitBytes: LIMITS.statsBytes }, 'Stats are too large, dropped');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    logger.warn({ reason }, 'Stats cannot be written as JSON, dropped');
  }
  return undefined;
}
