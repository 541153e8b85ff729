import { formatDuration } from '../../shared/index.ts';
import {
  type Act,
  afterwards,
  type Profile,
  type ProfileInput,
  type ProfileKind,
  percent,
  shareOf,
} from './profile.ts';

/** Who flaps, and when each does so next, the soonest first. */
class Flapping implements Profile {
  readonly #input: ProfileInput;
  readonly #flaps: Array<{ agent: number; atMs: number }>;

  constructor(input: ProfileInput) {
    this.#input = input;
    const flappers = shareOf(input.agents, input.numbers.share);
    // Spread over the racks, as bad cables are.
    this.#flaps = Array.from({ length: flappers }, (_, n) => ({
      agent: Math.floor((n * input.agents) / flappers),
      atMs: input.startMs + input.random() * 2 * input.numbers.everyMs,
    }));
    this.#sort();
  }

  get nextAtMs(): number {
    return this.#flaps[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  step(nowMs: number): { acts: Act[] } {
    const { random, numbers } = this.#input;
    const acts: Act[] = [];
    for (const flap of this.#flaps) {
      if (flap.atMs > nowMs) break;
      const awayMs = numbers.awayMs * (0.5 + random());
      acts.push({ kind: 'cut', agents: [flap.agent], awayMs });
      flap.atMs = afterwards(flap.atMs, awayMs + random() * 2 * numbers.everyMs, nowMs);
    }
    this.#sort();
    return { acts };
  }

  #sort(): void {
    this.#flaps.sort((a, b) => a.atMs - b.atMs);
  }
}

/** A share of the agents loses its socket at random, again and again. */
export const flapping: ProfileKind = {
  name: 'flapping',
  defaults: { share: 0.1, everyMs: 10_000, awayMs: 3_000 },
  describe: ({ share, everyMs, awayMs }) =>
    `${percent(share)} of the agents lose their socket about every ${formatDuration(everyMs)} and come back after about ${formatDuration(awayMs)}`,
  begin: (input) => new Flapping(input),
};
