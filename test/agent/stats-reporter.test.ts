import { describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../../agent/index.ts';
import { type StatsProvider, StatsReporter, statsMessage } from '../../agent/stats-reporter.ts';
import type { NodeStats } from '../../shared/index.ts';
import { fakeClock } from './fake-clock.ts';

function makeReporter(provider: StatsProvider) {
  const clock = fakeClock();
  const sent: NodeStats[] = [];
  const warn = vi.fn();
  const reporter = new StatsReporter({
    provider,
    timeoutMs: 5_000,
    clock,
    logger: { ...silentLogger, warn },
    send: (stats) => sent.push(stats),
  });
  return { clock, sent, warn, reporter };
}

/** Lets settled promises run their handlers. */
const flush = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('StatsReporter', () => {
  it('sends what a provider gives, now or later, and nothing for nothing', async () => {
    const answers = [
      { cpuPercent: 1 },
      Promise.resolve({ cpuPercent: 2 }),
      undefined,
      Promise.resolve(undefined),
    ];
    const { reporter, sent, clock } = makeReporter(() => answers.shift());
    for (let call = 0; call < 4; call += 1) {
      reporter.collect();
      await flush();
    }
    expect(sent).toEqual([{ cpuPercent: 1 }, { cpuPercent: 2 }]);
    expect(clock.timers()).toBe(0);
  });

  it('survives a provider that throws or rejects, and asks again', async () => {
    let call = 0;
    const { reporter, sent, warn, clock } = makeReporter(() => {
      call += 1;
      if (call === 1) throw new Error('no /proc');
      return call === 2 ? Promise.reject(new Error('no disk')) : { cpuPercent: 3 };
    });
    for (let round = 0; round < 3; round += 1) {
      reporter.collect();
      await flush();
    }
    expect(warn.mock.calls.map(([fields]) => fields.reason)).toEqual(['no /proc', 'no disk']);
    expect(sent).toEqual([{ cpuPercent: 3 }]);
    expect(clock.timers()).toBe(0);
  });

  it('drops what comes too late, and asks no second time before it came', async () => {
    const waiting: Array<(stats: NodeStats) => void> = [];
    const { reporter, sent, warn, clock } = makeReporter(
      () => new Promise((resolve) => void waiting.push(resolve)),
    );
    reporter.collect();
    reporter.collect();
    expect(waiting).toHaveLength(1);
    clock.tick(5_000);
    expect(warn).toHaveBeenCalledTimes(1);
    reporter.collect();
    expect(waiting).toHaveLength(1);
    waiting[0]?.({ cpuPercent: 1 });
    await flush();
    expect(sent).toEqual([]);
    reporter.collect();
    waiting[1]?.({ cpuPercent: 2 });
    await flush();
    expect(sent).toEqual([{ cpuPercent: 2 }]);
    expect(clock.timers()).toBe(0);
  });

  it('drops the result of a session that has ended', async () => {
    const waiting: Array<(stats: NodeStats) => void> = [];
    const { reporter, sent, clock } = makeReporter(
      () => new Promise((resolve) => void waiting.push(resolve)),
    );
    reporter.collect();
    reporter.cancel();
    expect(clock.timers()).toBe(0);
    waiting[0]?.({ cpuPercent: 1 });
    await flush();
    expect(sent).toEqual([]);
  });
});

describe('statsMessage', () => {
  it('is the wire message', () => {
    expect(statsMessage({ cpuPercent: null }, silentLogger)).toBe(
      '{"type":"stats","stats":{"cpuPercent":null}}',
    );
  });

  it('drops what the hub would refuse, with a warning', () => {
    const warn = vi.fn();
    const logger = { ...silentLogger, warn };
    expect(statsMessage({ at: 'x'.repeat(9_000) }, logger)).toBeUndefined();
    const loop: NodeStats & { self?: unknown } = {};
    loop.self = loop;
    expect(statsMessage(loop, logger)).toBeUndefined();
    expect(warn).toHaveBeenCalledTimes(2);
  });
});
