import { type Condition, withUnread } from '../../shared/index.ts';
import { decideConditions, sameConditions } from '../rules/liveness.ts';
import type { ChangeBudget } from './change-budget.ts';
import type { FleetCore } from './core.ts';
import type { LiveSession } from './sessions.ts';

/** A node's conditions are written at most this often, the newest ones: a flapping check must not flood the log. */
const EVERY_MS = 1_000;

/** The most sessions whose reports are spaced out; beyond it a report is dropped, and the next stats repeat it. */
const MOST_RESTING = 100_000;

/** The source of a report: a live session, or for one report an agent that beats over HTTP. */
export type Reporter = Pick<LiveSession, 'nodeId' | 'session' | 'record' | 'ended'> &
  Partial<Pick<LiveSession, 'take'>>;

/**
 * Writes the conditions that agents report: the first report at once, then the newest of each second; for a node with
 * too many changes, when its next change is allowed.
 */
export class ConditionReports {
  readonly #core: FleetCore;
  readonly #budget: ChangeBudget;
  /** By session, while its last report is less than a second old: the newest report since. */
  readonly #resting = new Map<string, Report | undefined>();

  constructor(core: FleetCore, budget: ChangeBudget) {
    this.#core = core;
    this.#budget = budget;
  }

  report(reporter: Reporter, conditions: Condition[], unread?: ReadonlySet<string>): void {
    const { session } = reporter;
    if (this.#resting.has(session)) {
      this.#resting.set(session, onTopOf(this.#resting.get(session), { reporter, conditions, unread }));
      return;
    }
    const before = reporter.record.node.conditions;
    if (sameConditions(withUnread(conditions, unread, before), before)) return;
    if (this.#resting.size >= MOST_RESTING) return;
    const { clock } = this.#core;
    const heldMs = this.#budget.waitMs(reporter.nodeId, clock.now());
    const report = { reporter, conditions, unread };
    this.#resting.set(session, heldMs > 0 ? report : undefined);
    if (heldMs === 0) void this.#write(report);
    clock.after(Math.max(EVERY_MS, heldMs), () => this.#wake(session));
  }

  #wake(session: string): void {
    const newest = this.#resting.get(session);
    this.#resting.delete(session);
    if (newest && !newest.reporter.ended) this.report(newest.reporter, newest.conditions, newest.unread);
  }

  /** A report that cannot be written is not kept: the agent's next stats repeat it. */
  async #write({ reporter: session, conditions, unread }: Report): Promise<void> {
    const { writes, log } = this.#core;
    const reported = { session: session.session, conditions, unread };
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

/** The newest report over one that was not written: what cannot be read in it is as in the older one. */
function onTopOf(older: Report | undefined, newest: Report): Report {
  const { unread } = newest;
  if (!older || !unread) return newest;
  const unreadInBoth = new Set([...unread].filter((type) => older.unread?.has(type)));
  return {
    ...newest,
    conditions: withUnread(newest.conditions, unread, older.conditions),
    unread: unreadInBoth.size > 0 ? unreadInBoth : undefined,
  };
}

interface Report {
  reporter: Reporter;
  conditions: Condition[];
  /** Types of unreadable conditions: their known state stays. */
  unread: ReadonlySet<string> | undefined;
}
