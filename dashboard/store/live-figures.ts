import { LIMITS, type LiveStats } from '../../shared/index.ts';

/** Live figures of the nodes that are shown now, and of no others. */
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

  /** Takes figures by id. */
  take(figures: Readonly<Record<string, LiveStats>>): void {
    for (const [id, stats] of Object.entries(figures)) this.#figures.set(id, stats);
  }
}
