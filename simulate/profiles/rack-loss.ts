import { formatDuration } from '../../shared/index.ts';
import { rackName, rackOf } from '../machine.ts';
import { afterwards, type Profile, type ProfileInput, type ProfileKind, type Step } from './profile.ts';

/** One rack after the other, and from the first again. */
class RackLoss implements Profile {
  readonly #input: ProfileInput;
  #rack = 0;
  nextAtMs: number;

  constructor(input: ProfileInput) {
    this.#input = input;
    this.nextAtMs = input.startMs + input.numbers.everyMs;
  }

  step(nowMs: number): Step {
    const { agents: size, racks, numbers } = this.#input;
    const rack = this.#rack;
    this.#rack = (rack + 1) % racks;
    this.nextAtMs = afterwards(this.nextAtMs, numbers.everyMs, nowMs);
    const agents = Array.from({ length: size }, (_, index) => index).filter(
      (index) => rackOf(index, racks) === rack,
    );
    return { what: `${rackName(rack)} cut off`, acts: [{ kind: 'cut', agents, awayMs: numbers.awayMs }] };
  }
}

/** The power of a rack fails: its agents vanish at once, and all come back at once. */
export const rackLoss: ProfileKind = {
  name: 'rack-loss',
  defaults: { everyMs: 20_000, awayMs: 5_000 },
  describe: ({ everyMs, awayMs }) =>
    `every ${formatDuration(everyMs)} the next rack is cut off at once, and comes back after ${formatDuration(awayMs)}`,
  begin: (input) => new RackLoss(input),
};
