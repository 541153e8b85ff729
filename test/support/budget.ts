import { availableParallelism, loadavg } from 'node:os';

/** What runs and waits for each core while nothing but the tests do: all budgets have room for that. */
const OWN_LOAD = 2.5;

/** A load average may be that of a far larger machine, of which this one is a part. */
const MOST_BY_LOAD = 10;

let measured = 1;

/** For the start of a test file (watch-slowness.ts measures, setup.ts hands it on). */
export function setSlowness(factor: number): void {
  measured = factor;
}

/** How many times slower than a quiet machine this one is: as was measured, or by what waits for its cores since then. */
function slowness(): number {
  const byLoad = (loadavg()[0] ?? 0) / availableParallelism() / OWN_LOAD;
  return Math.max(measured, Math.min(byLoad, MOST_BY_LOAD));
}

/**
 * How long something may take here that takes at most so long on a quiet machine: every deadline of the tests goes
 * through this. Timings of hubs and agents under test do too, where a machine that is busy could not keep them.
 */
export function budget(quietMs: number): number {
  return Math.ceil(quietMs * slowness());
}
