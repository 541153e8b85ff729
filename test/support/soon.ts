import { budget } from './budget.ts';

const WITHIN_MS = 60_000;

/**
 * Waits for what other tasks of this process bring about, without a timer: it looks again at each turn of the
 * event loop.
 */
export async function soon(holds: () => boolean | Promise<boolean>): Promise<void> {
  const began = performance.now();
  while (!(await holds())) {
    const waitedMs = performance.now() - began;
    if (waitedMs > WITHIN_MS && waitedMs > budget(WITHIN_MS))
      throw new Error(`it never came to this: ${holds}`);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
