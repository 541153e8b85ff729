import {
  closings,
  type EventType,
  type Evidence,
  type FleetNode,
  type Reason,
  reasonWords,
  type Status,
  saidByDetail,
  silences,
} from '../shared/index.ts';
import { pageClock } from './page-clock.ts';

/** A status as a word at the beginning of a sentence. */
export const statusWord: Readonly<Record<Status, string>> = {
  online: 'Online',
  degraded: 'Degraded',
  unreachable: 'Unreachable',
  offline: 'Offline',
};

/** What a status means, for those who see it for the first time. */
export const statusMeaning: Readonly<Record<Status, string>> = {
  online: 'heartbeats arrive',
  degraded: 'heartbeats arrive, and a check of the machine fails',
  unreachable: 'contact is lost, but not proven gone',
  offline: 'gone: no heartbeat in time, or its agent said goodbye',
};

/** Reasons for which it matters over which hub. */
const aboutContact: ReadonlySet<Reason> = new Set([...silences, 'registered', 'reconnected', 'superseded']);

const twoDigits = (value: number): string => String(value).padStart(2, '0');

/** The wall-clock time here: `12:02:50`. */
export function clockTime(at: string | number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '--:--:--';
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':');
}

const dayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

const dayOfYearFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

/** The time of today, or the day and the time: `12:02:50`, `3 Mar 12:02`, `3 Mar 2025 12:02`. */
export function shortTime(at: string | number, now: number = pageClock.now()): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return clockTime(at);
  const today = new Date(now);
  if (date.toDateString() === today.toDateString()) return clockTime(at);
  const format = date.getFullYear() === today.getFullYear() ? dayFormat : dayOfYearFormat;
  return `${format.format(date)} ${clockTime(at).slice(0, 5)}`;
}

const wholeFormat = new Intl.DateTimeFormat('en-GB', {
  ...{
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  },
  timeZoneName: 'longOffset',
});

/** The whole of a time for a hint, with the zone that this browser shows times in: `3 Mar 2026, 12:02:50 GMT+01:00`. */
export function wholeTime(at: string | number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? '' : wholeFormat.format(date);
}

/** `30s` as `30 s`. */
const spaced = (text: string): string => text.replace(/\b(\d+)(ms|s|m|h|d)\b/g, '$1 $2');

/** A reason with the evidence behind it: `no heartbeat for 30 s; last one 12:02:50 over hub-2`. */
export function reasonWithEvidence(reason: Reason, evidence: Evidence): string {
  const { detail, closeCode, lastHeartbeatAt, hubId } = evidence;
  const said = detail !== undefined && saidByDetail.has(reason);
  let cause = said ? spaced(detail) : reasonWords[reason];
  if (detail !== undefined && !said) cause += ` (${detail})`;
  if (closings.has(reason) && closeCode !== undefined) cause += `, close code ${closeCode}`;
  const over = hubId === undefined || !aboutContact.has(reason) ? '' : ` over ${hubId}`;
  if (!silences.has(reason) || lastHeartbeatAt === undefined) return `${cause}${over}`;
  const one = reason === 'heartbeat_timeout' ? 'last one' : 'last heartbeat';
  return `${cause}; ${one} ${shortTime(lastHeartbeatAt)}${over}`;
}

/** `Offline since 12:03:20: no heartbeat for 30 s; last one 12:02:50 over hub-2.` */
export function statusSentence(
  node: Pick<FleetNode, 'status' | 'statusSince' | 'reason' | 'evidence' | 'registeredAt'>,
): string {
  const { status, statusSince, reason, evidence, registeredAt } = node;
  const since = `${statusWord[status]} since ${shortTime(statusSince)}`;
  const why = reasonWithEvidence(reason, evidence);
  if (isReasonOfStatus(node)) return `${since}: ${why}.`;
  const at = registrations.has(reason) ? ` ${shortTime(registeredAt)}` : '';
  return `${since}. Last change${at}: ${why}.`;
}

/** Reasons that a registration gives, which may come while the status stays. */
const registrations: ReadonlySet<Reason> = new Set(['registered', 'reconnected', 'superseded']);

/** Whether the reason of the last change is also why the status began: a later registration changes no status. */
function isReasonOfStatus({
  reason,
  statusSince,
  registeredAt,
}: Pick<FleetNode, 'reason' | 'statusSince' | 'registeredAt'>): boolean {
  if (reason === 'store_restored') return false;
  return !registrations.has(reason) || registeredAt <= statusSince;
}

export interface Happening {
  type: EventType;
  from: Status | null;
  to: Status | null;
  reason: Reason;
}

/** What happened to one or more nodes, as the rest of a sentence: `became unreachable`. */
export function happened({ type, from, to, reason }: Happening): string {
  if (type === 'removed') return reason === 'deregistered' ? 'left the fleet' : 'was removed';
  if (type === 'registered') return 'joined the fleet';
  if (to !== null && from !== to) {
    if (to === 'online') return from === 'degraded' ? 'is well again' : 'came back online';
    return to === 'offline' ? 'went offline' : `became ${to}`;
  }
  if (type === 'reregistered') return 'registered again';
  return reason === 'store_restored' ? 'was restored' : 'changed its facts';
}

/** The same of several. */
export function happenedToMany(what: Happening): string {
  return happened(what).replace(/^was /, 'were ').replace(/^is /, 'are ').replace('its facts', 'their facts');
}

const numbers = new Intl.NumberFormat('en');
/** `12,345` */
export const count = (value: number): string => numbers.format(value);
/** `1 node`, `12,345 nodes` */
export const nodes = (value: number): string => `${count(value)} ${value === 1 ? 'node' : 'nodes'}`;

/** Mebibytes as people read them: `512 MiB`, `64 GiB`, `1.5 TiB`. */
export function mebibytes(value: number): string {
  const units = ['MiB', 'GiB', 'TiB', 'PiB'];
  let rest = value;
  let unit = 0;
  for (; rest >= 1024 && unit < units.length - 1; unit += 1) rest /= 1024;
  return `${rest >= 100 || Number.isInteger(rest) ? Math.round(rest) : rest.toFixed(1)} ${units[unit] ?? ''}`;
}

/** Seconds as people read them: `45 s`, `12 min`, `3 h`, `5 days`. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3_600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 2 * 86_400) return `${(seconds / 3_600).toFixed(1)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** A field's name as people read it: `coresPerSocket` as `cores per socket`, `totalMib` as `total`. */
export function fieldName(name: string): string {
  return name
    .replace(/Mib$/, '')
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .replace(/_/g, ' ')
    .toLowerCase();
}
