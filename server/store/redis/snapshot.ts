import { LostDataError, type NodeRecord, type Position } from '../fleet-store.ts';
import type { ShardKeys } from './keys.ts';
import type { RedisLink } from './redis-link.ts';
import { asList, asText, toRecord } from './replies.ts';

/** A shard as it was attached. */
export interface AttachedShard {
  shard: number;
  keys: ShardKeys;
  /** The name of its data set. */
  epoch: string;
}

/** How many records one page has at most. */
const PAGE_RECORDS = 200;

/**
 * The log's end and who is there, then all records: what changes meanwhile comes again from there. Redis' own
 * SCAN would not do: its cursor means nothing to a server that takes over between two pages.
 */
export async function takeSnapshot(
  link: RedisLink,
  attached: AttachedShard,
): Promise<{ position: Position; pages: AsyncIterable<NodeRecord[]> }> {
  const { shard, keys, epoch } = attached;
  const [kind, at, ids] = asList(
    await link.run(shard, (client) =>
      client.fleetSnapshot(keys.epoch, keys.deadlines, keys.events, keys.absent, epoch),
    ),
  );
  if (kind === 'epoch') throw new LostDataError(`shard ${shard} lost its data`);
  return { position: { epoch, at: asText(at) }, pages: pagesOf(link, attached, asList(ids).map(asText)) };
}

/** The records of these nodes in pages, without those that were removed meanwhile. */
async function* pagesOf(
  link: RedisLink,
  { shard, keys, epoch }: AttachedShard,
  ids: readonly string[],
): AsyncGenerator<NodeRecord[]> {
  for (let from = 0; from < ids.length; from += PAGE_RECORDS) {
    const [, storedEpoch, ...replies] = await link.pipeline(shard, (pipeline) => {
      // Two keys of which one is missing: refused amid the move of a slot, as by the scripts.
      pipeline.exists(keys.epoch, keys.absent);
      pipeline.get(keys.epoch);
      for (const id of ids.slice(from, from + PAGE_RECORDS))
        pipeline.hmget(keys.node(id), 'session', 'sessionSeq', 'changeId', 'record', 'timing');
    });
    if (storedEpoch !== epoch) throw new LostDataError(`shard ${shard} lost its data`);
    const nodes = replies.map(asList).filter(([session]) => session !== null);
    yield nodes.map(([session, sessionSeq, changeId, record, timing]) =>
      toRecord(session, sessionSeq, changeId, record, timing),
    );
  }
}
