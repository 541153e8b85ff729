import { describe, expect, it } from 'vitest';
import { type CommitOutcome, StoreAwayError } from '../../../server/store/fleet-store.ts';
import { type Batch, CommitQueue } from '../../../server/store/redis/commit-queue.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { registration } from '../../support/fixtures.ts';

type Outcomes = Array<CommitOutcome | Error>;

/** A Redis that answers when it is told to. */
function harness() {
  const clock = new FakeClock();
  const calls: Array<Batch & { answer: (outcomes?: Outcomes) => void; fail: () => void }> = [];
  const queue = new CommitQueue(
    (batch) =>
      new Promise<Outcomes>((resolve, reject) => {
        const done = (): Outcomes => batch.changes.map(() => 'done');
        calls.push({
          ...batch,
          answer: (outcomes = done()) => resolve(outcomes),
          fail: () => reject(new StoreAwayError('no answer')),
        });
      }),
    { clock, sentWithinMs: 10_000 },
  );
  const ask = (id: string, epoch = 'e', bytes = 0) =>
    queue.commit(registration({ id, facts: { metadata: { note: 'x'.repeat(bytes) } } }), epoch);
  return { clock, calls, ask, sizes: () => calls.map(({ changes }) => changes.length) };
}

const many = (count: number): string[] => Array.from({ length: count }, (_, n) => `n-${n}`);
const away = (promises: Array<Promise<unknown>>) =>
  Promise.all(promises.map((promise) => expect(promise).rejects.toThrow(StoreAwayError)));

describe('the queue of commits', () => {
  it('sends one that comes alone at once, and those of meanwhile together', async () => {
    const { clock, calls, ask, sizes } = harness();
    const first = ask('a');
    await clock.settle();
    const later = many(20).map((id) => ask(id));
    await clock.settle();
    expect(sizes()).toEqual([1]);
    calls[0]?.answer();
    expect(await first).toBe('done');
    await clock.settle();
    expect(sizes()).toEqual([1, 20]);
    const outcomes: Outcomes = later.map((_, n) => (n % 2 ? 'conflict' : 'done'));
    calls[1]?.answer(outcomes);
    expect(await Promise.all(later)).toEqual(outcomes);
  });

  it('bounds a call by changes and by bytes, but takes one however large', async () => {
    const { clock, calls, ask, sizes } = harness();
    const all = [...many(300).map((id) => ask(id)), ask('large', 'e', 300_000), ask('small')];
    for (let turn = 0; turn < 6; turn += 1) {
      await clock.settle();
      calls[turn]?.answer();
    }
    expect(await Promise.all(all)).toHaveLength(302);
    expect(sizes()).toEqual([128, 128, 44, 1, 1]);
  });

  it('fails those that wait with the call before them, and goes on', async () => {
    const { clock, calls, ask, sizes } = harness();
    const first = ask('a');
    await clock.settle();
    const behind = many(200).map((id) => ask(id));
    calls[0]?.fail();
    await away([first, ...behind]);
    expect(sizes()).toEqual([1]);
    const next = ask('b');
    await clock.settle();
    calls[1]?.answer();
    expect(await next).toBe('done');
  });

  it('fails one change that Redis refuses, and not those beside it', async () => {
    const { clock, calls, ask } = harness();
    const [a, b] = [ask('a'), ask('b')];
    await clock.settle();
    calls[0]?.answer([new Error('WRONGTYPE'), 'done']);
    await away([a]);
    expect(await b).toBe('done');
  });

  it('keeps changes of different data sets apart', async () => {
    const { clock, calls, ask } = harness();
    const all = [ask('a', 'old'), ask('b', 'old'), ask('c', 'new')];
    await clock.settle();
    calls[0]?.answer(['epoch', 'epoch']);
    await clock.settle();
    calls[1]?.answer();
    expect(await Promise.all(all)).toEqual(['epoch', 'epoch', 'done']);
    expect(calls.map(({ epoch }) => epoch)).toEqual(['old', 'new']);
  });

  it('gives up what could not be sent in time, and takes no more than it can hold', async () => {
    const { clock, calls, ask, sizes } = harness();
    const first = ask('a');
    await clock.settle();
    const waiting = many(10_000).map((id) => ask(id));
    await away([ask('one too many')]);
    clock.jump(10_001);
    calls[0]?.answer();
    expect(await first).toBe('done');
    await away(waiting);
    expect(sizes()).toEqual([1]);
  });
});
