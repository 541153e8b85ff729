import { formatDuration } from '../../shared/index.ts';
import {
  afterwards,
  type Profile,
  type ProfileInput,
  type ProfileKind,
  percent,
  type Step,
  shareOf,
} from './profile.ts';

/** Goes through the fleet in batches, and begins anew at its end. */
class RollingRestart implements Profile {
  readonly #input: ProfileInput;
  #from = 0;
  nextAtMs: number;

  constructor(input: ProfileInput) {
    this.#input = input;
    this.nextAtMs = input.startMs + input.numbers.everyMs;
  }

  step(nowMs: number): Step {
    const { agents: size, numbers } = this.#input;
    const from = this.#from;
    const to = Math.min(size, from + shareOf(size, numbers.share));
    const agents = Array.from({ length: to - from }, (_, n) => from + n);
    this.#from = to % size;
    this.nextAtMs = afterwards(this.nextAtMs, numbers.everyMs, nowMs);
    return {
      what: `agents ${from + 1} to ${to} restarted`,
      acts: [{ kind: 'restart', agents, pauseMs: numbers.awayMs }],
    };
  }
}

/** A new version goes out: agents say goodbye and start again, some at a time. */
export const rollingRestart: ProfileKind = {
  name: 'rolling-restart',
  defaults: { share: 0.05, everyMs: 5_000, awayMs: 2_000 },
  describe: ({ share, everyMs, awayMs }) =>
    `every ${formatDuration(everyMs)} the next ${percent(share)} of the agents say goodbye and start again after ${formatDuration(awayMs)}`,
  begin: (input) => new RollingRestart(input),
};
