import { describe, expect, it } from 'vitest';
import { View } from '../../server/fleet/view.ts';
import { Slices } from '../../server/slices.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { fleetNode, nodeRecord } from '../support/fixtures.ts';

/** Time passes by working: each look at the clock costs a millisecond. */
class WorkingClock extends FakeClock {
  #workedMs = 0;

  override now(): number {
    this.#workedMs += 1;
    return super.now() + this.#workedMs;
  }

  work(ms: number): void {
    this.#workedMs += ms;
  }
}

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
