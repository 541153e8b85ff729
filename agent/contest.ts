/** A node for which several agents register keeps no longer memory of it. */
const REMEMBERED_MS = 600_000;
/** So often within that time an agent that may be the only one left returns soon. */
const SOON = 3;

/**
 * How often this agent lost its node to another registration although it may be its only agent. It returns soon then,
 * but not for ever: two that do exist would take the node from each other every second.
 */
export class Contest {
  #returns: number[] = [];

  /** Whether it may return soon once more. */
  mayReturn(nowMs: number): boolean {
    this.#returns = this.#returns.filter((at) => nowMs - at < REMEMBERED_MS);
    if (this.#returns.length >= SOON) return false;
    this.#returns.push(nowMs);
    return true;
  }
}
