import { describe, expect, it } from 'vitest';
import { type Summary, whatWentWrong } from '../../simulate/summary.ts';

const none = { count: 0, p50: 0, p99: 0, max: 0 };
const well: Omit<Summary, 'wrong'> = {
  ...{ profile: 'steady', hubs: ['ws://hub.test'], agents: 10, prefix: 'sim', seed: 1, elapsedMs: 60_000 },
  ...{ interrupted: false, heartbeat: { intervalMs: 10_000, timeoutMs: 30_000 } },
  ...{ registeredAtEnd: 10, removedAtEnd: 0, notDeregistered: 0, registrations: 12, reconnects: 2 },
  ...{ registering: none, returning: none, pong: none, late: none, dashboard: null },
  beats: { sent: 60, withStats: 60, answered: 58, missed: 0 },
  ...{ cuts: 2, drops: {}, refusals: {}, failures: {}, errors: {}, disruptions: [], moreDisruptions: 0 },
};

describe('[SIM-8] the verdict', () => {
  it('is that all is well where only what a hub may do was done', () => {
    expect(whatWentWrong(well)).toEqual([]);
    expect(whatWentWrong({ ...well, refusals: { 'HTTP 503': 400, '1013': 3 }, drops: { 1012: 10 } })).toEqual(
      [],
    );
  });

  const offline = { changes: 1, falseOffline: 2, unreachable: none, resyncs: 0 };
  it.each<[Partial<Summary>, RegExp]>([
    [{ registeredAtEnd: 7 }, /^3 agents are not registered at the end$/],
    [{ registeredAtEnd: 9 }, /^1 agent is not registered/],
    [{ drops: { 4404: 1 } }, /^1 session was lost with 4404: somebody removed/],
    [{ drops: { 'pongs missing': 2 } }, /^2 sessions were lost with pongs missing$/],
    [{ refusals: { 'HTTP 403': 2, 'HTTP 503': 9 } }, /^attempts were refused: HTTP 403 \(2\)$/],
    [{ failures: { ECONNREFUSED: 5, ETIMEDOUT: 1 } }, /failed: ECONNREFUSED \(5\), ETIMEDOUT \(1\)$/],
    [{ beats: { ...well.beats, missed: 1 } }, /^1 ping was not answered/],
    [{ errors: { invalid: 2 } }, /errors: invalid \(2\)$/],
    [{ notDeregistered: 4 }, /^4 nodes were not removed$/],
    [{ dashboard: offline }, /^2 nodes were called offline though/],
  ])('names %j', (fields, sentence) => {
    expect(whatWentWrong({ ...well, ...fields })).toEqual([expect.stringMatching(sentence)]);
  });

  it('does not count who was on the way when a signal ended it, nor who was removed', () => {
    expect(whatWentWrong({ ...well, interrupted: true, registeredAtEnd: 3 })).toEqual([]);
    expect(whatWentWrong({ ...well, registeredAtEnd: 8, removedAtEnd: 2 })).toEqual([]);
  });
});
