import type { Cancel, Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { DialectName } from './dialects.ts';

/** The entrances of a hub. */
export type Entrance = 'agents' | 'dashboards' | 'api' | 'metrics' | `dialect_${DialectName}`;
/** Why a caller was refused: no token, a wrong one, one with other rights; or the node belongs to another caller. */
export type RefusalReason = 'missing' | 'wrong' | 'forbidden' | 'not_your_node';

/** A line a minute for each entrance and reason. */
const LINE_EVERY_MS = 60_000;
/** The most addresses in a line. */
const MOST_ADDRESSES = 5;

const words: Readonly<Record<RefusalReason, string>> = {
  missing: 'Refused: no token came',
  wrong: 'Refused: the token is wrong',
  forbidden: 'Refused: this token is for other things',
  not_your_node: 'Refused: the agent that speaks for this node showed more',
};

/**
 * Counts refusals by entrance and reason, and logs them: the first at once, those of the next minute in one line.
 * Lines, addresses and memory are bounded, whatever the number of refusals.
 */
export class Refusals {
  readonly counts = new Map<`${Entrance} ${RefusalReason}`, number>();
  readonly #clock: Clock;
  readonly #log: Log;
  /** By kind, for a minute after each line. */
  readonly #waiting = new Map<string, Waiting>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  note(entrance: Entrance, reason: RefusalReason, address: string): void {
    const kind = `${entrance} ${reason}` as const;
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    const waiting = this.#waiting.get(kind);
    if (waiting) {
      waiting.count += 1;
      if (waiting.addresses.size < MOST_ADDRESSES) waiting.addresses.add(address);
      return;
    }
    this.#say(entrance, reason, { count: 1, addresses: new Set([address]) });
  }

  #say(entrance: Entrance, reason: RefusalReason, { count, addresses }: Gathered): void {
    this.#log.warn({ entrance, reason, count, addresses: [...addresses] }, words[reason]);
    const kind = `${entrance} ${reason}`;
    const cancel = this.#clock.after(LINE_EVERY_MS, () => {
      const since = this.#waiting.get(kind);
      this.#waiting.delete(kind);
      if (since && since.count > 0) this.#say(entrance, reason, since);
    });
    this.#waiting.set(kind, { count: 0, addresses: new Set(), cancel });
  }

  /** Ends logging. */
  close(): void {
    for (const { cancel } of this.#waiting.values()) cancel();
    this.#waiting.clear();
  }
}

interface Gathered {
  count: number;
  addresses: Set<string>;
}

/** Refusals since the last line of their kind, until the next. */
interface Waiting extends Gathered {
  cancel: Cancel;
}
