import { describe, expect, it } from 'vitest';
import { readSwitch } from '../../../server/store/redis/sentinel-watch.ts';

describe('what a Sentinel says of a new primary', () => {
  const moved = { from: '10.0.0.1:6379', to: { host: '10.0.0.2', port: 6380 } };

  it.each([
    ['+switch-master', 'fleet 10.0.0.1 6379 10.0.0.2 6380'],
    ['+promoted-slave', 'slave 10.0.0.2:6380 10.0.0.2 6380 @ fleet 10.0.0.1 6379'],
  ])('is read from %s', (channel, text) => {
    expect(readSwitch(channel, text, 'fleet')).toEqual(moved);
    expect(readSwitch(channel, text, 'another')).toBeUndefined();
  });

  it.each(['', 'fleet', 'fleet 10.0.0.1 6379 10.0.0.2', 'fleet 10.0.0.1 6379 10.0.0.2 port'])(
    'is passed over where it is cut off or wrong: %o',
    (text) => {
      expect(readSwitch('+switch-master', text, 'fleet')).toBeUndefined();
      expect(readSwitch('+promoted-slave', text, 'fleet')).toBeUndefined();
    },
  );
});
