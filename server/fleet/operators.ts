import type { FleetNode } from '../../shared/index.ts';
import type { RemovalAsk } from '../rules/removal.ts';
import { type FleetCore, newestKnown } from './core.ts';
import { type RemovalOutcome, type Removals, removalDecision } from './removals.ts';

export type OperatorsAsk = Extract<RemovalAsk, { reason: 'removed_by_operator' }>;

/** Changes by operators. */
export class Operators {
  readonly #core: FleetCore;
  readonly #removals: Removals;

  constructor(core: FleetCore, removals: Removals) {
    this.#core = core;
    this.#removals = removals;
  }

  /** Removes a node if it still meets the operator's conditions; else returns its present state. */
  async remove(id: string, ask: OperatorsAsk): Promise<RemovalOutcome | { left: FleetNode }> {
    const { writes } = this.#core;
    let settled = await writes.trySettle(id, removalDecision(ask), () => newestKnown(this.#core, id));
    // This hub's record may be slightly outdated: only the store itself refuses.
    if (settled.kind === 'nothing') settled = await writes.trySettle(id, removalDecision(ask));
    if (settled.kind === 'nothing' && settled.stored.kind === 'node')
      return { left: settled.stored.record.node };
    return this.#removals.settled(id, ask, settled);
  }
}
