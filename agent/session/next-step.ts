import {
  type AfterClose,
  type AgentErrorCode,
  afterClose,
  CLOSE,
  readRetryAfterMs,
  SUPERSEDED_BY_ITSELF,
} from '../../shared/index.ts';
import { type Backoff, LIKELY_TIMEOUT_MS, retryCeilingMs } from './backoff.ts';
import { SETTLED_MS } from './contest.ts';

/** How an attempt or a session ended. */
export type Ended =
  /** The WebSocket was closed. 1005 and 1006 stand for no code and no close frame. */
  | { kind: 'closed'; code: number; reason: string }
  /** The hub answered the upgrade with an HTTP status. */
  | { kind: 'refused'; status: number; why?: string; retryAfterMs?: number }
  /** No connection: refused, no such name, TLS, too slow. */
  | { kind: 'failed'; message: string }
  /** The hub answered `register` with an error. */
  | { kind: 'rejected'; code: string; message: string }
  /** Connected, but no `registered` came in time. */
  | { kind: 'unanswered' }
  /** The hub left too many pings unanswered. */
  | { kind: 'silent' }
  /** This machine slept. */
  | { kind: 'slept' };

/**
 * Superseded, and yet maybe the only agent of its node: it was not registered, or only just (`lastedMs`), so that the
 * other registration may be of a process that is gone; or the hub says that it was one of its own, or it may have been
 * one, which an older hub does not say, because an attempt of its own `isUnanswered`.
 */
export function mayBeAlone(ended: Ended, lastedMs: number, isUnanswered: boolean): boolean {
  if (ended.kind !== 'closed' || ended.code !== CLOSE.superseded.code) return false;
  return lastedMs < SETTLED_MS || isUnanswered || ended.reason === SUPERSEDED_BY_ITSELF.reason;
}

/** What the agent does after that. `reconnect-now`: without any delay. */
export type NextStep = AfterClose | 'reconnect-now';

/** Errors that say "not now"; any other answer to `register` would come again the next time. */
const passing: ReadonlySet<string> = new Set<AgentErrorCode>(['store_away', 'contended', 'too_many_pending']);

/** The rule of the close-code table, carried over to every other way in which a session or attempt ends. */
export function nextStep(ended: Ended): NextStep {
  switch (ended.kind) {
    case 'closed':
      return afterClose(ended.code);
    case 'refused':
      if (ended.status === 401 || ended.status === 403) return 'back-off';
      return ended.retryAfterMs === undefined ? 'reconnect' : 'wait';
    case 'rejected':
      return passing.has(ended.code) ? 'reconnect' : 'back-off';
    case 'failed':
    case 'unanswered':
    case 'silent':
      return 'reconnect';
    case 'slept':
      return 'reconnect-now';
    default:
      return ended satisfies never;
  }
}

/** The most that an agent waits, milliseconds. */
export interface Ceilings {
  /** Of its own accord. */
  ownMs: number;
  /** Because a hub asked for it. */
  askedMs: number;
}

/**
 * The longest wait of an agent with this timeout and this number of hubs to try. One that was not registered since its start goes
 * behind those who were, as long as hubs ask it to.
 */
export function ceilings(timeoutMs: number | undefined, hubs: number): Ceilings {
  const ownMs = retryCeilingMs(timeoutMs, hubs);
  return { ownMs, askedMs: timeoutMs === undefined ? Number.POSITIVE_INFINITY : ownMs };
}

/**
 * The timeout that the node may have in the store. A registration that was not answered may be written all the same, with
 * the hub's timing of the moment: a shorter one than this agent knows, where the fleet shrank or its hubs have just started.
 */
export function likelyTimeoutMs(knownMs: number | undefined, isUnanswered: boolean): number | undefined {
  return knownMs !== undefined && isUnanswered ? Math.min(knownMs, LIKELY_TIMEOUT_MS) : knownMs;
}

/** Milliseconds before the next attempt, or null: there is none. */
export function delayBefore(
  next: NextStep,
  ended: Ended,
  backoff: Backoff,
  { ownMs, askedMs }: Ceilings,
): number | null {
  switch (next) {
    case 'reconnect':
      return backoff.next(ownMs);
    case 'reconnect-spread':
      return backoff.spread(ownMs);
    case 'wait': {
      const retryAfterMs = askedWaitMs(ended);
      return retryAfterMs === undefined ? backoff.next(ownMs) : backoff.wait(retryAfterMs, askedMs);
    }
    case 'back-off':
      return backoff.longest();
    case 'reconnect-now':
      return 0;
    case 'stop':
      return null;
    default:
      return next satisfies never;
  }
}

function askedWaitMs(ended: Ended): number | undefined {
  if (ended.kind === 'closed') return readRetryAfterMs(ended.reason);
  return ended.kind === 'refused' ? ended.retryAfterMs : undefined;
}

/** How it ended, as a sentence for logs and events. */
export function describeEnd(ended: Ended): string {
  switch (ended.kind) {
    case 'closed':
      return ended.reason === '' ? `closed with ${ended.code}` : `closed with ${ended.code}: ${ended.reason}`;
    case 'refused':
      return `the hub answered HTTP ${ended.status}${ended.why === undefined ? '' : `: ${ended.why}`}`;
    case 'failed':
      return ended.message;
    case 'rejected':
      return `the hub rejected the registration (${ended.code}): ${ended.message}`;
    case 'unanswered':
      return 'the hub did not answer the registration in time';
    case 'silent':
      return 'the hub left too many heartbeats unanswered';
    case 'slept':
      return 'this machine slept';
    default:
      return ended satisfies never;
  }
}
