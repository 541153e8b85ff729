import type { FleetEvent, Reason } from '../../shared/index.ts';

/** Changes of its node that an agent may cause at once. */
const BURST = 60;
/** After the burst, one change in this time. A restart is two: its socket closes, and it registers. */
const EVERY_MS = 5_000;
/** The longest wait for the next change, whatever the number of changes before. */
const LONGEST_WAIT_MS = 60_000;
/** The most nodes in memory; beyond it the node that was quiet for longest is dropped. */
const MOST_NODES = 100_000;

/** Changes that an agent itself causes. Changes by hubs and operators are never held back. */
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
 * The changes that each node's agent causes, on any hub: they are counted as the log is followed. A program that
 * restarts for ever, or two machines that take one id from each other, would write the history of all others out of the
 * log.
 */
export class ChangeBudget {
  /** By node, the hub time at which its whole budget is refilled. The node that spent last comes last. */
  readonly #refilledAt = new Map<string, number>();

  /** An event of the log, written by any hub. */
  followed({ nodeId, reason }: Pick<FleetEvent, 'nodeId' | 'reason'>, now: number): void {
    if (!ofAgents.has(reason)) return;
    const refilledAt = Math.max(now, this.#refilledAt.get(nodeId) ?? now) + EVERY_MS;
    this.#refilledAt.delete(nodeId);
    this.#refilledAt.set(nodeId, Math.min(refilledAt, now + BURST * EVERY_MS + LONGEST_WAIT_MS - EVERY_MS));
    this.#forget(now);
  }

  /** How long the node's next change has to wait: milliseconds, nearly always 0. */
  waitMs(nodeId: string, now: number): number {
    const refilledAt = this.#refilledAt.get(nodeId);
    return refilledAt === undefined ? 0 : Math.max(0, refilledAt + EVERY_MS - now - BURST * EVERY_MS);
  }

  /** Nodes in memory. */
  get size(): number {
    return this.#refilledAt.size;
  }

  /** Each event drops up to two nodes with a whole budget, so that no such node stays for long. */
  #forget(now: number): void {
    let checked = 0;
    for (const [nodeId, refilledAt] of this.#refilledAt) {
      if (refilledAt <= now || this.#refilledAt.size > MOST_NODES) this.#refilledAt.delete(nodeId);
      checked += 1;
      if (checked === 2) return;
    }
  }
}
