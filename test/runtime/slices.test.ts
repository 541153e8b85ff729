import { describe, expect, it } from 'vitest';
import { View } from '../../server/picture/view.ts';
import { Slices } from '../../server/runtime/slices.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { fleetNode, nodeRecord } from '../support/fixtures.ts';
import { WorkingClock } from '../support/working-clock.ts';

describe('slices of long work', () => {
  it('are over after 10 ms, and begin anew each turn', async () => {
    const clock = new WorkingClock();
    const slices = new Slices(clock);
    expect(slices.over()).toBe(false);
    clock.work(5);
    expect(slices.over()).toBe(false);
    clock.work(10);
    expect(slices.over()).toBe(true);
    await clock.advance(1);
    expect(slices.over()).toBe(false);
  });

  it('are taken one a turn, by those who wait in line', async () => {
    const clock = new FakeClock();
    const slices = new Slices(clock);
    const turns: string[] = [];
    for (const name of ['first', 'second', 'third']) void slices.next().then(() => turns.push(name));
    let between = 0;
    const countTurns = (): void => {
      between += 1;
      turns.push(`turn ${between}`);
      if (between < 3) clock.after(0, countTurns);
    };
    clock.after(0, countTurns);
    await clock.advance(10);
    expect(turns).toEqual(['first', 'turn 1', 'second', 'turn 2', 'third', 'turn 3']);
  });

  it('[RES-4] go to readers after the fleet, but every fourth of them at least', async () => {
    const clock = new WorkingClock();
    const slices = new Slices(clock);
    const turns: string[] = [];
    const read = (): void => {
      turns.push('reader');
      clock.work(10);
    };
    void slices.next().then(() => turns.push('fleet'));
    for (let n = 0; n < 3; n += 1) void slices.forReader().then(read);
    for (let n = 0; n < 6; n += 1) void slices.next().then(() => turns.push('fleet'));
    expect(slices.readersWaiting).toBe(3);
    await clock.advance(20);
    expect(turns.join(' ')).toBe('fleet fleet fleet reader fleet fleet fleet reader fleet reader');
    expect(slices.readersWaiting).toBe(0);
  });

  it('[RES-4] serve as many readers as fit', async () => {
    const clock = new WorkingClock();
    const slices = new Slices(clock);
    void slices.next();
    let read = 0;
    const worked: number[] = [];
    for (let n = 0; n < 7; n += 1)
      void slices.forReader().then(() => {
        clock.work(4);
        read += 1;
      });
    const count = (): void => {
      worked.push(read);
      if (read < 7) clock.after(0, count);
    };
    clock.after(0, count);
    await clock.advance(30);
    expect(worked.some((most) => most > 1 && most < 7)).toBe(true);
    expect(worked.at(-1)).toBe(7);
  });

  it("[RES-4] are at once a reader's where nobody waits, until the slice is over", async () => {
    const clock = new WorkingClock();
    const slices = new Slices(clock);
    let done = 0;
    const work = async (): Promise<void> => {
      await slices.forReader();
      clock.work(4);
      done += 1;
    };
    void work().then(work).then(work).then(work).then(work);
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toBe(2);
    await clock.advance(10);
    expect(done).toBe(5);
  });

  it('let others do their work while a large fleet is loaded', async () => {
    const clock = new WorkingClock();
    const view = new View(1, () => 0, clock);
    const records = Array.from({ length: 3_000 }, (_, n) => nodeRecord(fleetNode({ id: `n-${n}` })));
    const told: string[] = [];
    view.listen({ changed: () => {}, reloaded: (why) => told.push(why) });
    await Promise.all([view.load(0, [], { epoch: 'e', at: '0-0' }, 'start'), clock.advance(1)]);
    const sizes: number[] = [];
    const look = (): void => {
      sizes.push(view.size);
      if (view.size < records.length) clock.after(0, look);
    };
    clock.after(0, look);
    let loaded = false;
    const loading = view.load(0, records, { epoch: 'e', at: '1-0' }, 'a gap').then(() => {
      loaded = true;
    });
    while (!loaded) await clock.advance(1);
    await loading;
    expect(sizes.filter((size) => size < records.length).length).toBeGreaterThan(3);
    expect(view.size).toBe(records.length);
    expect(view.positions()).toEqual([{ epoch: 'e', at: '1-0' }]);
    expect(told).toEqual(['a gap']);
    const left = records.slice(0, 10);
    const again = view.load(0, left, { epoch: 'e', at: '2-0' }, 'another');
    await clock.advance(100);
    await again;
    expect(view.size).toBe(10);
  });
});
