import { z } from 'zod';
import { LIMITS, type LiveStats, liveStatsSchema } from '../../shared/index.ts';

const statsMessageSchema = z.object({ stats: z.record(z.string(), liveStatsSchema) });

/** Live figures of the nodes that somebody looks at now, and of no others. */
export class LiveFigures {
  readonly #figures = new Map<string, LiveStats>();
  /** Who looks at what: the table at its rows, the drawer at its node. */
  readonly #wanted = new Map<string, readonly string[]>();
  #watched = '';

  get(id: string): LiveStats | undefined {
    return this.#figures.get(id);
  }

  /** Says what one part of the page looks at. Returns whether that changes what is watched in all. */
  want(part: string, ids: readonly string[]): boolean {
    this.#wanted.set(part, ids);
    const watched = this.ids.join(' ');
    if (watched === this.#watched) return false;
    this.#watched = watched;
    const kept = new Set(this.ids);
    for (const id of this.#figures.keys()) if (!kept.has(id)) this.#figures.delete(id);
    return true;
  }

  /** What is watched, as many as one may. */
  get ids(): string[] {
    return [...new Set([...this.#wanted.values()].flat())].sort().slice(0, LIMITS.watchedIds);
  }

  /** Takes a message of figures; false where it cannot be read. */
  take(message: unknown): boolean {
    const read = statsMessageSchema.safeParse(message);
    if (!read.success) return false;
    for (const [id, stats] of Object.entries(read.data.stats)) this.#figures.set(id, stats);
    return true;
  }
}
