import type { Cancel, Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { isShort, type Memory, memoryNow, unreadBudgetOf } from '../runtime/memory.ts';

/** A connection with sent bytes that are not taken yet. */
export interface Reader {
  readonly unreadBytes: number;
  /** Ends the connection at once and frees what is unread. */
  cutOff(why: string): void;
}

/** How often the unread bytes are added up; sooner if an eighth of the budget was sent since. */
const CHECK_EVERY_MS = 250;
/** The process' memory is checked once in this many checks of the unread bytes. */
const CHECKS_PER_MEMORY = 4;
/** A reader with less unread than this is kept: it is a plain answer on its way. */
const SMALL_BYTES = 64 * 1024;
/** Once the budget is passed, readers are cut off down to this part of it. New readers are refused from here on. */
const RELIEVED = 0.75;

/**
 * One account of the unread bytes of all readers of a hub: dashboards, event streams, answers. Each reader has its own
 * bounds, and all together have this one. If it is passed, or the process nears its memory limit, the readers with the
 * most unread bytes are cut off and new readers get 503; agents stay.
 */
export class ReaderBudget {
  /** Readers that were cut off, by reason. */
  readonly cut = { unread: 0, memory: 0 };
  readonly bytes: number;
  readonly #sources: Array<() => Iterable<Reader>> = [];
  readonly #log: Log;
  readonly #memory: () => Memory;
  readonly #relieve: () => void;
  readonly #end: Cancel;
  #checks = 0;
  #sent = 0;
  #short = false;
  #crowded = false;

  /** `relieve` frees caches before any reader is cut off. */
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
    this.#end = clock.every(CHECK_EVERY_MS, () => {
      this.#checks += 1;
      if (this.#checks % CHECKS_PER_MEMORY === 0) this.#checkMemory();
      this.#check();
    });
  }

  /** Adds readers to the account. */
  watch(readers: () => Iterable<Reader>): void {
    this.#sources.push(readers);
  }

  /** Whether new readers are refused for the moment. */
  get refuses(): boolean {
    return this.#short || this.#crowded;
  }

  /** Bytes that all readers together have not taken. */
  get unreadBytes(): number {
    let bytes = 0;
    for (const readers of this.#sources) for (const { unreadBytes } of readers()) bytes += unreadBytes;
    return bytes;
  }

  /** Counts bytes sent to readers: a burst must not wait for the next check. */
  sent(bytes: number): void {
    this.#sent += bytes;
    if (this.#sent > this.bytes / 8) this.#check();
  }

  close(): void {
    this.#end();
  }

  #check(): void {
    this.#sent = 0;
    const total = this.unreadBytes;
    this.#crowded = total > RELIEVED * this.bytes;
    if (this.#short) this.#cutDown(total, total / 2, 'memory');
    else if (total > this.bytes) this.#cutDown(total, RELIEVED * this.bytes, 'unread');
  }

  #checkMemory(): void {
    const memory = this.#memory();
    const short = isShort(memory);
    if (short) this.#relieve();
    if (short === this.#short) return;
    this.#short = short;
    const fields = { ...memory, unreadBytes: this.unreadBytes };
    if (short) this.#log.warn(fields, 'Memory is short: readers are cut off, and new ones are refused');
    else this.#log.info(fields, 'Memory is no longer short: new readers are accepted again');
  }

  /** Cuts off the readers with the most unread bytes until the target is reached. */
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
