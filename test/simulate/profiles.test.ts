import { describe, expect, it } from 'vitest';
import { numbersOf, PROFILES } from '../../simulate/profiles/index.ts';
import type { Act, Profile, ProfileNumbers, Step } from '../../simulate/profiles/profile.ts';
import { seededRandom } from '../../simulate/random.ts';

function begin(name: string, numbers: Partial<ProfileNumbers> = {}, agents = 100, seed = 7): Profile {
  const kind = PROFILES.get(name);
  if (!kind) throw new Error(name);
  return kind.begin({
    ...{ agents, racks: 10, startMs: 1_000, random: seededRandom(seed) },
    numbers: numbersOf(kind, numbers),
  });
}

/** Everything that happens until a time, each at its own time. */
function play(profile: Profile, untilMs: number): Array<Step & { atMs: number }> {
  const steps: Array<Step & { atMs: number }> = [];
  for (let atMs = profile.nextAtMs; atMs < untilMs; atMs = profile.nextAtMs) {
    steps.push({ atMs, ...profile.step(atMs) });
    expect(profile.nextAtMs).toBeGreaterThan(atMs);
  }
  return steps;
}

const agentsOf = (acts: readonly Act[]): number[] => acts.flatMap(({ agents }) => agents);

describe('[SIM-6] the profiles', () => {
  it.each(['steady', 'slow-network'])('%s: nothing happens', (name) => {
    expect(play(begin(name), 1e9)).toEqual([]);
  });

  it('slow-network: latency and jitter are those that were asked for', () => {
    const kind = PROFILES.get('slow-network');
    expect(kind?.network?.(numbersOf(kind, { latencyMs: 5 }))).toEqual({ latencyMs: 5, jitterMs: 200 });
  });

  it('flapping: a share of the agents, each again and again, about as often as asked for', () => {
    const steps = play(begin('flapping', { share: 0.1, everyMs: 10_000, awayMs: 2_000 }), 601_000);
    const flaps = steps.flatMap(({ acts }) => agentsOf(acts));
    expect(new Set(flaps).size).toBe(10);
    // Each is away 2 s and then there 10 s, on average: 50 times in ten minutes.
    expect(flaps.length).toBeGreaterThan(10 * 50 * 0.8);
    expect(flaps.length).toBeLessThan(10 * 50 * 1.2);
    for (const { acts } of steps) {
      for (const act of acts) {
        if (act.kind !== 'cut') throw new Error('flapping only cuts');
        expect(act.awayMs).toBeGreaterThanOrEqual(1_000);
        expect(act.awayMs).toBeLessThan(3_000);
      }
    }
  });

  it('rolling-restart: goes through all in batches, and begins anew', () => {
    const steps = play(begin('rolling-restart', { share: 0.3, everyMs: 5_000, awayMs: 700 }), 26_001);
    expect(steps.map(({ atMs }) => atMs)).toEqual([6_000, 11_000, 16_000, 21_000, 26_000]);
    expect(steps.map(({ what }) => what)).toEqual([
      'agents 1 to 30 restarted',
      'agents 31 to 60 restarted',
      'agents 61 to 90 restarted',
      'agents 91 to 100 restarted',
      'agents 1 to 30 restarted',
    ]);
    const all = steps.slice(0, 4).flatMap(({ acts }) => agentsOf(acts));
    expect(all).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(steps[0]?.acts[0]).toMatchObject({ kind: 'restart', pauseMs: 700 });
  });

  it('rack-loss: one rack after the other, whole', () => {
    const steps = play(begin('rack-loss', { everyMs: 1_000, awayMs: 500 }), 13_000);
    expect(steps.map(({ what }) => what).slice(0, 2)).toEqual(['rack-1 cut off', 'rack-2 cut off']);
    expect(steps.at(-1)?.what).toBe('rack-1 cut off');
    expect(agentsOf(steps[1]?.acts ?? [])).toEqual([1, 11, 21, 31, 41, 51, 61, 71, 81, 91]);
    expect(steps[1]?.acts[0]).toMatchObject({ kind: 'cut', awayMs: 500 });
  });

  it('mass-reconnect: all at once, and they are kept from nothing', () => {
    const [step] = play(begin('mass-reconnect', { everyMs: 3_000 }), 5_000);
    expect(step?.atMs).toBe(4_000);
    expect(step?.acts).toEqual([{ kind: 'cut', agents: Array.from({ length: 100 }, (_, index) => index) }]);
    const [half] = play(begin('mass-reconnect', { share: 0.5 }), 30_000);
    expect(new Set(agentsOf(half?.acts ?? [])).size).toBe(50);
  });

  it.each([...PROFILES.keys()])('%s: the same seed makes the same things happen', (name) => {
    const once = play(begin(name), 60_000);
    expect(play(begin(name), 60_000)).toEqual(once);
    if (name === 'flapping') expect(play(begin(name, {}, 100, 8), 60_000)).not.toEqual(once);
  });

  it.each([...PROFILES.keys()])('%s: works for a single agent, and says in words what it does', (name) => {
    for (const { acts } of play(begin(name, {}, 1), 60_000)) {
      for (const agent of agentsOf(acts)) expect(agent).toBe(0);
    }
    const kind = PROFILES.get(name);
    expect(kind?.describe(numbersOf(kind, {}))).not.toMatch(/NaN|undefined/);
  });
});
