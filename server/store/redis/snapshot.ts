import { LostDataError, type NodeRecord, type Position } from '../fleet-store.ts';
import type { ShardKeys } from './keys.ts';
import type { RedisLink } from './redis-link.ts';
import { asList, asText, type Context, isRubbish, type Rubbish, toRecord } from './replies.ts';

/** A shard as it was attached. */
export interface AttachedShard {
  shard: number;
  keys: ShardKeys;
  /** The name of its data set. */
  epoch: string;
}

const RECORD_FIELDS = ['version', 'session', 'sessionSeq', 'changeId', 'record', 'timing'];

/** How records are read, and how invalid ones are handled. */
export interface Reading {
  context: Context;
  mend: (nodes: readonly Rubbish[]) => Promise<void>;
}

/** The most records in one page. */
const PAGE_RECORDS = 200;

/**
 * The log's end and the list of nodes, then all records: changes meanwhile come again from there. Redis' own SCAN would
 * not do: its cursor means nothing to a server that takes over between two pages.
 */
export async function takeSnapshot(
  link: RedisLink,
  attached: AttachedShard,
  reading: Reading,
): Promise<{ position: Position; pages: AsyncIterable<NodeRecord[]> }> {
  const { shard, keys, epoch } = attached;
  const [kind, at, ids] = asList(
    await link.run(shard, (client) =>
      client.fleetSnapshot(keys.epoch, keys.deadlines, keys.events, keys.absent, epoch),
    ),
  );
  if (kind === 'epoch') throw new LostDataError(`shard ${shard} lost its data`);
  return {
    position: { epoch, at: asText(at) },
    pages: pagesOf(link, attached, asList(ids).map(asText), reading),
  };
}

/** The records of these nodes in pages, without those that were removed meanwhile. */
async function* pagesOf(
  link: RedisLink,
  { shard, keys, epoch }: AttachedShard,
  ids: readonly string[],
  { context, mend }: Reading,
): AsyncGenerator<NodeRecord[]> {
  for (let from = 0; from < ids.length; from += PAGE_RECORDS) {
    const page = ids.slice(from, from + PAGE_RECORDS);
    const [, storedEpoch, ...replies] = await link.lenientPipeline(shard, (pipeline) => {
      // Two keys of which one is missing: refused during the migration of a slot, as by the scripts.
      pipeline.exists(keys.epoch, keys.absent);
      pipeline.get(keys.epoch);
      for (const id of page) pipeline.hmget(keys.node(id), ...RECORD_FIELDS);
    });
    if (storedEpoch !== epoch) throw new LostDataError(`shard ${shard} lost its data`);
    const records: NodeRecord[] = [];
    const rubbish: Rubbish[] = [];
    for (const [index, id] of page.entries()) {
      const reply = replies[index];
      const fields = reply === undefined ? [''] : asList(reply);
      // Listed but absent: it was deleted by hand, and a hub that knows it may restore it as well.
      if (!context.isOfShard(id)) continue;
      const record = toRecord(id, fields, context);
      if (isRubbish(record)) rubbish.push(record);
      else records.push(record);
    }
    if (rubbish.length > 0) await mend(rubbish);
    yield records;
  }
}
