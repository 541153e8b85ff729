import { PEERS, type PeerName } from '../peers/catalogue.ts';
import type { Aim, Table } from './results.ts';
import type { Stage } from './stage.ts';

/** `full` is what the documents show. `tiny` only shows that the bench itself works. */
export type Scale = 'full' | 'quick' | 'tiny';

/** What a row gets. */
export interface Bench {
  readonly scale: Scale;
  /** Everything started with it ends with the row. */
  readonly stage: Stage;
  /** A part of the row with a stage of its own, so that one measurement's servers do not disturb the next one's. */
  part<T>(use: (stage: Stage) => Promise<T>): Promise<T>;
  /** The rounds of a measurement, fewer where the row has an end by the clock; see `TimeLimit`. */
  rounds(most: number): Iterable<number>;
  /** One line of progress. */
  say(line: string): void;
}

/** What a row found. */
export interface Findings {
  tables: Table[];
  aims: Aim[];
  notes: string[];
  /** The samples behind the tables. */
  numbers: Record<string, number[]>;
}

/** One row of the bench's table. */
export interface Row {
  name: string;
  title: string;
  how: string;
  /** About how long it takes; four times that is its end. */
  seconds: Record<Scale, number>;
  run(bench: Bench): Promise<Findings>;
}

/** What one peer came to; or why it did not. One that fails does not take the others with it. */
export type Outcome<T> = { ok: T } | { failed: string };

export async function attempt<T>(measure: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: await measure() };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

/** A line of a table for a peer that failed, as wide as the others. */
export function failedLine(title: string, why: string, width: number): string[] {
  const short = why.length > 160 ? `${why.slice(0, 160)}…` : why;
  const said = why === 'not installed' ? why : `failed: ${short}`;
  return [title, said, ...Array.from({ length: Math.max(0, width - 2) }, () => '–')];
}

/** A line for each peer: its title and what was found, or why nothing was. */
export function peerLines<T>(
  peers: ReadonlyMap<PeerName, Outcome<T>>,
  width: number,
  cells: (found: T, name: PeerName) => string[],
  titleOf: (name: PeerName) => string = (name) => PEERS[name].title,
): string[][] {
  return [...peers].map(([name, outcome]) => {
    const title = titleOf(name);
    return 'failed' in outcome
      ? failedLine(title, outcome.failed, width)
      : [title, ...cells(outcome.ok, name)];
  });
}

/** The peers of a row: all of them, or at smaller scales those without which it says nothing. */
export function peersFor(
  scale: Scale,
  all: readonly PeerName[],
  few: readonly PeerName[],
): readonly PeerName[] {
  return scale === 'quick' ? all.filter((name) => few.includes(name)) : all;
}

/** Says whom `peersFor` left out. */
export function leftOut(all: readonly PeerName[], taken: readonly PeerName[]): string[] {
  const missed = all.filter((name) => !taken.includes(name)).map((name) => PEERS[name].title);
  return missed.length === 0 ? [] : [`--quick leaves out here: ${missed.join('; ')}.`];
}
