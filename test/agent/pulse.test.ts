import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pulse, type PulseAction } from '../../agent/session/pulse.ts';

const timing = { intervalMs: 1_000, timeoutMs: 3_000 };
const half = () => 0.5;

/** Runs a pulse on time; `answers` says whether the ping sent at a moment is answered, 10 ms later. */
function run(
  pulse: Pulse,
  untilMs: number,
  answers: (atMs: number) => boolean,
): Array<[number, PulseAction]> {
  const actions: Array<[number, PulseAction]> = [];
  while (pulse.nextAtMs <= untilMs) {
    const nowMs = pulse.nextAtMs;
    const action = pulse.due(nowMs);
    actions.push([nowMs, action]);
    if (action === 'lost') break;
    if (action !== 'none' && answers(nowMs)) pulse.pong(nowMs + 10);
  }
  return actions;
}

const times = (actions: Array<[number, PulseAction]>, wanted: PulseAction): number[] =>
  actions.filter(([, action]) => action === wanted).map(([at]) => at);

describe('Pulse', () => {
  it('beats first at a random moment of the first interval', () => {
    expect(new Pulse(timing, 5_000, () => 0).nextAtMs).toBe(5_000);
    expect(new Pulse(timing, 5_000, half).nextAtMs).toBe(5_500);
  });

  it('beats once per interval while it is answered', () => {
    const actions = run(new Pulse(timing, 0, half), 4_600, () => true);
    expect(times(actions, 'beat')).toEqual([500, 1_500, 2_500, 3_500, 4_500]);
    expect(times(actions, 'probe')).toEqual([]);
  });

  it('beats now where it is to hurry, and one interval after that', () => {
    const pulse = new Pulse(timing, 0, half);
    pulse.hurry(100);
    expect(
      times(
        run(pulse, 2_200, () => true),
        'beat',
      ),
    ).toEqual([100, 1_100, 2_100]);
  });

  it('does not hurry a beat that waits for its answer', () => {
    const pulse = new Pulse(timing, 0, () => 0);
    expect(pulse.due(0)).toBe('beat');
    pulse.hurry(100);
    expect(pulse.nextAtMs).toBe(500);
  });

  it('probes twice, a quarter interval apart, and gives up at the third miss', () => {
    const actions = run(new Pulse(timing, 0, () => 0), 9_000, () => false);
    expect(actions).toEqual([
      [0, 'beat'],
      [500, 'probe'],
      [750, 'probe'],
      [1_000, 'lost'],
    ]);
  });

  it('gives a hub up within two intervals of its last answer, whenever it vanishes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1_000, max: 20_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (goneMs, random) => {
          const actions = run(new Pulse(timing, 0, () => random), 40_000, (at) => at < goneMs);
          const [lostMs] = times(actions, 'lost');
          return lostMs !== undefined && lostMs > goneMs && lostMs - goneMs <= 2 * timing.intervalMs;
        },
      ),
    );
  });

  it('is content with an answer to a probe', () => {
    const actions = run(new Pulse(timing, 0, () => 0), 2_100, (at) => at !== 0 && at !== 500);
    expect(times(actions, 'probe')).toEqual([500, 750]);
    expect(times(actions, 'beat')).toEqual([0, 1_000, 2_000]);
    expect(times(actions, 'lost')).toEqual([]);
  });

  it('checks each beat, whether or not the one before was answered late', () => {
    // Every second ping is answered: each beat is missed, each first probe answered.
    let ping = 0;
    const actions = run(new Pulse(timing, 0, () => 0), 5_000, () => ping++ % 2 === 1);
    expect(times(actions, 'probe')).toEqual([500, 1_500, 2_500, 3_500, 4_500]);
    ping = 0;
    const silentLater = run(new Pulse(timing, 0, () => 0), 9_000, () => ping++ % 2 === 1 && ping <= 6);
    // Pongs came half an interval late, so one is waited for a little longer.
    expect(times(silentLater, 'lost')).toEqual([4_250]);
  });

  it('does not take a stall of this process for three misses', () => {
    const pulse = new Pulse(timing, 0, () => 0);
    expect(pulse.due(0)).toBe('beat');
    expect(pulse.due(60_000)).toBe('probe');
    expect(pulse.nextAtMs).toBe(60_250);
    pulse.pong(60_001);
    expect(pulse.due(60_250)).toBe('none');
    expect(pulse.nextAtMs).toBe(60_250);
    expect(pulse.due(60_250)).toBe('beat');
  });

  it('counts the misses in a row, and an answer ends the row', () => {
    const pulse = new Pulse(timing, 0, () => 0);
    pulse.due(0);
    pulse.due(500);
    pulse.due(750);
    expect(pulse.misses).toBe(2);
    pulse.pong(760);
    expect(pulse.misses).toBe(0);
  });

  it('measures from the last ping', () => {
    const pulse = new Pulse(timing, 0, () => 0);
    pulse.due(0);
    expect(pulse.pong(12)).toBe(12);
  });

  it('goes over to a shorter interval at once, and to a longer one after the beat that is planned', () => {
    const pulse = new Pulse({ intervalMs: 60_000, timeoutMs: 180_000 }, 0, () => 0);
    pulse.due(0);
    pulse.pong(1);
    pulse.due(30_000);
    expect(pulse.nextAtMs).toBe(60_000);
    pulse.retime(timing, 31_000, half);
    expect(pulse.nextAtMs).toBe(31_500);
    pulse.retime({ intervalMs: 60_000, timeoutMs: 180_000 }, 31_100, half);
    expect(pulse.nextAtMs).toBe(31_500);
    expect(pulse.due(31_500)).toBe('beat');
    pulse.pong(31_501);
    pulse.due(61_500);
    expect(pulse.nextAtMs).toBe(91_500);
  });

  it('does not wait out a long check when the interval gets short', () => {
    const pulse = new Pulse({ intervalMs: 600_000, timeoutMs: 1_800_000 }, 0, () => 0);
    pulse.due(0);
    pulse.retime(timing, 100, half);
    expect(pulse.nextAtMs).toBe(600);
  });
});

