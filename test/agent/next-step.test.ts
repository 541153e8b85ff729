import { describe, expect, it } from 'vitest';
import { Backoff } from '../../agent/session/backoff.ts';
import {
  ceilings,
  delayBefore,
  describeEnd,
  type Ended,
  likelyTimeoutMs,
  mayBeAlone,
  nextStep,
} from '../../agent/session/next-step.ts';
import { SUPERSEDED_BY_ITSELF } from '../../shared/index.ts';

const closed = (code: number, reason = ''): Ended => ({ kind: 'closed', code, reason });

describe('nextStep', () => {
  it.each<[string, Ended, string]>([
    ['a restart', closed(1012), 'reconnect-spread'],
    ['a busy hub', closed(1013), 'wait'],
    ['a broken protocol', closed(4400), 'back-off'],
    ['a wrong token', closed(4401), 'back-off'],
    ['a refusal', closed(4403), 'back-off'],
    ['a removal', closed(4404), 'stop'],
    ['a late registration', closed(4408), 'reconnect'],
    ['a newer session', closed(4409), 'back-off'],
    ['a plain close', closed(1000), 'reconnect'],
    ['a cut', closed(1006), 'reconnect'],
    ['an unknown code', closed(4999), 'reconnect'],
    ['HTTP 401', { kind: 'refused', status: 401 }, 'back-off'],
    ['HTTP 403', { kind: 'refused', status: 403, retryAfterMs: 1 }, 'back-off'],
    ['HTTP 429', { kind: 'refused', status: 429, retryAfterMs: 2_000 }, 'wait'],
    ['HTTP 503', { kind: 'refused', status: 503, retryAfterMs: 2_000 }, 'wait'],
    ['HTTP 503 without Retry-After', { kind: 'refused', status: 503 }, 'reconnect'],
    ['HTTP 404', { kind: 'refused', status: 404 }, 'reconnect'],
    ['no connection', { kind: 'failed', message: 'connect ECONNREFUSED' }, 'reconnect'],
    ['no answer', { kind: 'unanswered' }, 'reconnect'],
    ['lost pongs', { kind: 'silent' }, 'reconnect'],
    ['sleep', { kind: 'slept' }, 'reconnect-now'],
    ['wrong facts', { kind: 'rejected', code: 'invalid', message: 'x' }, 'back-off'],
    ['a store that is away', { kind: 'rejected', code: 'store_away', message: 'x' }, 'reconnect'],
  ])('after %s', (_name, ended, expected) => {
    expect(nextStep(ended)).toBe(expected);
    expect(describeEnd(ended)).not.toBe('');
  });
});

describe('mayBeAlone', () => {
  it.each<[string, Ended, number, boolean, boolean]>([
    ['superseded before it was registered', closed(4409), 0, false, true],
    ['superseded when it had just been registered', closed(4409), 9_999, false, true],
    [
      'superseded by its own later registration',
      closed(4409, SUPERSEDED_BY_ITSELF.reason),
      10_000,
      false,
      true,
    ],
    ['superseded, maybe by its own, as a hub of version 0.1 says it', closed(4409), 10_000, true, true],
    ['superseded by another', closed(4409), 10_000, false, false],
    ['removed', closed(4404), 0, true, false],
    ['lost', { kind: 'silent' }, 0, true, false],
  ])('%s', (_name, ended, lastedMs, isUnanswered, expected) => {
    expect(mayBeAlone(ended, lastedMs, isUnanswered)).toBe(expected);
  });
});

describe('ceilings', () => {
  it('obeys a busy hub for as long as it asks only before the first registration', () => {
    expect(ceilings(undefined, 1)).toEqual({ ownMs: 5_000, askedMs: Number.POSITIVE_INFINITY });
    expect(ceilings(180_000, 1)).toEqual({ ownMs: 30_000, askedMs: 30_000 });
  });
});

describe('likelyTimeoutMs', () => {
  it.each([
    ['one that is registered', 180_000, false, 180_000],
    ['[BACK-6] one whose registration was not answered', 180_000, true, 30_000],
    ['[BACK-6] one whose registration was not answered and that knows a shorter timeout', 3_000, true, 3_000],
    ['one that was never registered', undefined, true, undefined],
  ])('%s', (_name, knownMs, isUnanswered, expected) => {
    expect(likelyTimeoutMs(knownMs, isUnanswered)).toBe(expected);
  });
});

describe('delayBefore', () => {
  const delay = (ended: Ended, ceilingMs = Number.POSITIVE_INFINITY) =>
    delayBefore(nextStep(ended), ended, new Backoff(() => 0.5), { ownMs: ceilingMs, askedMs: ceilingMs });

  it('waits what a busy hub asks for, as far as the ceiling allows', () => {
    const refused: Ended = { kind: 'refused', status: 503, retryAfterMs: 8_000 };
    for (const ended of [closed(1013, '{"retryAfterMs":8000}'), refused]) {
      expect(delay(ended)).toBe(10_000);
      expect(delay(ended, 600)).toBe(500);
    }
  });

  it('takes a busy hub that names no time for a lost one', () => {
    expect(delay(closed(1013, 'busy'))).toBe(500);
  });

  it('keeps its own delays below the ceiling', () => {
    expect(delay(closed(1012))).toBe(2_500);
    expect(delay(closed(1012), 500)).toBe(250);
    expect(delay(closed(1006), 500)).toBe(250);
  });

  it('backs off to the maximum even while the node may still be online', () => {
    expect(delay(closed(4409), 500)).toBe(45_000);
    expect(delay(closed(4401), 500)).toBe(45_000);
  });

  it('has no delay after sleep, and no attempt after a removal', () => {
    expect(delay({ kind: 'slept' })).toBe(0);
    expect(delay(closed(4404))).toBeNull();
  });
});
