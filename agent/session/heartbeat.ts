import type { HeartbeatTiming } from '../../shared/index.ts';
import type { AgentClock } from './clock.ts';
import { Pulse } from './pulse.ts';

export interface HeartbeatListener {
  /** Time for the interval's ping, and for stats. */
  beat(): void;
  /** So many pings in a row went unanswered: time for another. */
  missed(misses: number): void;
  /** The hub seems to be gone. The heartbeat goes on until it is stopped: the hub may only be slow. */
  lost(misses: number): void;
}

/** The heartbeat of one session: a pulse and the one timer that it needs. */
export class Heartbeat {
  readonly #clock: AgentClock;
  readonly #random: () => number;
  readonly #listener: HeartbeatListener;
  readonly #pulse: Pulse;
  #cancel: () => void = () => {};

  constructor(
    timing: HeartbeatTiming,
    { clock, random, mostMisses }: { clock: AgentClock; random: () => number; mostMisses?: number },
    listener: HeartbeatListener,
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#listener = listener;
    this.#pulse = new Pulse(timing, clock.nowMs(), random, mostMisses);
    this.#arm();
  }

  /** A pong came. Returns the milliseconds since the last ping. */
  pong(): number {
    return this.#pulse.pong(this.#clock.nowMs());
  }

  retime(timing: HeartbeatTiming): void {
    this.#pulse.retime(timing, this.#clock.nowMs(), this.#random);
    this.#arm();
  }

  /** Beats now: whether the hub is still there shows sooner. */
  hurry(): void {
    this.#pulse.hurry(this.#clock.nowMs());
    this.#arm();
  }

  stop(): void {
    this.#cancel();
  }

  #arm(): void {
    this.#cancel();
    this.#cancel = this.#clock.after(this.#pulse.nextAtMs - this.#clock.nowMs(), () => this.#due());
  }

  #due(): void {
    const action = this.#pulse.due(this.#clock.nowMs());
    this.#arm();
    if (action === 'lost') this.#listener.lost(this.#pulse.misses);
    else if (action === 'beat') this.#listener.beat();
    else if (action === 'probe') this.#listener.missed(this.#pulse.misses);
    else action satisfies 'none';
  }
}
