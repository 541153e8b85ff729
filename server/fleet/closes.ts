import { type Closing, decideClose } from '../rules/liveness.ts';
import type { Cancel } from '../runtime/clock.ts';
import { shortSession } from '../runtime/log.ts';
import { StoreAwayError } from '../store/fleet-store.ts';
import { type FleetCore, newerRecord } from './core.ts';
import type { Heartbeats } from './heartbeats.ts';
import { isAway } from './node-writes.ts';
import type { LiveSession } from './sessions.ts';

/**
 * For this part of its timeout after a stall of this hub, an agent that gave the hub up has time to return: one delay
 * and one attempt, a sixth of the timeout each, and the same again for a hub with many registrations.
 */
const RETURN_PART = 1 / 2;
/** How long the write of a held close may take after that. */
const WRITTEN_WITHIN_MS = 1_000;
/** The most closes held back; further nodes depend on their heartbeats alone. */
const MOST_HELD = 100_000;
/** The most closes that wait for the store; further nodes depend on their heartbeats alone. */
const MOST_WAITING = 100_000;

/** Writes the ends of agents' sockets to the store: at once, after a stall, or when the store is back. */
export class Closes {
  readonly #core: FleetCore;
  readonly #heartbeats: Heartbeats;
  /** By node, the newest close that is held back, and when it is due by hub time. */
  readonly #held = new Map<string, { closing: Closing; dueAt: number }>();
  /** When the timer of `#held` ends, hub time. */
  #nextAt = Number.POSITIVE_INFINITY;
  #cancel: Cancel = () => {};
  /** By node, the newest close that could not be written. */
  readonly #waiting = new Map<string, Closing>();

  constructor(core: FleetCore, heartbeats: Heartbeats) {
    this.#core = core;
    this.#heartbeats = heartbeats;
  }

  /** Drops the closes that are held back: their nodes depend on their heartbeats. */
  stop(): void {
    this.#cancel();
    this.#held.clear();
  }

  /**
   * The agent closed its socket, not this hub. A close without a goodbye during a stall of this hub, or right after it,
   * means only that the agent gave this hub up: it is written if the agent does not return in time.
   */
  async closed(session: LiveSession, how: Pick<Closing, 'goodbye' | 'code' | 'detail'>): Promise<void> {
    const { clock, sessions, stalls } = this.#core;
    sessions.detach(session);
    const { lastBeatAt, timing } = session;
    const { timeoutMs } = timing;
    const closing = { ...how, session: session.session, lastBeatAt, timeoutMs };
    const heldMs = stalls.graceLeftMs(timeoutMs * RETURN_PART, clock.now());
    if (heldMs > 0 && !how.goodbye) this.#hold(session, closing, heldMs);
    else await this.#write(session.nodeId, closing, session);
  }

  /** The shard is within reach: writes the closes that waited for it. Throws if it is away again. */
  async writeWaiting(shard: number): Promise<void> {
    const { store } = this.#core;
    const due = [...this.#waiting].filter(([id]) => store.shardOf(id) === shard);
    await Promise.all(
      due.map(async ([id, closing]) => {
        await this.#commit(id, closing);
        if (this.#waiting.get(id) === closing) this.#waiting.delete(id);
      }),
    );
  }

  /** Until the close is written the node's heartbeat must not time out: another hub would report a missed heartbeat. */
  #hold(session: LiveSession, closing: Closing, heldMs: number): void {
    if (this.#held.size >= MOST_HELD) return;
    const dueAt = this.#core.clock.now() + heldMs;
    this.#held.set(session.nodeId, { closing, dueAt });
    // A close with a shorter timeout does not wait for those with a longer one.
    if (dueAt < this.#nextAt) this.#wakeAt(dueAt);
    const until = dueAt + WRITTEN_WITHIN_MS;
    if (session.lastBeatAt + session.timing.timeoutMs < until) this.#heartbeats.owe(session, until);
  }

  #wakeAt(at: number): void {
    const { clock } = this.#core;
    this.#cancel();
    this.#nextAt = at;
    this.#cancel = clock.after(at - clock.now(), () => this.#writeDue());
  }

  #writeDue(): void {
    const { clock, log } = this.#core;
    const now = clock.now();
    let nextAt = Number.POSITIVE_INFINITY;
    for (const [id, { closing, dueAt }] of this.#held) {
      if (dueAt > now) {
        nextAt = Math.min(nextAt, dueAt);
        continue;
      }
      this.#held.delete(id);
      this.#write(id, closing).catch((error: unknown) => {
        log.error({ err: error, nodeId: id }, 'Could not write the end of a connection');
      });
    }
    this.#nextAt = Number.POSITIVE_INFINITY;
    if (nextAt < Number.POSITIVE_INFINITY) this.#wakeAt(nextAt);
  }

  async #write(id: string, closing: Closing, session?: LiveSession): Promise<void> {
    const shard = this.#core.shards.of(id);
    try {
      if (!shard.usable) throw new StoreAwayError('the store is out of reach');
      await this.#commit(id, closing, session);
    } catch (error) {
      if (!isAway(error)) throw error;
      shard.recheck();
      this.#waiting.delete(id);
      if (this.#waiting.size < MOST_WAITING) this.#waiting.set(id, closing);
    }
  }

  /** Changes nothing if the agent registered again meanwhile, here or on another hub. */
  async #commit(id: string, closing: Closing, session?: LiveSession): Promise<void> {
    const { writes, log, view, clock } = this.#core;
    const settled = await writes.settle(
      id,
      (stored, stamp) => decideClose(stored, closing, clock.now(), stamp),
      () => {
        const record = newerRecord(session?.record, view.get(id));
        return record && { kind: 'node', record, restored: false };
      },
    );
    if (settled.kind === 'contended')
      log.warn(
        { nodeId: id },
        'A close was not written: other programs keep writing this node; its heartbeat decides',
      );
    if (settled.kind !== 'done') return;
    const { to, reason } = settled.change.event;
    log.info(
      { nodeId: id, session: shortSession(closing.session), to, reason, code: closing.code },
      'Node connection ended',
    );
  }
}
