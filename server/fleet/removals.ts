import { decideRemoval, type RemovalAsk } from '../rules/removal.ts';
import { type FleetCore, newestKnown } from './core.ts';
import type { Away, Decide, Settled } from './node-writes.ts';
import { type Unwritten, unwritten } from './registrar.ts';
import type { LiveSession } from './sessions.ts';

export type RemovalOutcome = 'removed' | 'nothing' | Unwritten;

/** Removals of nodes. The hub that holds the node's socket closes it. */
export class Removals {
  readonly #core: FleetCore;

  constructor(core: FleetCore) {
    this.#core = core;
  }

  /** The agent of a live session deregisters. */
  async deregister(session: LiveSession, detail?: string): Promise<RemovalOutcome> {
    session.leaving = true;
    session.dropBeat();
    const outcome = await this.remove(session.nodeId, {
      reason: 'deregistered',
      session: session.session,
      ...(detail && { detail }),
    });
    session.leaving = outcome === 'removed' || outcome === 'nothing';
    return outcome;
  }

  /** Removes a node. */
  async remove(id: string, ask: RemovalAsk): Promise<RemovalOutcome> {
    const known = () => newestKnown(this.#core, id);
    return this.settled(id, ask, await this.#core.writes.trySettle(id, removalDecision(ask), known));
  }

  /** Logs the result of a removal, and waits until this hub's readers see it. */
  async settled(id: string, ask: RemovalAsk, settled: Settled | Away): Promise<RemovalOutcome> {
    if (settled.kind === 'nothing') return 'nothing';
    if (settled.kind !== 'done') return unwritten(settled);
    const { store, view, log } = this.#core;
    const { event } = settled.change;
    view.tombstones.wrote(store.shardOf(id), event);
    const { reason } = ask;
    const by =
      reason === 'deregistered' ? { detail: ask.detail } : { by: ask.by, remoteAddress: ask.remoteAddress };
    log.info({ nodeId: id, reason, ...by }, 'Node removed');
    await view.waitFor(id, event.seq);
    return 'removed';
  }
}

export const removalDecision =
  (ask: RemovalAsk): Decide =>
  (stored, stamp) =>
    decideRemoval(stored, ask, stamp);
