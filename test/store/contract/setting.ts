import { afterEach, beforeEach, expect } from 'vitest';
import type {
  Change,
  FleetStore,
  LogEntry,
  NodeRecord,
  Position,
  TickAnswer,
} from '../../../server/store/fleet-store.ts';

/** One fleet, empty at first, in the store under test. */
export interface ContractFleet {
  /** One more hub's store on this fleet, open and attached to every shard. */
  join(): Promise<FleetStore>;
  /** Lets so much of the store's time pass. */
  elapse(ms: number): Promise<void>;
  /** Lets the store's time pass until something holds. */
  until(holds: () => Promise<boolean>): Promise<void>;
  /** Empties the store: all shards lose their data. */
  loseAll(): Promise<void>;
  close(): Promise<void>;
}

export type CreateFleet = (options: { logEntries?: number }) => Promise<ContractFleet>;

/** What a test works with. */
export interface Setting {
  fleet: ContractFleet;
  store: FleetStore;
}

/** A fresh fleet with one hub for every test. */
export function freshFleet(create: CreateFleet, options: { logEntries?: number } = {}): () => Setting {
  let setting: Setting | undefined;
  beforeEach(async () => {
    const fleet = await create(options);
    setting = { fleet, store: await fleet.join() };
  });
  afterEach(async () => {
    await setting?.fleet.close();
    setting = undefined;
  });
  return () => {
    if (!setting) throw new Error('there is no fleet outside of a test');
    return setting;
  };
}

export async function attachAll(store: FleetStore): Promise<void> {
  for (let shard = 0; shard < store.shards; shard += 1) await store.attach(shard);
}

/** Commits a change that must succeed, and answers its record. */
export async function done(store: FleetStore, change: Change): Promise<NodeRecord> {
  expect(await store.commit(change)).toBe('done');
  return change.record;
}

/** So many valid ids in the shard of the first of them. */
export function idsOfOneShard(store: FleetStore, count: number, stem = 'node'): string[] {
  const ids = [`${stem}-0`];
  const shard = store.shardOf(`${stem}-0`);
  for (let n = 1; ids.length < count; n += 1)
    if (store.shardOf(`${stem}-${n}`) === shard) ids.push(`${stem}-${n}`);
  return ids;
}

/** The log's end now. */
export async function positionOf(store: FleetStore, shard: number): Promise<Position> {
  return (await store.snapshot(shard)).position;
}

/** The log's beginning. */
export async function beginningOf(store: FleetStore, shard: number): Promise<Position> {
  const { epoch } = await positionOf(store, shard);
  return { epoch, at: '0-0' };
}

export type News = Extract<TickAnswer, { kind: 'news' }>;

/** A tick that must bring news. */
export async function news(
  store: FleetStore,
  shard: number,
  {
    after,
    limit = 1_000,
    skip = 0,
    look = 1_000,
  }: { after?: Position; limit?: number; skip?: number; look?: number } = {},
): Promise<News> {
  const answer = await store.tick(shard, {
    after: after ?? (await positionOf(store, shard)),
    limit,
    overdue: { skip, limit: look },
  });
  if (answer.kind !== 'news') throw new Error(`news were expected, not ${JSON.stringify(answer)}`);
  return answer;
}

/** The whole log of a shard. */
export async function wholeLog(store: FleetStore, shard: number): Promise<LogEntry[]> {
  return (await news(store, shard, { after: await beginningOf(store, shard), look: 0 })).entries;
}

/** All records of a shard. */
export async function recordsOf(store: FleetStore, shard: number): Promise<NodeRecord[]> {
  const records: NodeRecord[] = [];
  for await (const page of (await store.snapshot(shard)).pages) records.push(...page);
  return records;
}

/** When a node last beat and its stats; undefined without a heartbeat. */
export async function lastBeat(store: FleetStore, id: string, timeoutMs = 30_000) {
  return (await store.stats([{ id, timeoutMs }])).get(id);
}

/** Lets time pass until a node has no heartbeat. */
export async function untilSilent({ fleet, store }: Setting, id: string): Promise<void> {
  await fleet.until(async () => (await lastBeat(store, id)) === undefined);
}
