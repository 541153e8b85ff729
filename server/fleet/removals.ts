import type { FleetNode } from '../../shared/index.ts';
import { decideRemoval, type RemovalAsk } from '../rules/removal.ts';
import { type FleetCore, newestKnown } from './core.ts';
import type { Away, Decide, Settled } from './node-writes.ts';
import { type Unwritten, unwritten } from './registrar.ts';
import type { LiveSession } from './sessions.ts';

export type RemovalOutcome = 'removed' | 'nothing' | Unwritten;
export type OperatorsAsk = Extract<RemovalAsk, { reason: 'removed_by_operator' }>;

/** Removals of nodes: by their agents and by operators. The hub that holds the node's socket closes it. */
export class Removals {
  readonly #core: FleetCore;

  constructor(core: FleetCore) {
    this.#core = core;
  }

  /** The agent of a live session asks to be removed. */
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
    return this.#removed(id, ask, await this.#core.writes.trySettle(id, decisionOf(ask), known));
  }

  /** Removes a node if it is still what the operator wants removed; else answers what it is now. */
  async removeOnly(id: string, ask: OperatorsAsk): Promise<RemovalOutcome | { left: FleetNode }> {
    const { writes } = this.#core;
    let settled = await writes.trySettle(id, decisionOf(ask), () => newestKnown(this.#core, id));
    // What this hub knows may be a moment old: only the store itself refuses.
    if (settled.kind === 'nothing') settled = await writes.trySettle(id, decisionOf(ask));
    if (settled.kind === 'nothing' && settled.stored.kind === 'node')
      return { left: settled.stored.record.node };
    return this.#removed(id, ask, settled);
  }

  async #removed(id: string, ask: RemovalAsk, settled: Settled | Away): Promise<RemovalOutcome> {
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

const decisionOf =
  (ask: RemovalAsk): Decide =>
  (stored, stamp) =>
    decideRemoval(stored, ask, stamp);
