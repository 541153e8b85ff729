import type { AgentClock } from '../session/clock.ts';
import { within } from './deadline.ts';

/** A disk that does not answer within this is unknown. */
const DISK_TIMEOUT_MS = 5_000;
/** A hanging file system holds one of Node's few threads: from this number on, no other disk is asked. */
const MOST_HANGING = 2;

/** How full the fullest of some disks is. One that hangs holds up nobody, and is not asked again until it answers. */
export class FullestDisk {
  readonly #clock: AgentClock;
  readonly #percentOf: (path: string) => Promise<number>;
  readonly #hanging = new Set<string>();

  constructor(clock: AgentClock, percentOf: (path: string) => Promise<number>) {
    this.#clock = clock;
    this.#percentOf = percentOf;
  }

  /** Null where no disk answers. */
  async percent(paths: readonly string[]): Promise<number | null> {
    let fullest: number | null = null;
    for (const path of paths) {
      if (this.#hanging.has(path) || this.#hanging.size >= MOST_HANGING) continue;
      const percent = await within(this.#clock, DISK_TIMEOUT_MS, () => this.#ask(path));
      if (percent !== undefined && Number.isFinite(percent)) fullest = Math.max(fullest ?? 0, percent);
    }
    return fullest;
  }

  #ask(path: string): Promise<number> {
    this.#hanging.add(path);
    return this.#percentOf(path).finally(() => this.#hanging.delete(path));
  }
}
