import { describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../../agent/session/log.ts';
import { type StatsProvider, StatsReporter, StatsWriter } from '../../agent/session/stats-reporter.ts';
import type { NodeStats } from '../../shared/index.ts';
import { FakeClock } from '../support/fake-clock.ts';

function makeReporter(provider: StatsProvider) {
  const clock = new FakeClock();
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

describe('StatsWriter', () => {
  const written = (given: unknown) => {
    const warn = vi.fn();
    const text = new StatsWriter({ ...silentLogger, warn }).write(given);
    const message: unknown = text === undefined ? undefined : JSON.parse(text);
    return { message, said: warn.mock.calls.map(([fields]) => fields) };
  };
  const loop: Record<string, unknown> = { cpuPercent: 1 };
  loop.self = loop;
  const conditions = [{ type: 'disk', status: 'fail' }];

  it.each<[string, unknown, unknown, string[]]>([
    ['nothing wrong', { cpuPercent: null }, { cpuPercent: null }, []],
    ['NaN', { cpuPercent: Number.NaN, conditions }, { conditions }, ['cpuPercent']],
    ['Infinity', { metrics: { a: Infinity, b: 1 } }, { metrics: { b: 1 } }, ['metrics.a']],
    ['a negative figure', { cpuPercent: -0.1, memoryPercent: 40 }, { memoryPercent: 40 }, ['cpuPercent']],
    ['a big integer', { uptimeSeconds: 10n, conditions }, { conditions }, ['uptimeSeconds']],
    [
      'a number beyond 2^53',
      { metrics: { a: 2 ** 53 }, conditions },
      { metrics: {}, conditions },
      ['metrics.a'],
    ],
    ['a loop in what no hub knows', loop, { cpuPercent: 1 }, []],
    ['an absent figure', { cpuPercent: undefined }, {}, []],
    ['text', 'rubbish', undefined, ['']],
    ['a list', [], undefined, ['']],
  ])('[STAT-9] %s costs only itself', (_name, given, stats, paths) => {
    const { message, said } = written(given);
    expect(message).toEqual(stats === undefined ? undefined : { type: 'stats', stats });
    const named = said.flatMap(({ dropped }) => dropped).map((text) => String(text).split(':')[0]);
    expect(named).toEqual(paths);
  });

  it('[STAT-9] what cannot be read at all is dropped with a warning', () => {
    const { message, said } = written({
      get cpuPercent() {
        throw new Error('no /proc');
      },
    });
    expect(message).toBeUndefined();
    expect(said).toEqual([{ reason: 'no /proc' }]);
  });

  it('[STAT-9] says what is wrong once, until something else is', () => {
    const warn = vi.fn();
    const writer = new StatsWriter({ ...silentLogger, warn });
    for (const cpuPercent of [Number.NaN, -1, Number.NaN, 5, Number.NaN]) writer.write({ cpuPercent });
    expect(warn).toHaveBeenCalledTimes(2);
  });

  it('[STAT-6] what is too large loses its figures before its conditions', () => {
    const metrics = Object.fromEntries(Array.from({ length: 128 }, (_, n) => [`${'m'.repeat(80)}${n}`, n]));
    const { message, said } = written({ cpuPercent: 1, metrics, conditions });
    expect(message).toEqual({ type: 'stats', stats: { cpuPercent: 1, conditions } });
    expect(said).toMatchObject([{ dropped: [expect.stringContaining('stats.metrics')] }]);
  });

  it('[STAT-14] a condition whose status is none is sent as it was, not left out', () => {
    const writer = new StatsWriter(silentLogger);
    const sent = (conditions: unknown) =>
      JSON.parse(writer.write({ cpuPercent: 1, conditions }) ?? '{}').stats;
    const failing = { type: 'disk', status: 'fail' };
    expect(sent([failing]).conditions).toEqual([failing]);
    expect(sent([{ type: 'disk', status: 'critical' }]).conditions).toEqual([failing]);
    expect(sent('fine').conditions).toEqual([failing]);
    expect(sent([{ type: 'fan', status: 'critical' }]).conditions).toEqual([]);
    expect(sent(null)).not.toHaveProperty('conditions');
  });
});
