import { setTimeout as pause } from 'node:timers/promises';

/** Waits until something holds, looking again and again; fails with its last error or value when it never does. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  withinMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  let last: unknown;
  while (performance.now() < deadline) {
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
