import type { AgentClock } from '../agent/session/clock.ts';
import type { Disruptions } from './disruptions.ts';
import type { Dial, DialOptions } from './link.ts';
import type { Site } from './machine.ts';
import type { Tally } from './tally.ts';
import type { Wheel } from './wheel.ts';

/** What all agents of a simulation share. */
export interface AgentContext {
  readonly clock: AgentClock;
  readonly wheel: Wheel;
  readonly random: () => number;
  readonly tally: Tally;
  readonly disruptions: Disruptions;
  readonly site: Site;
  readonly hubUrls: readonly string[];
  readonly token?: string;
  /** Looks a hub's name up. */
  readonly lookup?: DialOptions['lookup'];
  /** The share of beats that carry stats, from 0 to 1. */
  readonly statsShare: number;
  /** Beats with stats, to choose from. */
  readonly statsBeats: readonly Buffer[];
  /** What a hub's reply says of time: the store's clock is ahead of this one's wall clock by so much, or a little more. */
  storeAheadMs: number;
}

/** What one agent has of its own. */
export interface AgentPlace {
  /** From 0. */
  readonly index: number;
  readonly dial: Dial;
  readonly localAddress?: string;
}
