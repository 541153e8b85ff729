import type { HeartbeatTiming, NodeStats } from '../../../shared/index.ts';
import {
  type Beat,
  type BeatAnswer,
  type Change,
  type CommitOutcome,
  isPosition,
  LOG_ENTRIES_PER_SHARD,
  type LogEntry,
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
  versionOf,
  withTiming,
} from '../fleet-store.ts';

/** More news than this and each heartbeat is looked at. */
const MOST_NEWS = 20;

interface Held {
  record: NodeRecord;
  restored: boolean;
  /** The timing that the record's session was given since it registered. */
  timing: HeartbeatTiming | undefined;
}

interface Heartbeat {
  until: number;
  stats: string | undefined;
}

/** One data set of one shard, in memory. Every method runs to its end at once, so nothing can come between. */
export class MemoryShard {
  readonly #nodes = new Map<string, Held>();
  readonly #gone = new Map<string, { version: number; until: number }>();
  readonly #beats = new Map<string, Heartbeat>();
  readonly #due = new Map<string, number>();
  #earliestDue = Number.POSITIVE_INFINITY;
  /** Entry `n` of the log stands at index `n - #firstN`. */
  #log: LogEntry[] = [];
  #firstN = 1;

  constructor(
    readonly epoch: string,
    private readonly now: () => number,
    private readonly logEntries: number = LOG_ENTRIES_PER_SHARD,
  ) {}

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
    if (change.onlyIfSilent && this.#liveBeat(change.id)) return 'still-beating';
    if (change.removed) this.#bury(change.id, change.event.seq);
    else {
      this.#write(change.record, false);
      this.#setHeartbeat(change);
    }
    this.#append(change.record, change.event);
    return 'done';
  }

