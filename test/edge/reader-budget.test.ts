import { afterEach, describe, expect, it, test } from 'vitest';
import { type Reader, ReaderBudget } from '../../server/edge/reader-budget.ts';
import { systemClock } from '../../server/runtime/clock.ts';
import { silentLog } from '../../server/runtime/log.ts';
import { isShort, type Memory, memoryNow, unreadBudgetOf } from '../../server/runtime/memory.ts';
import { startApi } from '../http/test-api.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { RawSocket } from '../support/raw-socket.ts';
import { registerAgent, registerMessage } from '../support/test-fleet.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const plenty: Memory = {
  heapUsed: 50 * MIB,
  heapLimit: 2 * GIB,
  resident: 120 * MIB,
  residentLimit: 8 * GIB,
};

test.each<[string, Partial<Memory>, boolean]>([
  ['plenty', {}, false],
  ['a heap at 85 % of its limit', { heapUsed: 0.85 * 2 * GIB }, false],
  ['a heap beyond it', { heapUsed: 0.86 * 2 * GIB }, true],
  ['a container of 300 MiB, 276 of them taken', { resident: 276 * MIB, residentLimit: 300 * MIB }, false],
  ['277 of them', { resident: 277 * MIB, residentLimit: 300 * MIB }, true],
])('[RES-8] memory is short: %s', (_name, about, short) => {
  expect(isShort({ ...plenty, ...about })).toBe(short);
});

test.each<[Partial<Memory>, number]>([
  [{}, 256 * MIB],
  [{ residentLimit: GIB }, 128 * MIB],
  [{ heapLimit: 300 * MIB, residentLimit: 600 * MIB }, Math.floor((300 * MIB) / 8)],
  [{ heapLimit: 100 * MIB }, 32 * MIB],
])('[RES-7] with %j readers may leave %i bytes unread', (about, bytes) => {
  expect(unreadBudgetOf({ ...plenty, ...about })).toBe(bytes);
});

test('the figures of this process are figures', () => {
  const memory = memoryNow();
  expect(memory.heapUsed).toBeLessThan(memory.heapLimit);
  expect(memory.resident).toBeLessThan(memory.residentLimit);
});

/** Readers with so many MiB unread, by their names. */
class Readers {
  readonly unread = new Map<string, number>();

  constructor(unread: Record<string, number>) {
    for (const [name, mib] of Object.entries(unread)) this.unread.set(name, mib * MIB);
  }

  *all(): Generator<Reader, void> {
    for (const [name, unreadBytes] of this.unread) {
      yield { unreadBytes, cutOff: () => void this.unread.delete(name) };
    }
  }
}

describe('what all readers leave unread', () => {
  const clock = new FakeClock();
  const budgets: ReaderBudget[] = [];
  afterEach(() => {
    for (const budget of budgets.splice(0)) budget.close();
  });
  const watching = (readers: Readers, memory: () => Memory = () => ({ ...plenty, heapLimit: 800 * MIB })) => {
    const log: string[] = [];
    const say = (_fields: object, message: string): void => void log.push(message);
    const relieved: number[] = [];
    const budget = new ReaderBudget({
      clock,
      log: { ...silentLog, warn: say, info: say },
      memory,
      relieve: () => void relieved.push(1),
    });
    budget.watch(() => readers.all());
    budgets.push(budget);
    return { budget, log, relieved };
  };

  it('[RES-7] is bounded in total: those with most go first, until three quarters are left', async () => {
    const readers = new Readers({ a: 10, b: 30, c: 5, d: 50, e: 20 });
    const { budget, log } = watching(readers);
    expect(budget.bytes).toBe(100 * MIB);
    await clock.advance(250);
    expect([...readers.unread.keys()]).toEqual(['a', 'b', 'c', 'e']);
    expect([budget.cut.unread, log]).toEqual([1, ['Cutting off readers']]);
  });

  it('[RES-7] sends new readers away while more than three quarters are in use', async () => {
    const readers = new Readers({ a: 80 });
    const { budget } = watching(readers);
    await clock.advance(250);
    expect([budget.refuses, budget.cut.unread]).toEqual([true, 0]);
    readers.unread.set('a', 70 * MIB);
    await clock.advance(250);
    expect(budget.refuses).toBe(false);
  });

  it('[RES-7] is looked at in the midst of a burst', () => {
    const readers = new Readers({ a: 99 });
    const { budget } = watching(readers);
    readers.unread.set('b', 10 * MIB);
    budget.sent(10 * MIB);
    expect(readers.unread.size).toBe(2);
    budget.sent(3 * MIB);
    expect([...readers.unread.keys()]).toEqual(['b']);
  });

  it('[RES-8] halves at each look while memory is short, and says so once', async () => {
    const readers = new Readers({ a: 1, b: 2, c: 4, small: 0.01 });
    let memory: Memory = plenty;
    const { budget, log, relieved } = watching(readers, () => memory);
    await clock.advance(1_000);
    expect(readers.unread.size).toBe(4);
    memory = { ...plenty, heapUsed: 1.9 * GIB };
    await clock.advance(1_000);
    expect(budget.refuses).toBe(true);
    expect([...readers.unread.keys()]).toEqual(['a', 'b', 'small']);
    await clock.advance(2_000);
    expect([...readers.unread.keys()]).toEqual(['small']);
    expect(relieved.length).toBe(3);
    memory = plenty;
    await clock.advance(1_000);
    expect(budget.refuses).toBe(false);
    expect(budget.cut.memory).toBe(3);
    expect(log.filter((line) => line.startsWith('Memory'))).toEqual([
      'Memory is short: readers are cut off, and new ones are refused',
      'Memory is no longer short: new readers are accepted again',
    ]);
  });
});

/** Asks for a stream of events, and reads the head of the answer. */
async function streamOf(url: string): Promise<{ raw: RawSocket; head: string }> {
  const raw = await RawSocket.connect(Number(new URL(url).port));
  raw.write('GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n');
  return { raw, head: await raw.head() };
}

async function headOf(url: string): Promise<string> {
  const { raw, head } = await streamOf(url);
  raw.destroy();
  return head;
}

describe('event streams that nobody reads', () => {
  it('[RES-7] together leave no more than the budget, and new ones are told to wait', async () => {
    const readers = new ReaderBudget({
      clock: systemClock,
      log: silentLog,
      memory: () => ({ ...plenty, heapLimit: 100 * MIB }),
    });
    const api = await startApi({ readers });
    const sockets: RawSocket[] = [];
    for (let n = 0; n < 12; n += 1) {
      const { raw } = await streamOf(api.url);
      sockets.push(raw);
      raw.socket.pause();
    }
    let most = 0;
    const heads: string[] = [];
    const text = 'x'.repeat(30_000);
    for (let n = 0; readers.cut.unread === 0 && n < 1_500; n += 1) {
      await registerAgent(api.fleet, registerMessage({ nodeId: `n-${n}`, metadata: { text } }));
      most = Math.max(most, readers.unreadBytes);
      if (readers.refuses) heads.push(await headOf(api.url));
    }
    // One may find room again: what was unread is checked four times a second.
    const refused = heads.filter((head) => !head.startsWith('HTTP/1.1 200'));
    expect(refused.length).toBeGreaterThan(0);
    for (const head of refused) expect(head).toMatch(/^HTTP\/1\.1 503 .*\r\nretry-after: [1-9]/s);
    expect(most).toBeLessThan(1.25 * readers.bytes);
    await until('some were cut off', () => api.face.streams.size < 12);
    expect(api.face.streams.size).toBeGreaterThan(0);
    for (const socket of sockets) socket.destroy();
    await api.close();
  });
});
