import type { Beat, BeatAnswer } from '../fleet-store.ts';
import { runsOf } from './batches.ts';
import type { GatheredCalls } from './gathered-calls.ts';
import type { ShardKeys } from './keys.ts';
import { type BeatReply, beatArguments, toBeatReply } from './script-words.ts';

/** Where heartbeats are written, and how far the hub followed the log there ('' where it vouches for nothing). */
export interface BeatPlace {
  shard: number;
  keys: ShardKeys;
  epoch: string;
  followed: string;
}

/** Id, session and time of one heartbeat, about; its stats come on top. */
const BEAT_BYTES = 100;

const bytesOf = ({ stats }: Beat): number => BEAT_BYTES + (stats?.length ?? 0);

/** Writes heartbeats; those that were vouched for in vain, or whose key was rubbish, once more, to be checked. */
export async function writeBeats(
  calls: GatheredCalls,
  place: BeatPlace,
  beats: readonly Beat[],
  mend: (ids: readonly string[]) => Promise<void>,
): Promise<BeatAnswer> {
  const first = await write(calls, place, beats);
  if (first === 'epoch') return first;
  const { refused, returned, toCheck } = first;
  if (first.bad.length > 0) await mend(first.bad);
  for (const id of first.bad) toCheck.add(id);
  if (toCheck.size === 0) return { refused, returned };
  const unvouched = beats.filter(({ id }) => toCheck.has(id)).map((beat) => ({ ...beat, vouched: false }));
  const checked = await write(calls, place, unvouched);
  if (checked === 'epoch') return checked;
  if (checked.bad.length > 0) await mend(checked.bad);
  return { refused: [...refused, ...checked.refused], returned: [...returned, ...checked.returned] };
}

async function write(calls: GatheredCalls, place: BeatPlace, beats: readonly Beat[]): Promise<BeatReply> {
  const { shard, keys, epoch, followed } = place;
  const replies = await Promise.all(
    Array.from(runsOf(beats, bytesOf), ({ items, bytes }) =>
      calls.ask(shard, bytes, () => ({
        keys: [keys.epoch, keys.events, keys.absent],
        args: [epoch, followed, keys.prefix, ...beatArguments(items)],
      })),
    ),
  );
  const all: Exclude<BeatReply, 'epoch'> = { refused: [], returned: [], toCheck: new Set(), bad: [] };
  for (const reply of replies.map(toBeatReply)) {
    if (reply === 'epoch') return reply;
    all.refused.push(...reply.refused);
    all.returned.push(...reply.returned);
    all.bad.push(...reply.bad);
    for (const id of reply.toCheck) all.toCheck.add(id);
  }
  return all;
}
