let slowness = 1;

/** For the start of a test file (watch-slowness.ts measures, setup.ts hands it on). */
export function setSlowness(factor: number): void {
  slowness = factor;
}

/**
 * How long something may take here that takes at most so long on a quiet machine: every deadline of the tests goes
 * through this. Timings of hubs and agents under test do too, where a machine that is busy could not keep them.
 */
export function budget(quietMs: number): number {
  return Math.ceil(quietMs * slowness);
}
