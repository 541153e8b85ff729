import type { Slowness } from '../slow-link.ts';

/** What a profile does to agents (by their index, from 0). Times are in milliseconds. */
export type Act =
  /** RST. Without `awayMs` they come back as after any loss, with backoff; else they are kept away for that time. */
  | { kind: 'cut'; agents: readonly number[]; awayMs?: number }
  /** A goodbye, and a new instance after `pauseMs`. */
  | { kind: 'restart'; agents: readonly number[]; pauseMs: number };

export interface Step {
  /** What happens, for the summary, where it is one thing that happens to many; its end is then measured. */
  what?: string;
  acts: readonly Act[];
}

/** What happens to a fleet, and when. It holds no timer: its owner calls `step` at `nextAtMs`. */
export interface Profile {
  /** When something happens next; infinity: never. */
  readonly nextAtMs: number;
  /** To be called at `nextAtMs` or later; says what happens now, and moves `nextAtMs` on. */
  step(nowMs: number): Step;
}

/** The numbers of a profile; each uses some of them. Times are in milliseconds. */
export interface ProfileNumbers {
  /** From one event to the next. */
  everyMs: number;
  /** How long agents are kept away. */
  awayMs: number;
  /** The share of the agents that it happens to, above 0 and up to 1. */
  share: number;
  latencyMs: number;
  jitterMs: number;
}

interface FleetShape {
  agents: number;
  racks: number;
}

/** What a profile is made from. */
export interface ProfileInput extends FleetShape {
  numbers: ProfileNumbers;
  random: () => number;
  /** Now. */
  startMs: number;
}

export interface ProfileKind {
  name: string;
  /** The numbers that it uses, with their defaults. */
  defaults: Partial<ProfileNumbers>;
  /** What it is going to do, in one sentence without its subject. */
  describe(numbers: ProfileNumbers): string;
  begin(input: ProfileInput): Profile;
  /** How slow the agents' network is; only the first `share` of them have it. */
  network?(numbers: ProfileNumbers): Slowness;
}

/**
 * The next time after a planned one: counted from the plan, not from when it was carried out, so that the same seed
 * makes the same things happen; but nothing is made up for after this process stood still.
 */
export const afterwards = (plannedMs: number, laterMs: number, nowMs: number): number =>
  Math.max(plannedMs + laterMs, nowMs);

/** Whole agents of a share: at least one. */
export const shareOf = (agents: number, share: number): number =>
  Math.min(agents, Math.max(1, Math.round(agents * share)));

export const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;

/** Nothing ever happens. */
export const nothingHappens: Profile = { nextAtMs: Number.POSITIVE_INFINITY, step: () => ({ acts: [] }) };
