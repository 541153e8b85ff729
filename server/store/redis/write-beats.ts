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

/** Writes heartbeats; those that were vouched for in vain are written once more, to be checked. */
export async function writeBeats(
  calls: GatheredCalls,
  place: BeatPlace,
  beats: readonly Beat[],
): Promise<BeatAnswer> {
  const first = await write(calls, place, beats);
  if (first === 'epoch') return first;
  const { refused, returned, toCheck } = first;
  if (toCheck.size === 0) return { refused, returned };
  const unvouched = beats
    .filter(({ id, vouched }) => vouched && toCheck.has(id))
    .map((beat) => ({ ...beat, vouched: false }));
  const checked = await write(calls, place, unvouched);
  if (checked === 'epoch') return checked;
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
  const all: Exclude<BeatReply, 'epoch'> = { refused: [], returned: [], toCheck: new Set() };
  for (const reply of replies.map(toBeatReply)) {
    if (reply === 'epoch') return reply;
    all.refused.push(...reply.refused);
    all.returned.push(...reply.returned);
    for (const id of reply.toCheck) all.toCheck.add(id);
  }
  return all;
}
