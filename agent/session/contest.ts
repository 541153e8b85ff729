/** A node for which several agents register keeps no longer memory of it. */
const REMEMBERED_MS = 600_000;
/** So often within that time an agent that may be the only one left returns soon. */
const SOON = 3;

/**
 * A session that ended sooner was one of many registrations at once, of clones or of a restart: the one after it may be of
 * a process that is gone. Shorter than any back-off, so that two agents which both live do not take it for that in turns.
 */
export const SETTLED_MS = 10_000;

/** A registration that was sent and not answered may be written so much later, when its hub sees its store again. */
const UNANSWERED_MS = 60_000;

/**
 * How often this agent lost its node to another registration although it may be its only agent. It returns soon then,
 * but not for ever: two that do exist would take the node from each other every second.
 */
export class Contest {
  #returns: number[] = [];
  /** By connection, when a registration was sent that has no answer. */
  readonly #unanswered = new Map<object, number>();

  /** A registration was sent. */
  asked(connection: object, nowMs: number): void {
    this.#forget(nowMs);
    this.#unanswered.set(connection, nowMs);
  }

  /** And was taken. */
  answered(connection: object): void {
    this.#unanswered.delete(connection);
  }

  /** Whether another registration of its own may have taken the node. */
  isUnanswered(nowMs: number): boolean {
    this.#forget(nowMs);
    return this.#unanswered.size > 0;
  }

  #forget(nowMs: number): void {
    for (const [connection, at] of this.#unanswered)
      if (nowMs - at >= UNANSWERED_MS) this.#unanswered.delete(connection);
  }

  /** Whether it may return soon once more. */
  mayReturn(nowMs: number): boolean {
    this.#returns = this.#returns.filter((at) => nowMs - at < REMEMBERED_MS);
    if (this.#returns.length >= SOON) return false;
    this.#returns.push(nowMs);
    return true;
  }
}
