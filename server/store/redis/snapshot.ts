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

/** About how many records one page has. */
const PAGE_RECORDS = 200;

/** The log's end first, then all records: what changes meanwhile comes again from there. */
export async function takeSnapshot(
  link: RedisLink,
  attached: AttachedShard,
): Promise<{ position: Position; pages: AsyncIterable<NodeRecord[]> }> {
  const { shard, keys, epoch } = attached;
  const [, storedEpoch, newest] = await link.pipeline(shard, (pipeline) => {
    // Two keys of which one is missing: refused amid the move of a slot, as by the scripts.
    pipeline.exists(keys.epoch, keys.absent);
    pipeline.get(keys.epoch);
    pipeline.xrevrange(keys.events, '+', '-', 'COUNT', 1);
  });
  if (storedEpoch !== epoch) throw new LostDataError(`shard ${shard} lost its data`);
  const [entry] = asList(newest);
  const at = entry === undefined ? '0-0' : asText(asList(entry)[0]);
  return { position: { epoch, at }, pages: pagesOf(link, attached) };
}

/** Records in pages. A scan gives every node that stands in the set from its begin to its end, some twice. */
async function* pagesOf(
  link: RedisLink,
  { shard, keys, epoch }: AttachedShard,
): AsyncGenerator<NodeRecord[]> {
  let cursor = '0';
  do {
    const [next, members] = await link.run(shard, (client) =>
      client.zscan(keys.deadlines, cursor, 'COUNT', PAGE_RECORDS),
    );
    // Members and their scores take turns.
    const ids = members.filter((_, place) => place % 2 === 0);
    const [, storedEpoch, ...replies] = await link.pipeline(shard, (pipeline) => {
      pipeline.exists(keys.epoch, keys.absent);
      pipeline.get(keys.epoch);
      for (const id of ids)
        pipeline.hmget(keys.node(id), 'session', 'sessionSeq', 'changeId', 'record', 'timing');
    });
    if (storedEpoch !== epoch) throw new LostDataError(`shard ${shard} lost its data`);
    const nodes = replies.map(asList).filter(([session]) => session !== null);
    yield nodes.map(([session, sessionSeq, changeId, record, timing]) =>
      toRecord(session, sessionSeq, changeId, record, timing),
    );
    cursor = next;
  } while (cursor !== '0');
}
