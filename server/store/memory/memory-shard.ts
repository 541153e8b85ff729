import { type HeartbeatTiming, inContact } from '../../../shared/index.ts';
import {
  type Beat,
  type BeatAnswer,
  type Change,
  type CommitOutcome,
  isPosition,
  type LastBeat,
  LOG_ENTRIES_PER_SHARD,
  type LogEntry,
  type LogPlace,
  type LostNode,
  type NodeRecord,
  type NotRestored,
  type Position,
  type RefusedBeat,
  type Retiming,
  type SilentNode,
  type Stored,
  type TickAnswer,
  type TickRequest,
  TOMBSTONE_MS,
  tombstoneLeftMs,
  versionOf,
  withTiming,
} from '../fleet-store.ts';

/** With more log entries than this each heartbeat is compared. */
const MOST_NEWS = 20;
/**
 * Nodes that are due within this time and beat are postponed together with those that are due: one pass a second serves
 * all.
 */
const AHEAD_MS = 1_000;

/** The expiry of an absent heartbeat. */
const LONG_AGO = Number.NEGATIVE_INFINITY;
const NEVER = Number.POSITIVE_INFINITY;

/** One data set of one shard, in memory. Every method is synchronous, so that no other call can interfere. */
export class MemoryShard {
  readonly #nodes = new Map<string, Held>();
  readonly #gone = new Map<string, { version: number; until: number }>();
  #earliestDue = NEVER;
  /** Entry `n` of the log is at index `n - #firstN`, so that it need not store its position. */
  #log: Logged[] = [];
  #firstN = 1;

  constructor(
    readonly epoch: string,
    private readonly now: () => number,
    private readonly wall: () => number,
    private readonly logEntries: number = LOG_ENTRIES_PER_SHARD,
  ) {}

  /** The number of its nodes. */
  get size(): number {
    return this.#nodes.size;
  }

  read(id: string): Stored {
    const held = this.#nodes.get(id);
    if (held) return { kind: 'node', record: held.record, restored: held.restored };
    const gone = this.#gone.get(id);
    if (gone && gone.until > this.now()) return { kind: 'gone', tombstone: { id, version: gone.version } };
    return { kind: 'nothing' };
  }

  commit(change: Change): CommitOutcome {
    const stored = this.read(change.id);
    if (stored.kind === 'node' && stored.record.changeId === change.record.changeId) return 'done';
    if (versionOf(stored) !== change.expected) return 'conflict';
    const held = this.#nodes.get(change.id);
    if (change.onlyIfSilent && held && this.#isBeating(held)) return 'still-beating';
    if (change.removed) this.#bury(change.id, change.event.seq);
    else this.#setHeartbeat(this.#write(change.record, false), change);
    this.#append(change.record, change.event);
    return 'done';
  }

  #setHeartbeat(held: Held, { heartbeat, deadline }: Change): void {
    if (heartbeat === 'clear') this.#still(held);
    else if (heartbeat !== 'keep') this.#beat(held, heartbeat.lastsMs);
    if (deadline !== 'keep')
      this.#setDeadline(held, deadline === 'never' ? NEVER : this.now() + deadline.afterMs);
  }

  /** A heartbeat. Earlier stats stay as long as their heartbeat lasts. */
  #beat(held: Held, ttlMs: number, stats?: string): void {
    held.stats = stats ?? (this.#isBeating(held) ? held.stats : undefined);
    held.beatsUntil = this.now() + ttlMs;
  }

