import type { Condition } from '../../shared/index.ts';
import { decideConditions, sameConditions } from '../rules/liveness.ts';
import type { ChangeBudget } from './change-budget.ts';
import type { FleetCore } from './core.ts';
import type { LiveSession } from './sessions.ts';

/** A node's conditions are written at most this often, the newest of them: a flapping check must not flood the log. */
const EVERY_MS = 1_000;

/** Sessions whose reports are spaced out at a time; beyond it a report is dropped, the next stats bring it again. */
const MOST_RESTING = 100_000;

/** The source of a report: a live session, or for one report an agent that beats over HTTP. */
export type Reporter = Pick<LiveSession, 'nodeId' | 'session' | 'record' | 'ended'> &
  Partial<Pick<LiveSession, 'take'>>;

/**
 * Writes the conditions that agents report: the first at once, then the newest of each second; of a node that changes
 * all the time, when its next change may be written.
 */
export class ConditionReports {
  readonly #core: FleetCore;
  readonly #budget: ChangeBudget;
  /** By session, of those whose last report was less than a second ago: the newest one since. */
  readonly #resting = new Map<string, { reporter: Reporter; conditions: Condition[] } | undefined>();

  constructor(core: FleetCore, budget: ChangeBudget) {
    this.#core = core;
    this.#budget = budget;
  }

  report(reporter: Reporter, conditions: Condition[]): void {
    const { session } = reporter;
    if (this.#resting.has(session)) {
      this.#resting.set(session, { reporter, conditions });
      return;
    }
    if (sameConditions(conditions, reporter.record.node.conditions)) return;
    if (this.#resting.size >= MOST_RESTING) return;
    const { clock } = this.#core;
    const heldMs = this.#budget.waitMs(reporter.nodeId, clock.now());
    this.#resting.set(session, heldMs > 0 ? { reporter, conditions } : undefined);
    if (heldMs === 0) void this.#write(reporter, conditions);
    clock.after(Math.max(EVERY_MS, heldMs), () => this.#wake(session));
  }

  #wake(session: string): void {
    const newest = this.#resting.get(session);
    this.#resting.delete(session);
    if (newest && !newest.reporter.ended) this.report(newest.reporter, newest.conditions);
  }

  /** A report that cannot be written is not kept: the agent's next stats bring it again. */
  async #write(session: Reporter, conditions: Condition[]): Promise<void> {
    const { writes, log } = this.#core;
    const reported = { session: session.session, conditions };
    const settled = await writes.trySettle(
      session.nodeId,
      (stored, stamp) => decideConditions(stored, reported, stamp),
      () => ({ kind: 'node', record: session.record, restored: false }),
    );
    if (settled.kind !== 'done') return;
    session.take?.(settled.change.record);
    const { from, to, reason, evidence } = settled.change.event;
    log.info(
      { nodeId: session.nodeId, from, to, reason, detail: evidence.detail },
      'Node conditions changed',
    );
  }
}
