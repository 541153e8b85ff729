import type { Dial, Link, LinkListener } from './link.ts';
import type { Sleeper, Wheel } from './wheel.ts';

/** A slow way to the hub: what each direction costs, in milliseconds. */
export interface Slowness {
  latencyMs: number;
  /** Up to so much more, at random for each piece. */
  jitterMs: number;
}

/** As many pieces as may be on their way to the hub; more than an agent that waits for answers ever has. */
const MOST_UNDERWAY = 64;
/** From here on nothing more is read, as if a narrow pipe were full. */
const READ_AHEAD = 16;

interface Parcel {
  atMs: number;
  deliver: () => void;
}

/** Delays in one direction. The order stays, as on a real wire: what is quicker waits for what left before it. */
class Lane implements Sleeper {
  wakeAtMs = Number.POSITIVE_INFINITY;
  readonly #parcels: Parcel[] = [];
  readonly #wheel: Wheel;
  readonly #delayMs: () => number;

  constructor(wheel: Wheel, delayMs: () => number) {
    this.#wheel = wheel;
    this.#delayMs = delayMs;
  }

  get length(): number {
    return this.#parcels.length;
  }

  add(nowMs: number, deliver: () => void): void {
    const atMs = nowMs + this.#delayMs();
    this.#parcels.push({ atMs, deliver });
    if (this.#parcels.length === 1) this.#wheel.wakeAt(this, atMs);
  }

  clear(): void {
    this.#parcels.length = 0;
    this.#wheel.forget(this);
  }

  wake(nowMs: number): void {
    for (let first = this.#parcels[0]; first && first.atMs <= nowMs; first = this.#parcels[0]) {
      this.#parcels.shift();
      first.deliver();
    }
    const [next] = this.#parcels;
    if (next) this.#wheel.wakeAt(this, next.atMs);
  }
}

/**
 * Dials over a slow network: everything arrives later, in both directions; frames leave in two pieces; and the socket
 * is not read while much is on its way.
 */
export function slowDial(
  dial: Dial,
  { latencyMs, jitterMs }: Slowness,
  parts: { wheel: Wheel; random: () => number; nowMs: () => number },
): Dial {
  const { wheel, random, nowMs } = parts;
  const delay = (): number => latencyMs + random() * jitterMs;
  return (options, listener) => {
    const out = new Lane(wheel, delay);
    const back = new Lane(wheel, delay);
    const late =
      <T extends unknown[]>(tell: (...what: T) => void) =>
      (...what: T): void => {
        back.add(nowMs(), () => {
          if (back.length < READ_AHEAD) link.resume();
          tell(...what);
        });
        if (back.length >= READ_AHEAD) link.pause();
      };
    const slow: LinkListener = {
      opened: late(() => listener.opened()),
      text: late((text: string) => listener.text(text)),
      pong: late(() => listener.pong()),
      ended: late((how) => {
        out.clear();
        listener.ended(how);
      }),
    };
    const link: Link = dial(options, slow);
    return {
      write(bytes) {
        if (out.length + 2 > MOST_UNDERWAY) return;
        const middle = Math.ceil(bytes.length / 2);
        out.add(nowMs(), () => link.write(bytes.subarray(0, middle)));
        out.add(nowMs(), () => link.write(bytes.subarray(middle)));
      },
      pause: () => link.pause(),
      resume: () => link.resume(),
      goodbye: (code) => out.add(nowMs(), () => link.goodbye(code)),
      reset() {
        out.clear();
        back.clear();
        link.reset();
      },
    };
  };
}
