import type { Condition } from '../../shared/index.ts';
import type { FleetContext } from './context.ts';
import { decideConditions, sameConditions } from './decide-liveness.ts';
import type { LiveSession } from './sessions.ts';
import { settle } from './settle.ts';

/** A node's conditions are written at most this often, the newest of them: a flapping check must not flood the log. */
const EVERY_MS = 1_000;

/** Writes the conditions that agents report: the first at once, then the newest of each second. */
export class ConditionReports {
  readonly #context: FleetContext;
  /** The newest report of each session whose last one was less than a second ago. */
  readonly #resting = new Map<LiveSession, Condition[] | undefined>();

  constructor(context: FleetContext) {
    this.#context = context;
  }

  report(session: LiveSession, conditions: Condition[]): void {
    if (this.#resting.has(session)) {
      this.#resting.set(session, conditions);
      return;
    }
    if (sameConditions(conditions, session.record.node.conditions)) return;
    this.#resting.set(session, undefined);
    void this.#write(session, conditions);
    this.#context.clock.after(EVERY_MS, () => this.#wake(session));
  }

  #wake(session: LiveSession): void {
    const newest = this.#resting.get(session);
    this.#resting.delete(session);
    if (newest && !session.ended) this.report(session, newest);
  }

  /** A report that cannot be written is not kept: the agent's next stats bring it again. */
  async #write(session: LiveSession, conditions: Condition[]): Promise<void> {
    const { store, storeNow, log } = this.#context;
    const known = { kind: 'node', record: session.record, restored: false } as const;
    const reported = { session: session.session, conditions };
    try {
      const settled = await settle(
        store,
        session.nodeId,
        storeNow,
        (stored, stamp) => decideConditions(stored, reported, stamp),
        known,
      );
      if (settled.kind !== 'done') return;
      if (!session.ended) session.record = settled.change.record;
      const { from, to, reason, evidence } = settled.change.event;
      log.info(
        { nodeId: session.nodeId, from, to, reason, detail: evidence.detail },
        'Node conditions changed',
      );
    } catch (error) {
      this.#context.doubt(session.nodeId);
      log.debug({ nodeId: session.nodeId, err: error }, 'Could not write conditions');
    }
  }
}
