import {
  isPosition,
  type LogEntry,
  type SilentNode,
  type TickAnswer,
  type TickRequest,
} from '../fleet-store.ts';
import type { GatheredCalls } from './gathered-calls.ts';
import type { ShardKeys } from './keys.ts';
import type { OwnChanges } from './own-changes.ts';
import {
  asList,
  asNumber,
  asText,
  type Context,
  isRubbish,
  type Rubbish,
  toLogEntry,
  toRecord,
  unread,
} from './replies.ts';

/** A shard of a follower. */
export interface TickPlace {
  shard: number;
  keys: ShardKeys;
  epoch: string;
  context: Context;
  /** Puts broken data aside. */
  mend: (nodes: readonly Rubbish[]) => Promise<void>;
}

/**
 * Reads what is new in a shard, and which nodes are overdue, with the script `tick`.
 *
 * `part` is a shard's part of a limit when several shards go together in one call. `own`: changes of this hub, of which
 * the script sends the names only.
 */
export async function tickShard(
  calls: GatheredCalls,
  place: TickPlace,
  request: TickRequest,
  part: (most: number, together: number) => number,
  own?: OwnChanges,
  mark = own?.names.mark ?? '',
): Promise<TickAnswer> {
  const { shard, keys, epoch, context, mend } = place;
  const { after, limit, overdue } = request;
  if (after.epoch !== epoch) return { kind: 'epoch' };
  if (!isPosition(after.at)) return { kind: 'gap', cause: 'lost' };
  const reply = await calls.ask(shard, TICK_BYTES, (together) => {
    const most = [Math.max(1, part(limit, together)), overdue.skip, part(overdue.limit, together)];
    return {
      keys: [keys.epoch, keys.deadlines, keys.events, keys.absent],
      args: [after.epoch, after.at, ...most, keys.prefix, mark],
    };
  });
  const read = toTickReply(reply, context, own);
  // An own change may have been dropped here, or was read before: then everything is requested in full.
  if (read === undefined) return tickShard(calls, place, request, part, own, '');
  if (read === 'bad') {
    // Broken data in the place of the data set is put aside: the data set counts as lost.
    await mend([]);
    return { kind: 'epoch' };
  }
  if (read.rubbish.length > 0) await mend(read.rubbish);
  return read.answer;
}

/** Bytes of the arguments of one shard, roughly. */
const TICK_BYTES = 200;

/** The reply of `tick` for one shard, and the nodes with broken records. */
interface TickReply {
  answer: TickAnswer;
  rubbish: Rubbish[];
}

/** `bad`: a key of the shard has another type. Undefined if the reply names an own change that is no longer kept. */
function toTickReply(
  reply: unknown,
  context: Context,
  own: OwnChanges | undefined,
): TickReply | 'bad' | undefined {
  const fields = asList(reply);
  const kind = fields[0];
  if (kind === 'bad') return kind;
  if (kind === 'epoch') return { answer: { kind }, rubbish: [] };
  if (kind === 'gap')
    return { answer: { kind, cause: fields[1] === 'trimmed' ? 'trimmed' : 'lost' }, rubbish: [] };
  const [, now, examined, moreDue, moreLogged, nextDue, entries, silent, bad] = fields;
  const read = asList(entries);
  const logged: LogEntry[] = [];
  let unreadable = false;
  for (const one of read) {
    const entry = toLogEntry(one, context, own);
    if (entry === undefined) return undefined;
    if (entry === 'unreadable') unreadable = true;
    else if (entry !== 'foreign') logged.push(entry);
  }
  const storeNow = asNumber(now);
  const silentNodes: SilentNode[] = [];
  const rubbish = asList(bad).map((id): Rubbish => unread(asText(id)));
  for (const answer of asList(silent)) {
    const [dueAt, id, ...stored] = asList(answer);
    const record = toRecord(asText(id), stored, context);
    if (isRubbish(record)) rubbish.push(record);
    else silentNodes.push({ record, overdueMs: Math.max(0, storeNow - (finite(dueAt) ?? storeNow)) });
  }
  const nextDueAt = finite(nextDue);
  const last = read.at(-1);
  return {
    answer: {
      kind: 'news',
      entries: logged,
      ...(last !== undefined && { upTo: asText(asList(last)[0]) }),
      ...(unreadable && { unreadable }),
      silent: silentNodes,
      examined: asNumber(examined),
      moreDue: moreDue === '1',
      moreLogged: moreLogged === '1',
      nextDueInMs: nextDueAt === undefined ? undefined : nextDueAt - storeNow,
      putOff: asNumber(examined) - silentNodes.length,
      now: storeNow,
    },
    rubbish,
  };
}

/** A number; undefined for other texts and for the infinities that a score may be. */
function finite(text: unknown): number | undefined {
  const number = typeof text === 'string' && text !== '' ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number : undefined;
}
