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

class MassReconnect implements Profile {
  readonly #input: ProfileInput;
  nextAtMs: number;

  constructor(input: ProfileInput) {
    this.#input = input;
    this.nextAtMs = input.startMs + input.numbers.everyMs;
  }

  step(nowMs: number): Step {
    const { agents: size, numbers } = this.#input;
    this.nextAtMs = afterwards(this.nextAtMs, numbers.everyMs, nowMs);
    const hit = shareOf(size, numbers.share);
    const agents = Array.from({ length: hit }, (_, n) => Math.floor((n * size) / hit));
    return { what: 'all sockets cut', acts: [{ kind: 'cut', agents }] };
  }
}

/** A switch or a proxy restarts: every socket breaks at the same moment, and all agents reconnect with full jitter. */
export const massReconnect: ProfileKind = {
  name: 'mass-reconnect',
  defaults: { share: 1, everyMs: 20_000 },
  describe: ({ share, everyMs }) =>
    `every ${formatDuration(everyMs)} ${percent(share)} of the sockets break at once, and the agents come back with their backoff`,
  begin: (input) => new MassReconnect(input),
};
