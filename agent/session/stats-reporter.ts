import {
  type Condition,
  type Dropped,
  fitStats,
  LIMITS,
  type NodeStats,
  readConditions,
  salvage,
  statsSchema,
  withUnread,
} from '../../shared/index.ts';
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

/**
 * Writes stats as the wire message. A figure that the hub would drop is dropped here, and said once until others are
 * wrong: on the wire NaN would be null, which says that it could not be read, and everything else would be lost.
 */
export class StatsWriter {
  readonly #logger: AgentLogger;
  #complaint = '';
  /** The conditions that were sent last: one that cannot be read is as it was then. */
  #conditions: Condition[] = [];

  constructor(logger: AgentLogger) {
    this.#logger = logger;
  }

  /** Undefined where nothing of it can be sent. */
  write(given: unknown): string | undefined {
    try {
      const read = salvage(statsSchema, withoutUndefined(given));
      if (!read.ok) {
        this.#complain([read.fault], 'These are no stats, dropped');
        return undefined;
      }
      const wrong = [...read.dropped];
      const { stats, dropped } = fitStats(this.#withConditions(read.data, wrong, given));
      wrong.push(...dropped);
      this.#complain(wrong, 'Some figures are wrong, dropped; the others are sent');
      if (wrong.length > 0 && Object.keys(stats).length === 0) return undefined;
      return JSON.stringify({ type: 'stats', stats });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#logger.warn({ reason }, 'Stats cannot be read, dropped');
      return undefined;
    }
  }

  #withConditions(data: NodeStats, wrong: Dropped[], given: unknown): NodeStats {
    const { stats, unread } = readConditions(data, wrong, wrong.length > 0 ? given : undefined);
    if (unread === 'all')
      return this.#conditions.length > 0 ? { ...stats, conditions: this.#conditions } : stats;
    if (!stats.conditions) return stats;
    this.#conditions = withUnread(stats.conditions, unread, this.#conditions);
    return { ...stats, conditions: this.#conditions };
  }

  #complain(dropped: readonly Dropped[], what: string): void {
    const complaint = JSON.stringify(dropped.map(({ path }) => path));
    if (complaint === this.#complaint) return;
    this.#complaint = complaint;
    if (dropped.length === 0) return;
    const named = dropped.slice(0, LIMITS.namedFaults).map(({ path, message }) => `${path}: ${message}`);
    this.#logger.warn({ dropped: named, count: dropped.length }, what);
  }
}

/** A field that is there but undefined is as good as absent, as in JSON. */
function withoutUndefined(given: unknown): unknown {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return given;
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
