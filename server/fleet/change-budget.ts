import type { FleetEvent, Reason } from '../../shared/index.ts';

/** Changes that an agent may cause of its node at once. */
const BURST = 60;
/** And then one in so long. A restart is two: its socket closes, and it registers. */
const EVERY_MS = 5_000;
/** Nobody waits longer than this for its next change, however many it made. */
const LONGEST_WAIT_MS = 60_000;
/** Nodes that are remembered; beyond it the one that was quiet for longest is forgotten. */
const MOST_NODES = 100_000;

/** What an agent itself causes. What hubs and operators find is never held back. */
const ofAgents: ReadonlySet<Reason> = new Set<Reason>([
  ...([
    'registered',
    'reconnected',
    'superseded',
    'connection_lost',
    'agent_stopped',
    'deregistered',
  ] as const),
  ...(['condition_failed', 'condition_cleared'] as const),
]);

/**
 * How many changes each node's agent causes, on whichever hub: they are counted as the log is followed. A program that
 * restarts for ever, or two machines that take one id from each other, would write the history of all others out of
 * the log.
 */
export class ChangeBudget {
  /** By node, when all that it spent will have come back: hub time. The one that spent last comes last. */
  readonly #refilledAt = new Map<string, number>();

  /** An event of the log, whichever hub wrote it. */
  followed({ nodeId, reason }: Pick<FleetEvent, 'nodeId' | 'reason'>, now: number): void {
    if (!ofAgents.has(reason)) return;
    const refilledAt = Math.max(now, this.#refilledAt.get(nodeId) ?? now) + EVERY_MS;
    this.#refilledAt.delete(nodeId);
    this.#refilledAt.set(nodeId, Math.min(refilledAt, now + BURST * EVERY_MS + LONGEST_WAIT_MS - EVERY_MS));
    this.#forget(now);
  }

  /** How long the node's next change is to wait: milliseconds, nearly always 0. */
  waitMs(nodeId: string, now: number): number {
    const refilledAt = this.#refilledAt.get(nodeId);
    return refilledAt === undefined ? 0 : Math.max(0, refilledAt + EVERY_MS - now - BURST * EVERY_MS);
  }

  /** Nodes that are remembered. */
  get size(): number {
    return this.#refilledAt.size;
  }

  /** Each event forgets up to two nodes that have all they may spend, so that none of them stays for long. */
  #forget(now: number): void {
    let looked = 0;
    for (const [nodeId, refilledAt] of this.#refilledAt) {
      if (refilledAt <= now || this.#refilledAt.size > MOST_NODES) this.#refilledAt.delete(nodeId);
      looked += 1;
      if (looked === 2) return;
    }
  }
}