  #setHeartbeat({ id, heartbeat, look, record }: Change): void {
    if (heartbeat === 'clear') this.#beats.delete(id);
    if (heartbeat === 'set') {
      this.#beats.set(id, {
        until: this.now() + record.node.heartbeat.timeoutMs,
        stats: this.#liveBeat(id)?.stats,
      });
    }
    if (look === 'keep') return;
    this.#lookAt(id, look === 'never' ? Number.POSITIVE_INFINITY : this.now() + look.afterMs);
  }

  beat(beats: readonly Beat[], followed?: Position): Exclude<BeatAnswer, 'epoch'> {
    const refused: RefusedBeat[] = [];
    const returned: string[] = [];
    const changed = followed && this.#changedSince(followed);
    for (const { id, session, ttlMs, stats, vouched } of beats) {
      const live = this.#liveBeat(id);
      if (vouched && changed && !changed.has(id) && live) {
        this.#beats.set(id, { until: this.now() + ttlMs, stats: stats ?? live.stats });
        continue;
      }
      const stored = this.read(id);
      if (stored.kind === 'node' && stored.record.session === session) {
        this.#beats.set(id, { until: this.now() + ttlMs, stats: stats ?? live?.stats });
        const { status } = stored.record.node;
        if (status === 'unreachable' || status === 'offline') returned.push(id);
      } else if (stored.kind === 'node') {
        const { session: storedSession, sessionSeq: storedSessionSeq, node } = stored.record;
        refused.push({
          id,
          session,
          by: 'session',
          storedSession,
          storedSessionSeq,
          storedVersion: node.seq,
        });
      } else if (stored.kind === 'gone') {
        refused.push({ id, session, by: 'tombstone', storedVersion: stored.tombstone.version });
      } else {
        refused.push({ id, session, by: 'nothing' });
      }
    }
    return { refused, returned };
  }

  /** The nodes that the log speaks of after a position; nothing where that cannot be told. */
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
        this.#nodes.set(id, { ...held, record: withTiming(held.record, timing), timing });
        this.#shift(id, ttlMs);
      } else refused.push(id);
    }
    return { refused };
  }

  /** The heartbeat that stands ends in so long. */
  #shift(id: string, ttlMs: number): void {
    const beat = this.#liveBeat(id);
    if (!beat || ttlMs <= 0) return;
    beat.until = this.now() + ttlMs;
    const due = this.#due.get(id);
    if (due !== undefined && due !== Number.POSITIVE_INFINITY && due > beat.until)
      this.#lookAt(id, beat.until);
  }

  lastBeat(id: string, timeoutMs: number): { at: number; stats: NodeStats } | undefined {
    const beat = this.#liveBeat(id);
    const countsMs = this.#nodes.get(id)?.timing?.timeoutMs ?? timeoutMs;
    return (
      beat && { at: beat.until - countsMs, stats: beat.stats === undefined ? {} : JSON.parse(beat.stats) }
    );
  }

  position(): Position {
    return { epoch: this.epoch, at: `${this.#lastN()}-0` };
  }

  records(): NodeRecord[] {
    return [...this.#nodes.values()].map(({ record }) => record);
  }

  tick({ after, limit, look }: TickRequest): TickAnswer {
    const entries = this.entriesAfter(after, limit);
    if (!Array.isArray(entries)) return { kind: 'gap', cause: entries };
    const overdue = look.limit > 0 ? this.#overdue().slice(look.skip, look.skip + look.limit) : [];
    const silent: SilentNode[] = [];
    for (const { id, dueAt } of overdue) {
      const beat = this.#liveBeat(id);
      const held = this.#nodes.get(id);
      if (beat) this.#lookAt(id, beat.until);
      else if (held) silent.push({ record: held.record, dueAt });
    }
    const looked = overdue.length;
    return {
      kind: 'news',
      entries,
      silent,
      moreLogged: entries.length >= limit,
      looked,
      putOff: looked - silent.length,
      moreDue: look.limit > 0 && looked >= look.limit,
      nextDueAt: look.limit > 0 ? this.#earliestDue : undefined,
      now: this.now(),
    };
  }

  /** Log entries after a position; or why it cannot be told what came after it. */
  entriesAfter(after: Position, limit: number): LogEntry[] | 'trimmed' | 'lost' {
    const n = isPosition(after.at) ? Number.parseInt(after.at, 10) : Number.POSITIVE_INFINITY;
    if (n > this.#lastN()) return 'lost';
    if (n < this.#firstN - 1) return 'trimmed';
    const from = n + 1 - this.#firstN;
    return this.#log.slice(from, from + limit);
  }

  newestFirst(): LogEntry[] {
    return this.#log.toReversed();
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
      if (stored.record.node.seq >= seq) return undefined;
    }
    this.#write(record, true);
    this.#append(record, event);
    this.#lookAt(
      id,
      record.node.status === 'offline'
        ? Number.POSITIVE_INFINITY
        : this.now() + record.node.heartbeat.timeoutMs,
    );
    return undefined;
  }

  #restoreTombstone(lost: Extract<LostNode, { kind: 'gone' }>): NotRestored | undefined {
    const { id, version } = lost.tombstone;
    const stored = this.read(id);
    if (stored.kind === 'node' && stored.record.node.seq <= version) return { lost, stored };
    if (stored.kind !== 'node' && versionOf(stored) < version) this.#bury(id, version);
    return undefined;
  }

  #write(record: NodeRecord, restored: boolean): void {
    const { id } = record.node;
    const held = this.#nodes.get(id);
    const timing = held?.record.session === record.session ? held.timing : undefined;
    this.#nodes.set(id, { record: withTiming(record, timing), restored, timing });
    this.#gone.delete(id);
  }

  #bury(id: string, version: number): void {
    this.#nodes.delete(id);
    this.#due.delete(id);
    this.#beats.delete(id);
    this.#gone.set(id, { version, until: this.now() + TOMBSTONE_MS });
    for (const [buried, { until }] of this.#gone) {
      if (until > this.now()) break;
      this.#gone.delete(buried);
    }
  }

  #append({ session, sessionSeq, instanceId, changeId }: NodeRecord, event: LogEntry['event']): void {
    const at = `${this.#lastN() + 1}-0`;
    this.#log.push({ at, event, session, sessionSeq, instanceId, changeId });
    const kept = this.#keptEntries();
    if (this.#log.length < kept + this.logEntries) return;
    this.#firstN += this.#log.length - kept;
    this.#log = this.#log.slice(-kept);
  }

  /**
   * One entry more for each node: all may be lost in one turn of the event loop, in which nobody reads the log, and
   * what is trimmed before it was read makes everybody start over.
   */
  #keptEntries(): number {
    return this.logEntries + this.#nodes.size + this.#gone.size;
  }

  #lastN(): number {
    return this.#firstN + this.#log.length - 1;
  }

  #liveBeat(id: string): Heartbeat | undefined {
    const beat = this.#beats.get(id);
    if (!beat || beat.until > this.now()) return beat;
    this.#beats.delete(id);
    return undefined;
  }

  #lookAt(id: string, at: number): void {
    this.#due.set(id, at);
    this.#earliestDue = Math.min(this.#earliestDue, at);
  }

  #overdue(): Array<{ id: string; dueAt: number }> {
    const now = this.now();
    if (this.#earliestDue > now) return [];
    const overdue: Array<{ id: string; dueAt: number }> = [];
    let earliest = Number.POSITIVE_INFINITY;
    for (const [id, dueAt] of this.#due) {
      if (dueAt <= now) overdue.push({ id, dueAt });
      if (dueAt < earliest) earliest = dueAt;
    }
    this.#earliestDue = earliest;
    return overdue.sort((a, b) => a.dueAt - b.dueAt);
  }
}
