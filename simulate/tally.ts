import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** Kinds of failures that are told apart; what comes beyond counts as `other`. */
const MOST_KINDS = 50;

/** How often each of a few things happened. */
class Counts {
  readonly #counts = new Map<string, number>();
  total = 0;

  add(what: string): void {
    this.total += 1;
    const key = this.#counts.has(what) || this.#counts.size < MOST_KINDS ? what : 'other';
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  has(...any: string[]): boolean {
    return any.some((what) => this.#counts.has(what));
  }

  /** By frequency, the most frequent first. */
  toJSON(): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort(([, a], [, b]) => b - a));
  }
}

/** Milliseconds, to three digits. */
export interface Latencies {
  count: number;
  p50: number;
  p99: number;
  max: number;
}

/** Latencies without an allocation for each: a histogram of microseconds. */
export class Latency {
  readonly #micros: RecordableHistogram = createHistogram();

  record(ms: number): void {
    this.#micros.record(Math.max(1, Math.round(ms * 1_000)));
  }

  reset(): void {
    this.#micros.reset();
  }

  read(): Latencies {
    const { count, max } = this.#micros;
    if (count === 0) return { count: 0, p50: 0, p99: 0, max: 0 };
    const ms = (micros: number): number => Number((micros / 1_000).toPrecision(3));
    return {
      count,
      p50: ms(this.#micros.percentile(50)),
      p99: ms(this.#micros.percentile(99)),
      max: ms(max),
    };
  }
}

/** What a run counts. */
export class Tally {
  /** Agents that are registered now. */
  registered = 0;
  registrations = 0;
  /** Of them, those of an agent that had been registered before. */
  reconnects = 0;
  pings = 0;
  stats = 0;
  pongs = 0;
  /** Pings that no pong answered within half an interval. */
  missed = 0;
  /** From the first packet to `registered`. */
  readonly registering = new Latency();
  /** From a ping to its pong. */
  readonly pong = new Latency();
  /** The same since the last look of the progress. */
  readonly pongLately = new Latency();
  /** From being free to return to `registered`, backoff and refusals included. */
  readonly returning = new Latency();
  /** Sessions that ended though the profile did not end them, by cause. */
  readonly drops = new Counts();
  /** Attempts that the hub turned away, by HTTP status, close code or error. */
  readonly refusals = new Counts();
  /** Attempts that came to nothing otherwise, by cause. */
  readonly failures = new Counts();
  /** `error` messages of the hub, by code. */
  readonly errors = new Counts();
  /** Sessions that the profile cut or ended. */
  cuts = 0;

  ponged(ms: number): void {
    this.pongs += 1;
    this.pong.record(ms);
    this.pongLately.record(ms);
  }
}