describe('on a slow link', () => {
  const slow = { intervalMs: 1_000, timeoutMs: 4_000 };

  it('[LINK-1] is as patient as pongs were slow lately, within what the timeout allows', () => {
    const pulse = new Pulse(slow, 0, () => 0);
    for (let beat = 0; beat < 6; beat += 1) {
      const atMs = beat * 1_000;
      expect(pulse.due(atMs)).toBe('beat');
      pulse.pong(atMs + (beat % 2 ? 300 : 700));
      while (pulse.nextAtMs < atMs + 1_000) pulse.due(pulse.nextAtMs);
    }
    const actions = run(pulse, 60_000, () => false);
    const [beatMs = Number.NaN] = times(actions, 'beat');
    const [lostMs = Number.NaN] = times(actions, 'lost');
    expect(lostMs - beatMs).toBeGreaterThan(1_500);
    expect(lostMs - beatMs).toBeLessThanOrEqual(2_000);
  });

  it('[LINK-1] leaves a quarter of the timeout to register elsewhere, however slow the link was', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 3, max: 20 }),
        (delays, ratio) => {
          const timing = { intervalMs: 1_000, timeoutMs: 1_000 * ratio };
          const pulse = new Pulse(timing, 0, () => 0);
          for (const delayMs of delays) {
            while (pulse.due(pulse.nextAtMs) !== 'beat') {}
            pulse.pong(pulse.nextAtMs + delayMs);
          }
          const actions = run(pulse, 1_000_000, () => false);
          const [beatMs = Number.NaN] = times(actions, 'beat');
          const [lostMs = Number.NaN] = times(actions, 'lost');
          return lostMs - beatMs <= Math.max(1_000, 0.75 * timing.timeoutMs - 1_000) + 1;
        },
      ),
    );
  });

  it('[LINK-1] on a fast one gives up as before', () => {
    const pulse = new Pulse(slow, 0, () => 0);
    const actions = run(pulse, 60_000, (at) => at < 10_000);
    const [lostMs] = times(actions, 'lost');
    expect(lostMs).toBe(11_000);
  });
});
