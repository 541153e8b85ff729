import { randomBytes } from 'node:crypto';
import type { FleetEvent } from '../../../shared/index.ts';
import type { Clock } from '../../runtime/clock.ts';
import {
  type Beat,
  type BeatAnswer,
  type Change,
  type CommitOutcome,
  comparePositions,
  type FleetStore,
  type HeldLease,
  type HubLease,
  type LastBeat,
  LOG_ENTRIES_PER_SHARD,
  type LogEntry,
  type LogPlace,
  LostDataError,
  type LostNode,
  type NodeRecord,
  type NotRestored,
  type Position,
  type RetimeAnswer,
  type Retiming,
  type Stored,
  StoreRefusedError,
  type TickAnswer,
  type TickRequest,
  TOMBSTONE_MS,
} from '../fleet-store.ts';
import { shardOf } from '../shards.ts';
import { BadData, type BadKind } from './bad-data.ts';
import { type Batch, CommitQueue, toOutcomes } from './commit-queue.ts';
import { GatheredCalls } from './gathered-calls.ts';
import { writeBeats } from './heartbeat-writes.ts';
import { historyOfFleet, historyOfNode, placeOfTime } from './history.ts';
import { type FleetKeys, fleetKeys, type ShardKeys } from './keys.ts';
import { lastBeats, type TimedNode } from './last-beats.ts';
import { Leases } from './leases.ts';
import { mend } from './mend.ts';
import { OwnChanges } from './own-changes.ts';
import {
  type Claim,
  checkKeyPrefix,
  checkServer,
  checkShards,
  claimFormat,
  warnOfSettings,
} from './preflight.ts';
import { isWrongType, RedisLink, type StoreLogger, WrongTypeError } from './redis-link.ts';
import { parseRedisUrl } from './redis-url.ts';
import { asList, asText, type Context, type Rubbish, toStoredNode, unread } from './replies.ts';
import { restoreLost } from './restores.ts';
import { writeRetimings } from './retimings.ts';
import { isId, readVersion } from './salvage.ts';
import { takeSnapshot } from './snapshot.ts';
import { type TickPlace, tickShard } from './ticks.ts';

/** Heartbeats that one call corrects after a step of the store's clock. */
const NODES_PER_SETTLING = 200;

export interface RedisStoreOptions {
  /** `redis://`, `rediss://`, a comma list of a Cluster's nodes, or `redis+sentinel://…/name`. */
  url: string;
  clock: Clock;
  /** The prefix of every key. */
  keyPrefix?: string;
  /** A power of two up to 1,024; the same for the life of a fleet. */
  shards?: number;
  logger?: StoreLogger;
  /** A command without an answer within this time has failed, its outcome unknown. */
  commandTimeoutMs?: number;
  /** How long `open` waits for the first connection. */
  openWithinMs?: number;
  /** Entries that each shard's log keeps, roughly. */
  logEntries?: number;
  /** Called if the keys turn out to be another fleet's, after `open`: the hub must end. */
  refused?: (error: StoreRefusedError) => void;
  /** Called for each piece of bad data. */
  badData?: (kind: BadKind) => void;
}

/**
 * The fleet in Redis (7.0 or later, or Valkey), alone, behind Sentinels or as a Cluster. All keys of a shard are in one
 * slot, and every atomic operation is one script on one shard.
 */
export class RedisStore implements FleetStore {
  readonly shards: number;
  readonly #keys: FleetKeys;
  readonly #link: RedisLink;
  readonly #isCluster: boolean;
  readonly #logger: StoreLogger | undefined;
  readonly #clock: Clock;
  readonly #logEntries: string;
  /** Ticks of the shards. */
  readonly #ticks: GatheredCalls;
  readonly #beats: GatheredCalls;
  /** By shard: the name of the attached data set; '' before. */
  readonly #epochs: string[];
  readonly #commits: CommitQueue[];
  readonly #own = new OwnChanges();
  readonly #bad: BadData;
  readonly #refused: ((error: StoreRefusedError) => void) | undefined;
  #claimed: Claim | undefined;
  #claiming: Promise<void> | undefined;
  readonly #putAside = new Set<(id: string) => void>();
  readonly #leases: Leases;

