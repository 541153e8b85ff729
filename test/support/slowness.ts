import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** A process that starts and then computes: both are what tests wait for. */
const WORK =
  'let x = 1; for (let i = 0; i < 5e7; i += 1) x = (x * 31 + i) | 0; process.exitCode = x === 0.5 ? 1 : 0;';

/** How long it takes on a quiet machine of two cores, as they were rented out in 2026. */
const QUIET_MS = 420;

/** How many times longer than on a quiet machine this takes now; 1 where it is quicker. */
export async function measureSlowness(): Promise<number> {
  const began = performance.now();
  await once(spawn(process.execPath, ['-e', WORK], { stdio: 'ignore' }), 'exit');
  return Math.max(1, (performance.now() - began) / QUIET_MS);
}
