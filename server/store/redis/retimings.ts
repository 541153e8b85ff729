import type { RetimeAnswer, Retiming } from '../fleet-store.ts';
import { batchesOf } from './batches.ts';
import type { ShardKeys } from './keys.ts';
import type { RedisLink } from './redis-link.ts';
import { asList, asText } from './replies.ts';

/** Writes the timings of sessions with the script `retime`. Throws `StoreAwayError`. */
export async function writeRetimings(
  link: RedisLink,
  { shard, keys, epoch }: { shard: number; keys: ShardKeys; epoch: string },
  retimings: readonly Retiming[],
): Promise<RetimeAnswer> {
  const calls = [...batchesOf(retimings, retimingArguments)].map(({ args }) =>
    link.run(shard, (client) =>
      client.fleetRetime(keys.epoch, keys.deadlines, keys.absent, epoch, keys.prefix, ...args),
    ),
  );
  return toRetimeAnswer(await Promise.all(calls));
}

/** One session of `retime`. */
function retimingArguments({ id, session, timing, ttlMs }: Retiming): string[] {
  const { intervalMs, timeoutMs } = timing;
  return [id, session, String(intervalMs), String(timeoutMs), String(Math.max(0, Math.floor(ttlMs)))];
}

/** The answers of `retime`, one per batch. */
function toRetimeAnswer(replies: readonly unknown[]): RetimeAnswer {
  const answers = replies.map(asList);
  if (answers.some(([kind]) => kind === 'epoch')) return 'epoch';
  return { refused: answers.flatMap(([, ...ids]) => ids.map(asText)) };
}
