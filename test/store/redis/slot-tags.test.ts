import calculateSlot from 'cluster-key-slot';
import { describe, expect, it } from 'vitest';
import { fleetKeys } from '../../../server/store/redis/keys.ts';
import { slotTags } from '../../../server/store/redis/slot-tags.ts';
import { SLOTS } from '../../../server/store/shards.ts';

const powersOfTwo = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

describe('hash tags of the shards', () => {
  it('stay what they are: another table would orphan the keys of every fleet', () => {
    expect(slotTags(1)).toEqual(['1']);
    expect(slotTags(16).join(' ')).toBe('18 3 1a j 19 2 64 k 6n 1 1c h 6o 0 1b i');
  });

  it('give each shard a short tag of its own', () => {
    for (const shards of powersOfTwo) {
      const tags = slotTags(shards);
      expect(new Set(tags).size).toBe(shards);
      for (const tag of tags) expect(tag).toMatch(/^[0-9a-z]{1,4}$/);
    }
  });

  it('spread over any number of masters so that none has more than one shard above another', () => {
    for (const shards of powersOfTwo) {
      for (const masters of [2, 3, 4, 5, 6, 7, 8, 12]) {
        const counts = Array.from({ length: masters }, () => 0);
        for (const tag of slotTags(shards)) {
          const master = Math.min(masters - 1, Math.floor((calculateSlot(tag) * masters) / SLOTS));
          counts[master] = (counts[master] ?? 0) + 1;
        }
        expect(Math.max(...counts) - Math.min(...counts), `${shards} on ${masters}`).toBeLessThanOrEqual(1);
      }
    }
  });

  it('put all keys of a shard into one slot, whatever the prefix and the ids', () => {
    for (const prefix of ['fleet', 'other:fleet']) {
      for (const keys of fleetKeys(prefix, 16).shards) {
        const names = [keys.epoch, keys.deadlines, keys.events];
        for (const id of ['a', 'b:c', 'd.e']) names.push(keys.node(id), keys.beat(id), keys.gone(id));
        expect(new Set(names.map((name) => calculateSlot(name))).size).toBe(1);
      }
    }
  });
});
