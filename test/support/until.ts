import { setTimeout as pause } from 'node:timers/promises';
import { budget } from './budget.ts';

/**
 * Waits until something holds, looking again and again; fails with its last error or value when it never does. How
 * long it may take is said for a quiet machine.
 */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  quietMs = 20_000,
): Promise<T> {
  const began = performance.now();
  let last: unknown;
  // Asked again each time: the machine may have become busy since.
  while (performance.now() - began < budget(quietMs)) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      last = found;
    } catch (error) {
      last = error;
    }
    await pause(20);
  }
  throw new Error(
    `it never came to this: ${what} (last: ${last instanceof Error ? last.message : JSON.stringify(last)})`,
  );
}
