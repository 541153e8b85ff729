import { decideSilence } from '../rules/liveness.ts';
import type { SilentNode } from '../store/fleet-store.ts';
import type { FleetCore } from './core.ts';
import { LONGEST_FLUSH_MS } from './heartbeats.ts';
import type { Pacing } from './pacing.ts';

/** How well this hub has seen the shard lately. */
export interface Sight {
  /** The start of unbroken contact with the store, hub time. */
  storeSince: number;
  /** The slowest answer of the store lately, milliseconds. */
  slowestMs: number;
}

const ONLY_HERE: ReadonlySet<string> = new Set();

/** Marks nodes whose heartbeats timed out: unreachable first, offline a timeout later. */
export class Expiry {
  readonly #core: FleetCore;
  readonly #pacing: Pacing;

  constructor(core: FleetCore, pacing: Pacing) {
    this.#core = core;
    this.#pacing = pacing;
  }

  /**
   * Expires overdue nodes of a shard, and returns the number of nodes that must not be expired yet. Throws
   * `StoreAwayError`.
   */
  async expireSilent(overdue: readonly SilentNode[], { storeSince, slowestMs }: Sight): Promise<number> {
    const { clock, membership } = this.#core;
    const seenMs = clock.now() - storeSince;
    const silent = overdue.filter((node) => {
      const { timeoutMs } = node.record.node.heartbeat;
      return (
        seenMs >= Math.max(timeoutMs, this.#pacing.likelyTimeoutMs) &&
        !this.#beatWaits(node) &&
        (this.#isHere(node) || node.overdueMs >= patienceMs(timeoutMs, slowestMs))
      );
    });
    if (silent.length === 0) return overdue.length;
    // The leases matter for the sockets of other hubs only, and cost a round trip.
    const hubs = silent.every((node) => this.#isHere(node)) ? ONLY_HERE : await membership.holders();
    const expired = await Promise.all(silent.map((node) => this.#expire(node, hubs)));
    return overdue.length - expired.filter(Boolean).length;
  }

  /** This hub holds the node's socket, and so has heartbeats that the store has not received yet. */
  #isHere({ record }: SilentNode): boolean {
    const { hubId, sessions } = this.#core;
    const session = sessions.get(record.node.id);
    return (
      session !== undefined &&
      !session.ended &&
      session.session === record.session &&
      record.node.connection?.hubId === hubId
    );
  }

  /** A heartbeat came in time but waits to be written, here or on the hub that holds the socket. */
  #beatWaits({ record, overdueMs }: SilentNode): boolean {
    const { clock, hubId, sessions } = this.#core;
    const { id, connection } = record.node;
    if (connection?.transport !== 'websocket') return false;
    if (connection.hubId !== hubId) return overdueMs < LONGEST_FLUSH_MS;
    const session = sessions.get(id);
    if (session === undefined || session.ended) return false;
    return clock.now() - session.lastBeatAt < session.timing.timeoutMs;
  }

  /** A conflict is not retried: the next step of the follower brings the node with its new deadline. */
  async #expire(node: SilentNode, hubs: ReadonlySet<string>): Promise<boolean> {
    const { store, shards, log, hubId } = this.#core;
    const { id, connection } = node.record.node;
    const hubIsGone = connection !== null && connection.hubId !== hubId && !hubs.has(connection.hubId);
    const stamp = { now: shards.of(id).storeNow(), changeId: store.newChangeId() };
    const change = decideSilence(node, hubIsGone, stamp);
    if (!change) return false;
    const outcome = await store.commit(change);
    if (outcome !== 'done') return outcome === 'conflict';
    const { to, reason } = change.event;
    log.warn({ nodeId: id, to, reason }, `Node missed heartbeat, marking as ${String(to).toUpperCase()}`);
    return true;
  }
}

/**
 * How long the node of a live agent on another hub may be overdue if the store's answers took this long: a heartbeat
 * waits for the previous write and then travels itself. An agent beats three times per timeout; half a timeout covers
 * both, the rest is for the heartbeat's own way to the hub.
 */
export function patienceMs(timeoutMs: number, slowestMs: number): number {
  return Math.max(0, 2 * slowestMs - timeoutMs / 2);
}
