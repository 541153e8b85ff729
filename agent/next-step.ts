import { type AfterClose, type AgentErrorCode, afterClose, readRetryAfterMs } from '../shared/index.ts';
import type { Backoff } from './backoff.ts';

/** How an attempt or a session ended. */
export type Ended =
  /** The WebSocket was closed. 1005 and 1006 stand for no code and no close frame. */
  | { kind: 'closed'; code: number; reason: string }
  /** The hub answered the upgrade with an HTTP status. */
  | { kind: 'refused'; status: number; retryAfterMs?: number }
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

/** Milliseconds before the next attempt, or null: there is none. `ceilingMs` bounds what is waited for a hub that is away or busy. */
export function delayBefore(
  next: NextStep,
  ended: Ended,
  backoff: Backoff,
  ceilingMs: number,
): number | null {
  switch (next) {
    case 'reconnect':
      return backoff.next(ceilingMs);
    case 'reconnect-spread':
      return backoff.spread(ceilingMs);
    case 'wait': {
      const retryAfterMs = askedWaitMs(ended);
      return retryAfterMs === undefined ? backoff.next(ceilingMs) : backoff.wait(retryAfterMs, ceilingMs);
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
      return `the hub answered HTTP ${ended.status}`;
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