  /** Throws `RedisUrlError` or `StoreRefusedError` on wrong options; connects with `open`. */
  constructor(options: RedisStoreOptions) {
    const { url, clock, logger, keyPrefix = 'fleet', shards = 16 } = options;
    const { commandTimeoutMs = 2_000, openWithinMs = 10_000, logEntries = LOG_ENTRIES_PER_SHARD } = options;
    checkShards(shards);
    checkKeyPrefix(keyPrefix);
    const target = parseRedisUrl(url);
    this.shards = shards;
    this.#keys = fleetKeys(keyPrefix, shards);
    this.#isCluster = target.kind === 'cluster';
    this.#logger = logger;
    this.#clock = clock;
    const { badData } = options;
    this.#refused = options.refused;
    this.#bad = new BadData({ clock, ...(logger && { logger }), ...(badData && { counted: badData }) });
    this.#logEntries = String(logEntries);
    this.#epochs = Array.from({ length: shards }, () => '');
    this.#commits = Array.from(
      { length: shards },
      (_, shard) =>
        new CommitQueue((batch) => this.#commitAll(shard, batch), {
          clock,
          // One call may use its whole timeout; only a series of slow ones means that Redis is too slow.
          sentWithinMs: 5 * commandTimeoutMs,
        }),
    );
    this.#link = new RedisLink({
      target,
      channel: this.#keys.bell,
      clock,
      ...(logger && { logger }),
      commandTimeoutMs,
      openWithinMs,
    });
    this.#leases = new Leases(this.#link, this.#keys, { clock, bad: this.#bad });
    const shardsGoTogether = !this.#isCluster;
    this.#ticks = new GatheredCalls(this.#link, {
      shardsGoTogether,
      send: (client, args) => client.fleetTick(...args),
    });
    this.#beats = new GatheredCalls(this.#link, {
      shardsGoTogether,
      send: (client, args) => client.fleetBeat(...args),
    });
  }

  shardOf(id: string): number {
    return shardOf(id, this.shards);
  }

  async open(): Promise<void> {
    await this.#link.open();
    try {
      const infos = await this.#link.onEveryMaster((client) => client.info('server'));
      for (const info of infos) checkServer(info, this.#isCluster);
      await this.#claim();
      if (this.#logger) await warnOfSettings(this.#link, this.#logger);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  attach(shard: number): Promise<void> {
    return this.#mending(shard, () => this.#attach(shard));
  }

  async #attach(shard: number): Promise<void> {
    const keys = this.#shard(shard);
    // An emptied Redis has also lost the claim to the keys.
    await this.#claim();
    const candidate = randomBytes(6).toString('base64url');
    const epoch = await this.#link.run(shard, (client) =>
      client.fleetAttach(keys.epoch, keys.absent, candidate),
    );
    this.#epochs[shard] = asText(epoch);
  }

  async read(id: string): Promise<Stored> {
    const shard = this.shardOf(id);
    const first = await this.#mending(shard, () => this.#read(id, shard));
    if (!('version' in first)) return first;
    // It is read again, as another hub may have restored it; if it is still broken it counts as absent.
    await this.#mend(shard, [first]);
    const again = await this.#read(id, shard);
    return 'version' in again ? { kind: 'nothing' } : again;
  }

  async #read(id: string, shard: number): Promise<Stored | Rubbish> {
    const keys = this.#shard(shard);
    const [kind, ...fields] = asList(
      await this.#link.run(shard, (client) =>
        client.fleetRead(keys.epoch, keys.node(id), keys.gone(id), this.#epoch(shard)),
      ),
    );
    if (kind === 'epoch') throw this.#lost(shard);
    if (kind === 'node') return toStoredNode(id, fields, this.#context(shard));
    if (kind === 'bad') return unread(id);
    if (kind === 'gone') {
      const version = readVersion(fields[0]);
      return version === undefined ? unread(id) : { kind, tombstone: { id, version } };
    }
    return { kind: 'nothing' };
  }

  newChangeId(): string {
    return this.#own.names.next();
  }

  commit(change: Change): Promise<CommitOutcome> {
    const shard = this.shardOf(change.id);
    const queue = this.#commits[shard];
    if (!queue) throw new RangeError(`there is no shard ${shard}`);
    this.#own.remember(change);
    return queue.commit(change, this.#epoch(shard));
  }

  async #commitAll(shard: number, { epoch: attached, changes, args }: Batch) {
    const { epoch, deadlines, events, absent, prefix } = this.#shard(shard);
    return this.#link.run(shard, async (client) => {
      const reply = await client.fleetCommits(
        ...[epoch, deadlines, events, absent, attached, prefix],
        ...[this.#logEntries, TOMBSTONE_MS, this.#keys.bell, shard],
        ...args,
      );
      const outcomes = await this.#mendRefused(shard, changes, toOutcomes(reply, changes.length));
      for (const [index, change] of changes.entries())
        if (outcomes[index] !== 'done') this.#own.forget(change);
      // A Redis that refuses every change counts as away.
      if (outcomes.every((outcome) => outcome instanceof Error)) throw outcomes[0];
      return outcomes;
    });
  }

  /** Changes that met a key of another type: the key is put aside, and the changes are to be decided anew. */
  async #mendRefused(
    shard: number,
    changes: readonly Change[],
    outcomes: ReadonlyArray<CommitOutcome | Error>,
  ): Promise<Array<CommitOutcome | Error>> {
    const refused = changes.filter((_, index) => {
      const outcome = outcomes[index];
      return outcome instanceof Error && isWrongType(outcome);
    });
    if (refused.length === 0) return [...outcomes];
    await this.#mend(
      shard,
      refused.map(({ id }) => unread(id)),
    );
    return outcomes.map((outcome) =>
      outcome instanceof Error && isWrongType(outcome) ? 'conflict' : outcome,
    );
  }

  beat(shard: number, beats: readonly Beat[], followed?: Position): Promise<BeatAnswer> {
    const place = this.#place(shard);
    // A position in another data set proves nothing for this one.
    const at = followed?.epoch === place.epoch ? followed.at : '';
    return writeBeats(this.#beats, { ...place, followed: at }, beats, (ids) =>
      this.#mend(shard, ids.map(unread)),
    );
  }

  retime(shard: number, retimings: readonly Retiming[]): Promise<RetimeAnswer> {
    return writeRetimings(this.#link, this.#place(shard), retimings);
  }

  async stats(nodes: readonly TimedNode[]): Promise<Map<string, LastBeat>> {
    const byShard = new Map<number, TimedNode[]>();
    for (const node of nodes) {
      const shard = this.shardOf(node.id);
      byShard.set(shard, [...(byShard.get(shard) ?? []), node]);
    }
    const found = await Promise.all(
      [...byShard].map(([shard, some]) => lastBeats(this.#link, this.#place(shard), some, this.#bad)),
    );
    return new Map(found.flat());
  }

  snapshot(shard: number): Promise<{ position: Position; pages: AsyncIterable<NodeRecord[]> }> {
    const attached = this.#place(shard);
    const reading = {
      context: this.#context(shard),
      mend: (nodes: readonly Rubbish[]) => this.#mend(shard, nodes),
    };
    return this.#mending(shard, () => takeSnapshot(this.#link, attached, reading));
  }

  tick(shard: number, request: TickRequest): Promise<TickAnswer> {
    // Shards in one call share its limits.
    const part = (most: number, together: number) => Math.ceil(most / together);
    return tickShard(this.#ticks, this.#tickPlace(shard), request, part, this.#own);
  }

  #tickPlace(shard: number): TickPlace {
    const mend = (nodes: readonly Rubbish[]) => this.#mend(shard, nodes);
    return { ...this.#place(shard), context: this.#context(shard), mend };
  }

  /** A lost connection rings for all shards, so that it is noticed at once. */
  onBell(listener: (shard: number) => void): () => void {
    const ends = [
      this.#link.onBell((payload) => {
        const shard = Number(payload);
        if (Number.isInteger(shard) && shard >= 0 && shard < this.shards) listener(shard);
      }),
      this.#link.onLost(() => {
        for (let shard = 0; shard < this.shards; shard += 1) listener(shard);
      }),
    ];
    return () => {
      for (const end of ends) end();
    };
  }

  async replay(shard: number, after: Position, upTo: Position, limit: number): Promise<LogEntry[] | 'gap'> {
    if (after.epoch !== upTo.epoch) return 'gap';
    const request = { after, limit, overdue: { skip: 0, limit: 0 } };
    const answer = await tickShard(this.#ticks, this.#tickPlace(shard), request, (most) => most);
    if (answer.kind !== 'news' || answer.unreadable) return 'gap';
    return answer.entries.filter(({ at }) => comparePositions(at, upTo.at) <= 0);
  }

  async locate(shard: number, atMs: number): Promise<LogPlace> {
    return placeOfTime(this.#link, shard, this.#shard(shard).events, atMs);
  }

  async history({ id, limit }: { id?: string; limit: number }): Promise<FleetEvent[]> {
    if (id === undefined) {
      const eventsKeys = this.#keys.shards.map(({ events }) => events);
      return historyOfFleet(this.#link, eventsKeys, limit, this.#context());
    }
    const shard = this.shardOf(id);
    const { events: eventsKey } = this.#shard(shard);
    return historyOfNode(this.#link, { shard, eventsKey, id, limit }, this.#context(shard));
  }

  async restore(shard: number, lost: readonly LostNode[]): Promise<NotRestored[]> {
    const first = await this.#mending(shard, () => this.#restore(shard, lost));
    if (first.bad.length === 0) return first.unmerged;
    await this.#mend(
      shard,
      first.bad.map(({ rubbish }) => rubbish),
    );
    const again = await this.#restore(
      shard,
      first.bad.map(({ one }) => one),
    );
    return [...first.unmerged, ...again.unmerged];
  }

  #restore(shard: number, lost: readonly LostNode[]) {
    const { bell } = this.#keys;
    const now = this.#clock.now();
    const place = {
      ...this.#place(shard),
      logEntries: this.#logEntries,
      bell,
      now,
      context: this.#context(shard),
    };
    return restoreLost(this.#link, place, lost);
  }

  settleClock(
    shard: number,
    { steppedMs, defaultTimeoutMs }: { steppedMs: number; defaultTimeoutMs: number },
  ): Promise<void> {
    const { epoch, deadlines, absent, prefix } = this.#shard(shard);
    return this.#mending(shard, async () => {
      let cursor = '0';
      do {
        const [kind, next] = asList(
          await this.#link.run(shard, (client) =>
            client.fleetSettleClock(
              ...[epoch, deadlines, absent, this.#epoch(shard), prefix],
              ...[cursor, NODES_PER_SETTLING, Math.round(steppedMs), Math.ceil(defaultTimeoutMs)],
            ),
          ),
        );
        if (kind === 'epoch') throw this.#lost(shard);
        cursor = asText(next);
      } while (cursor !== '0');
    });
  }

  settleLeases(longestMs: number): Promise<void> {
    return this.#leases.settle(longestMs);
  }

  async renewLease(lease: HubLease, ttlMs: number): Promise<void> {
    // Another hub may have claimed the keys, or claimed them back.
    await this.#claim();
    await this.#leases.renew(lease, ttlMs);
  }

  dropLease(hubId: string): Promise<void> {
    return this.#leases.drop(hubId);
  }

  async nodeCount(): Promise<number> {
    // Every node is in the set of deadlines.
    const counts = await Promise.all(
      this.#keys.shards.map(({ deadlines }, shard) =>
        this.#link.run(shard, (client) => client.zcard(deadlines)),
      ),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  leases(): Promise<HeldLease[]> {
    return this.#leases.read();
  }

  /** Claims the keys, or finds them claimed. If they are another fleet's by now, this hub must end. */
  #claim(): Promise<void> {
    // After a loss all shards call this at once.
    this.#claiming ??= this.#claimNow().finally(() => {
      this.#claiming = undefined;
    });
    return this.#claiming;
  }

  async #claimNow(): Promise<void> {
    try {
      const now = this.#clock.now();
      this.#claimed = await claimFormat(this.#link, this.#keys, {
        ...{ held: this.#claimed, now, logger: this.#logger, bad: this.#bad },
      });
    } catch (error) {
      if (this.#claimed && error instanceof StoreRefusedError) this.#refused?.(error);
      throw error;
    }
  }

  onPutAside(listener: (id: string) => void): () => void {
    this.#putAside.add(listener);
    const end = this.#link.onBell((payload) => {
      const [word, shard, id = ''] = payload.split(' ');
      if (word === 'mend' && isId(id) && String(this.shardOf(id)) === shard) listener(id);
    });
    return () => {
      this.#putAside.delete(listener);
      end();
    };
  }

  /** Puts aside what no hub wrote, and lets the hubs that know the nodes restore them. */
  async #mend(shard: number, nodes: readonly Rubbish[]): Promise<void> {
    await mend(this.#link, this.#keys, shard, { nodes, bad: this.#bad });
    for (const { id } of nodes) for (const listener of this.#putAside) listener(id);
  }

  /** Runs a verb; a key of its shard that has another type is put aside, and the data set counts as lost. */
  async #mending<T>(shard: number, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof WrongTypeError)) throw error;
      await this.#mend(shard, []);
      throw this.#lost(shard);
    }
  }

  #context(shard?: number): Context {
    return {
      bad: this.#bad,
      isOfShard: (id) => isId(id) && (shard === undefined || this.shardOf(id) === shard),
      now: () => new Date(this.#clock.wall()).toISOString(),
    };
  }

  #shard(shard: number): ShardKeys {
    const keys = this.#keys.shards[shard];
    if (!keys) throw new RangeError(`there is no shard ${shard}`);
    return keys;
  }

  /** A shard, and its attached data set. */
  #place(shard: number): { shard: number; keys: ShardKeys; epoch: string } {
    return { shard, keys: this.#shard(shard), epoch: this.#epoch(shard) };
  }

  #epoch(shard: number): string {
    return this.#epochs[shard] ?? '';
  }

  #lost(shard: number): LostDataError {
    return new LostDataError(`shard ${shard} lost its data`);
  }
}
