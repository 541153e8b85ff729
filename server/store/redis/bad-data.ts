import type { Clock } from '../../runtime/clock.ts';
import { LimitedLog } from '../../runtime/limited-log.ts';
import type { StoreLogger } from './redis-link.ts';

/** Data under the fleet's keys that no hub wrote. */
export type BadKind =
  /** A node's record with unreadable fields: the rest counts. */
  | 'fields'
  /** A key that was put aside. */
  | 'key'
  /** An entry of a log: skipped. */
  | 'entry'
  /** The last stats of a node: skipped. */
  | 'stats'
  /** A hub's lease: skipped. */
  | 'lease';

/** The most findings in memory, so that each is logged and counted once. */
const MOST_REMEMBERED = 5_000;

const WORDS: Readonly<Record<BadKind, string>> = {
  fields: 'A record in the store has fields that cannot be read; the others count',
  key: 'A key in the store held what no hub wrote; it was put aside',
  entry: 'An entry of the log in the store cannot be read; it was passed over',
  stats: 'Stats in the store cannot be read; they were passed over',
  lease: 'A lease in the store cannot be read; it was passed over',
};

/** Reports bad data in the store: each finding is counted once, with one line per kind a minute. */
export class BadData {
  readonly #logger: StoreLogger | undefined;
  readonly #counted: ((kind: BadKind) => void) | undefined;
  readonly #limited: LimitedLog;
  readonly #seen = new Set<string>();

  constructor(parts: { clock: Clock; logger?: StoreLogger; counted?: (kind: BadKind) => void }) {
    this.#logger = parts.logger;
    this.#counted = parts.counted;
    this.#limited = new LimitedLog(parts.clock);
  }

  /** `key`: the key of the finding; for an entry of a log, with its id. */
  found(kind: BadKind, key: string): void {
    const name = `${kind} ${key}`;
    if (this.#seen.has(name)) return;
    if (this.#seen.size >= MOST_REMEMBERED) this.#seen.clear();
    this.#seen.add(name);
    this.#counted?.(kind);
    this.#limited.say(kind, (more) => this.#logger?.warn({ key: key.slice(0, 300), ...more }, WORDS[kind]));
  }
}