  /** Ends the heartbeat, and its stats. */
  #still(held: Held): void {
    held.beatsUntil = LONG_AGO;
    held.stats = undefined;
  }

  beat(beats: readonly Beat[], followed?: Position): Exclude<BeatAnswer, 'epoch'> {
    const refused: RefusedBeat[] = [];
    const returned: string[] = [];
    const changed = followed && this.#changedSince(followed);
    for (const { id, session, ttlMs, stats, confirmed } of beats) {
      const held = this.#nodes.get(id);
      if (held && confirmed && changed && !changed.has(id) && this.#isBeating(held)) {
        this.#beat(held, ttlMs, stats);
      } else if (held?.record.session === session) {
        this.#beat(held, ttlMs, stats);
        if (!inContact(held.record.node.status)) returned.push(id);
      } else refused.push(this.#refusal(id, session));
    }
    return { refused, returned };
  }

  #refusal(id: string, session: string): RefusedBeat {
    const stored = this.read(id);
    if (stored.kind === 'nothing') return { id, session, by: 'nothing' };
    const storedVersion = versionOf(stored);
    if (stored.kind === 'gone') return { id, session, by: 'tombstone', storedVersion };
    const { session: storedSession, sessionSeq: storedSessionSeq } = stored.record;
    return { id, session, by: 'session', storedSession, storedSessionSeq, storedVersion };
  }

  /** The nodes with log entries after a position; undefined if these are no longer complete. */
  #changedSince(position: Position): Set<string> | undefined {
    const entries = position.epoch === this.epoch ? this.entriesAfter(position, MOST_NEWS + 1) : 'lost';
    if (!Array.isArray(entries) || entries.length > MOST_NEWS) return undefined;
    return new Set(entries.map(({ event }) => event.nodeId));
  }

  retime(retimings: readonly Retiming[]): { refused: string[] } {
    const refused: string[] = [];
    for (const { id, session, timing, ttlMs } of retimings) {
      const held = this.#nodes.get(id);
      if (held?.record.session === session) {
        held.record = withTiming(held.record, timing);
        held.timing = timing;
        this.#shift(held, ttlMs);
      } else refused.push(id);
    }
    return { refused };
  }

  /** Sets the remaining time of the present heartbeat. */
  #shift(held: Held, ttlMs: number): void {
    if (!this.#isBeating(held) || ttlMs <= 0) return;
    held.beatsUntil = this.now() + ttlMs;
    if (held.dueAt !== NEVER && held.dueAt > held.beatsUntil) this.#setDeadline(held, held.beatsUntil);
  }

  lastBeat(id: string, timeoutMs: number): LastBeat | undefined {
    const held = this.#nodes.get(id);
    if (!held || !this.#isBeating(held)) return undefined;
    const countsMs = held.timing?.timeoutMs ?? timeoutMs;
    const agoMs = countsMs - (held.beatsUntil - this.now());
    return { at: this.wall() - agoMs, agoMs, stats: held.stats === undefined ? {} : JSON.parse(held.stats) };
  }

  position(): Position {
    return { epoch: this.epoch, at: placeOf(this.#lastN()) };
  }

  records(): NodeRecord[] {
    return [...this.#nodes.values()].map(({ record }) => record);
  }

  tick({ after, limit, overdue }: TickRequest): TickAnswer {
    const entries = this.entriesAfter(after, limit);
    if (!Array.isArray(entries)) return { kind: 'gap', cause: entries };
    const asked = overdue.limit > 0;
    const { silent, putOff } = asked ? this.#overdue() : { silent: [], putOff: 0 };
    const now = this.now();
    const reported = silent.slice(overdue.skip, overdue.skip + overdue.limit);
    for (const held of reported) this.#still(held);
    return {
      kind: 'news',
      entries,
      silent: reported.map(({ record, dueAt }): SilentNode => ({ record, overdueMs: now - dueAt })),
      moreLogged: entries.length >= limit,
      examined: reported.length + putOff,
      putOff,
      moreDue: asked && reported.length >= overdue.limit,
      nextDueInMs: asked ? this.#earliestDue - now : undefined,
      now: undefined,
    };
  }

  /** Log entries after a position; or why these are not available. */
  entriesAfter(after: Position, limit: number): LogEntry[] | 'trimmed' | 'lost' {
    const n = isPosition(after.at) ? Number.parseInt(after.at, 10) : Number.POSITIVE_INFINITY;
    if (n > this.#lastN()) return 'lost';
    if (n < this.#firstN - 1) return 'trimmed';
    const from = n + 1 - this.#firstN;
    return this.#log
      .slice(from, from + limit)
      .map(({ event, record }, index) => ({ at: placeOf(n + 1 + index), event, record }));
  }

  locate(atMs: number): LogPlace {
    const found = this.#log.findIndex(({ event }) => Date.parse(event.at) >= atMs);
    const index = found < 0 ? this.#log.length : found;
    const [first] = this.#log;
    const keptSince = index === 0 && this.#firstN > 1 && first ? Date.parse(first.event.at) : undefined;
    return { at: placeOf(this.#firstN + index - 1), keptSince };
  }

  newestFirst(): Array<LogEntry['event']> {
    return this.#log.map(({ event }) => event).reverse();
  }

  restore(lost: LostNode): NotRestored | undefined {
    return lost.kind === 'gone' ? this.#restoreTombstone(lost) : this.#restoreNode(lost);
  }

  #restoreNode(lost: Extract<LostNode, { kind: 'node' }>): NotRestored | undefined {
    const { record, event } = lost;
    const { id, seq } = record.node;
    const stored = this.read(id);
    if (stored.kind === 'gone' && stored.tombstone.version >= seq) return undefined;
    if (stored.kind === 'node') {
      if (stored.record.changeId === record.changeId) return undefined;
      if (!stored.restored) return { lost, stored };
      // Versions of two registrations may belong to two data sets, and are not comparable.
      if (stored.record.node.seq >= seq)
        return stored.record.session === record.session ? undefined : { lost, stored };
    }
    const held = this.#write(record, true);
    this.#append(record, event);
    const { status, heartbeat } = record.node;
    this.#setDeadline(held, status === 'offline' ? NEVER : this.now() + heartbeat.timeoutMs);
    return undefined;
  }

  #restoreTombstone(lost: Extract<LostNode, { kind: 'gone' }>): NotRestored | undefined {
    const { id, version } = lost.tombstone;
    const stored = this.read(id);
    if (stored.kind === 'node' && stored.record.node.seq <= version) return { lost, stored };
    if (stored.kind !== 'node' && versionOf(stored) < version)
      this.#bury(id, version, tombstoneLeftMs(lost.tombstone, this.now()));
    return undefined;
  }

  #write(record: NodeRecord, restored: boolean): Held {
    const { id } = record.node;
    this.#gone.delete(id);
    const held = this.#nodes.get(id);
    if (!held) {
      const fresh: Held = {
        record,
        restored,
        timing: undefined,
        beatsUntil: LONG_AGO,
        stats: undefined,
        dueAt: NEVER,
      };
      this.#nodes.set(id, fresh);
      return fresh;
    }
    if (held.record.session !== record.session) held.timing = undefined;
    held.record = withTiming(record, held.timing);
    held.restored = restored;
    return held;
  }

  #bury(id: string, version: number, lastsMs = TOMBSTONE_MS): void {
    this.#nodes.delete(id);
    this.#gone.delete(id);
    this.#gone.set(id, { version, until: this.now() + lastsMs });
    for (const [buried, { until }] of this.#gone) {
      if (until > this.now()) break;
      this.#gone.delete(buried);
    }
  }

  #append(record: NodeRecord, event: LogEntry['event']): void {
    this.#log.push({ event, record });
    const kept = this.#keptEntries();
    if (this.#log.length < kept + this.logEntries) return;
    this.#firstN += this.#log.length - kept;
    this.#log = this.#log.slice(-kept);
  }

  /**
   * One entry more for each node: all may be lost in one round of the event loop, in which the log is not read, and an
   * entry that is trimmed before it was read makes every reader start over.
   */
  #keptEntries(): number {
    return this.logEntries + this.#nodes.size + this.#gone.size;
  }

  #lastN(): number {
    return this.#firstN + this.#log.length - 1;
  }

  #isBeating(held: Held): boolean {
    return held.beatsUntil > this.now();
  }

  #setDeadline(held: Held, at: number): void {
    held.dueAt = at;
    this.#earliestDue = Math.min(this.#earliestDue, at);
  }

  /** Silent nodes, the longest overdue first. Nodes that are due, or will be soon, and still beat are postponed. */
  #overdue(): { silent: Held[]; putOff: number } {
    const now = this.now();
    const silent: Held[] = [];
    let putOff = 0;
    if (this.#earliestDue > now) return { silent, putOff };
    this.#earliestDue = NEVER;
    for (const held of this.#nodes.values()) {
      if (held.dueAt <= now + AHEAD_MS && this.#isBeating(held)) {
        if (held.dueAt <= now) putOff += 1;
        held.dueAt = held.beatsUntil;
      }
      if (held.dueAt <= now) silent.push(held);
      this.#earliestDue = Math.min(this.#earliestDue, held.dueAt);
    }
    silent.sort((a, b) => a.dueAt - b.dueAt);
    return { silent, putOff };
  }
}

/** The position of entry `n` in the log. */
const placeOf = (n: number): string => `${n}-0`;

/** The whole state of a node, in one object: there is one for every node of the fleet. */
interface Held {
  record: NodeRecord;
  restored: boolean;
  /** The timing that the record's session got after its registration. */
  timing: HeartbeatTiming | undefined;
  /** When its heartbeat expires; in the distant past without one. */
  beatsUntil: number;
  /** The heartbeat's stats, as JSON. They expire with it. */
  stats: string | undefined;
  /** Its deadline: when its heartbeat is examined. */
  dueAt: number;
}

/** An entry of the log in memory: nearly every node has one. */
type Logged = Omit<LogEntry, 'at'>;
