import { describe, expect, test } from 'vitest';
import { clientKey, WrongTokens } from '../../server/edge/wrong-tokens.ts';

describe('what a client is counted by', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:0db8:0001:0002::9', '2001:db8:1:2'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['2001:db8:1:2:3::', '2001:db8:1:2'],
    ['unknown', 'unknown'],
  ])('%s is %s', (address, key) => {
    expect(clientKey(address)).toBe(key);
  });
});

describe('wrong tokens', () => {
  test('[ADM-6] ten a minute of one address are answered, the next wait for the end of that minute', () => {
    const wrong = new WrongTokens();
    const waits = Array.from({ length: 12 }, (_, index) => wrong.count('192.0.2.7', index * 1_000));
    expect(waits).toEqual([...Array.from({ length: 10 }, () => 0), 50_000, 49_000]);
    expect(wrong.count('192.0.2.8', 12_000)).toBe(0);
    expect(wrong.count('192.0.2.7', 60_000)).toBe(0);
  });

  test('[ADM-6] the addresses of one /64 network are one', () => {
    const wrong = new WrongTokens();
    for (let n = 1; n <= 10; n += 1) wrong.count(`2001:db8::${n}`, 0);
    expect(wrong.count('2001:db8::ffff', 0)).toBeGreaterThan(0);
    expect(wrong.count('2001:db8:0:1::1', 0)).toBe(0);
  });

  test('[ADM-6] no more addresses are remembered than can be kept, the newest of them', () => {
    const wrong = new WrongTokens();
    for (let n = 0; n < 20_000; n += 1) wrong.count(`10.0.${n >> 8}.${n & 255}`, n);
    expect(wrong.size).toBe(10_000);
  });
});
