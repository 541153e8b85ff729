import type { Beat, BeatAnswer, RefusedBeat } from '../fleet-store.ts';
import { runsOf, ttlText } from './batches.ts';
import type { GatheredCalls } from './gathered-calls.ts';
import type { ShardKeys } from './keys.ts';
import { asList, asText } from './replies.ts';
import { readVersion } from './salvage.ts';

/** The shard of heartbeats, and the position up to which the hub followed its log ('' if no session is confirmed). */
export interface BeatPlace {
  shard: number;
  keys: ShardKeys;
  epoch: string;
  followed: string;
}

/**
 * Writes heartbeats with the script `beat`. Confirmed ones that the script wants compared, and those whose key was
 * broken, are written once more and compared with the record.
 */
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
  const unconfirmed = beats
    .filter(({ id }) => toCheck.has(id))
    .map((beat) => ({ ...beat, confirmed: false }));
  const checked = await write(calls, place, unconfirmed);
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

/** Bytes of the id, session and time of one heartbeat, roughly; its stats are extra. */
const BEAT_BYTES = 100;

const bytesOf = ({ stats }: Beat): number => BEAT_BYTES + (stats?.length ?? 0);

/** A shard's share of `beat`, after its epoch, position and prefix. */
function beatArguments(beats: readonly Beat[]): string[] {
  const pings: string[] = [];
  const stats: string[] = [];
  const checked: string[] = [];
  for (const beat of beats) {
    const ttl = ttlText(beat.ttlMs);
    if (!beat.confirmed) checked.push(beat.id, beat.session, ttl, beat.stats ?? '');
    else if (beat.stats === undefined) pings.push(beat.id, ttl);
    else stats.push(beat.id, ttl, beat.stats);
  }
  const counts = [pings.length / 2, stats.length / 3, checked.length / 4].map(String);
  return counts.concat(pings, stats, checked);
}

/** The reply of `beat` for one shard; `toCheck`: confirmed heartbeats to be sent again for a comparison. */
type BeatReply =
  | 'epoch'
  | (Exclude<BeatAnswer, 'epoch'> & {
      toCheck: Set<string>;
      /** Nodes whose key is broken. */
      bad: string[];
    });

function toBeatReply(reply: unknown): BeatReply {
  const refused: RefusedBeat[] = [];
  const returned: string[] = [];
  const toCheck = new Set<string>();
  const bad: string[] = [];
  for (const answer of asList(reply)) {
    if (answer === 'epoch') return 'epoch';
    const [what, id, ...fields] = asList(answer).map(asText);
    if (id === undefined) continue;
    if (what === 'bad') bad.push(id);
    else if (what === 'check') toCheck.add(id);
    else if (what === 'returned') returned.push(id);
    else refused.push(toRefusedBeat(what, id, fields));
  }
  return { refused, returned, toCheck, bad };
}

function toRefusedBeat(by: string | undefined, id: string, fields: readonly string[]): RefusedBeat {
  const [session = '', ...stored] = fields;
  if (by === 'session') {
    const [storedSession = '', storedSessionSeq, storedVersion] = stored;
    return {
      ...{ id, session, by, storedSession },
      // An invalid version is older than any.
      storedSessionSeq: readVersion(storedSessionSeq) ?? 0,
      storedVersion: readVersion(storedVersion) ?? 0,
    };
  }
  if (by === 'tombstone') return { id, session, by, storedVersion: readVersion(stored[0]) ?? 0 };
  return { id, session, by: 'nothing' };
}
