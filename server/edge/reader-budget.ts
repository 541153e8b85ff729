import type { Cancel, Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { isShort, type Memory, memoryNow, unreadBudgetOf } from '../runtime/memory.ts';

/** Somebody to whom bytes were sent that are not taken yet. */
export interface Reader {
  readonly unreadBytes: number;
  /** Ends the connection at once and frees what is unread. */
  cutOff(why: string): void;
}

/** How often it is added up what is unread; sooner where an eighth of the budget was sent since. */
const LOOK_EVERY_MS = 250;
/** Of so many looks at what is unread, one is at the memory of the process too. */
const LOOKS_PER_MEMORY = 4;
/** Whoever has less than this unread is not worth an end: a plain answer, on its way. */
const SMALL_BYTES = 64 * 1024;
/** Once the budget is passed, readers end until so much of it is in use. New ones wait from here on. */
const RELIEVED = 0.75;

/**
 * One account of what all readers of a hub have not taken: dashboards, event streams, answers. Each has bounds of its
 * own, and so have all together. Where they pass theirs, or the process comes near its memory's limit, those go that
 * have most unread, and new readers are told to come later; agents stay.
 */
export class ReaderBudget {
  /** Readers that were cut off, by why. */
  readonly cut = { unread: 0, memory: 0 };
  readonly bytes: number;
  readonly #sources: Array<() => Iterable<Reader>> = [];
  readonly #log: Log;
  readonly #memory: () => Memory;
  readonly #relieve: () => void;
  readonly #end: Cancel;
  #looks = 0;
  #sent = 0;
  #short = false;
  #crowded = false;

  /** `relieve` frees what is only kept to be quick, before anybody has to go. */
  constructor({
    clock,
    log,
    memory = memoryNow,
    relieve = () => {},
  }: {
    clock: Clock;
    log: Log;
    memory?: () => Memory;
    relieve?: () => void;
  }) {
    this.#log = log;
    this.#memory = memory;
    this.#relieve = relieve;
    this.bytes = unreadBudgetOf(memory());
    this.#end = clock.every(LOOK_EVERY_MS, () => {
      this.#looks += 1;
      if (this.#looks % LOOKS_PER_MEMORY === 0) this.#lookAtMemory();
      this.#look();
    });
  }

  /** Adds readers to the account. */
  watch(readers: () => Iterable<Reader>): void {
    this.#sources.push(readers);
  }

  /** Whether new readers are to be sent away for a moment. */
  get refuses(): boolean {
    return this.#short || this.#crowded;
  }

  /** Bytes that all readers together have not taken. */
  get unreadBytes(): number {
    let bytes = 0;
    for (const readers of this.#sources) for (const { unreadBytes } of readers()) bytes += unreadBytes;
    return bytes;
  }

  /** So much was sent to readers: a burst must not wait for the next look. */
  sent(bytes: number): void {
    this.#sent += bytes;
    if (this.#sent > this.bytes / 8) this.#look();
  }

  close(): void {
    this.#end();
  }

  #look(): void {
    this.#sent = 0;
    const total = this.unreadBytes;
    this.#crowded = total > RELIEVED * this.bytes;
    if (this.#short) this.#cutDown(total, total / 2, 'memory');
    else if (total > this.bytes) this.#cutDown(total, RELIEVED * this.bytes, 'unread');
  }

  #lookAtMemory(): void {
    const memory = this.#memory();
    const short = isShort(memory);
    if (short) this.#relieve();
    if (short === this.#short) return;
    this.#short = short;
    const fields = { ...memory, unreadBytes: this.unreadBytes };
    if (short) this.#log.warn(fields, 'Memory is short: readers go first, new ones are sent away');
    else this.#log.info(fields, 'Memory is no longer short: readers are welcome again');
  }

  /** Ends those with most unread until at most so much is left. */
  #cutDown(total: number, target: number, why: keyof typeof this.cut): void {
    const readers = this.#sources
      .flatMap((each) => [...each()])
      .map((reader) => ({ reader, bytes: reader.unreadBytes }))
      .filter(({ bytes }) => bytes > SMALL_BYTES)
      .sort((a, b) => b.bytes - a.bytes);
    let left = total;
    let ended = 0;
    for (const { reader, bytes } of readers) {
      if (left <= target) break;
      reader.cutOff(why === 'memory' ? 'memory is short' : 'all readers together leave too much unread');
      left -= bytes;
      ended += 1;
    }
    if (ended === 0) return;
    this.cut[why] += ended;
    this.#log.warn({ readers: ended, unreadBytes: total, budget: this.bytes, why }, 'Cutting off readers');
  }
}
