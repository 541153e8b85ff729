/** Milliseconds. */
const SECOND = 1_000;

/** The burst, and the rate a second after that. */
class Allowance {
  readonly #perSecond: number;
  readonly #burst: number;
  #left: number;
  #at: number;

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#left = burst;
    this.#at = nowMs;
  }

  take(nowMs: number): boolean {
    this.#left = Math.min(this.#burst, this.#left + ((nowMs - this.#at) / SECOND) * this.#perSecond);
    this.#at = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

/**
 * What an agent takes from its hub on one connection, as hubs bound what they take from agents: a hub may be broken, or
 * another program's.
 */
export class HubBounds {
  readonly #frames: Allowance;
  readonly #messages: Allowance;

  constructor(nowMs: number) {
    this.#frames = new Allowance(HUB_BOUNDS.framesPerSecond, HUB_BOUNDS.framesBurst, nowMs);
    this.#messages = new Allowance(HUB_BOUNDS.messagesPerSecond, HUB_BOUNDS.messagesBurst, nowMs);
  }

  /** A frame of any kind, pongs too; one too many, and the connection is to be cut. */
  frame(nowMs: number): boolean {
    return this.#frames.take(nowMs);
  }

  /** A message; one too many is passed over. */
  message(nowMs: number): boolean {
    return this.#messages.take(nowMs);
  }
}

export const HUB_BOUNDS = {
  /** Frames of one connection: pongs of all pings of an agent that beats ten times a second are a tenth of it. */
  framesPerSecond: 100,
  framesBurst: 400,
  /** Messages that are read and obeyed: a hub has something to say every few seconds at most. */
  messagesPerSecond: 5,
  messagesBurst: 50,
  /** The shortest interval that an agent beats in, whatever a hub asks for. */
  shortestIntervalMs: 100,
  longestTimeoutMs: 86_400_000,
  /** Characters of what a hub says that are kept and logged. */
  wordsLength: 256,
} as const;
