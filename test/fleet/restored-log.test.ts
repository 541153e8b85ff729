import { describe, expect, it } from 'vitest';
import { RestoredLog } from '../../server/fleet/restored-log.ts';
import { silentLog } from '../../server/runtime/log.ts';
import { FakeClock } from '../support/fake-clock.ts';

function start() {
  const lines: Array<Record<string, unknown>> = [];
  const clock = new FakeClock();
  const log = { ...silentLog, warn: (fields: object) => void lines.push({ ...fields }) };
  return { clock, lines, restored: new RestoredLog(clock, log) };
}

describe('what is said of data that were put back', () => {
  it('is one line for all shards, with the sum', async () => {
    const { clock, lines, restored } = start();
    for (let shard = 0; shard < 16; shard += 1) restored.add(shard, 10, 'its data set was replaced');
    expect(lines).toEqual([]);
    await clock.advance(1_000);
    expect(lines).toMatchObject([{ restored: 160, shards: 16, why: 'its data set was replaced' }]);
    await clock.advance(60_000);
    expect(lines).toHaveLength(1);
  });

  it('is a line for each time, and at the end of the hub', async () => {
    const { clock, lines, restored } = start();
    restored.add(3, 1, 'its data set was replaced');
    await clock.advance(1_000);
    restored.add(3, 2, 'the end of its log is gone');
    restored.flush();
    restored.flush();
    expect(lines.map(({ restored: count, why }) => [count, why])).toEqual([
      [1, 'its data set was replaced'],
      [2, 'the end of its log is gone'],
    ]);
  });

  it('comes in time, also where data are lost again and again', async () => {
    const { clock, lines, restored } = start();
    for (let second = 0; second < 25; second += 0.5) {
      restored.add(0, 1, 'its data set was replaced');
      await clock.advance(500);
    }
    expect(lines).toHaveLength(2);
  });
});
