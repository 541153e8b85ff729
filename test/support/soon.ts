/**
 * Waits for what other tasks of this process bring about, without a timer: it looks again at each turn of the
 * event loop. The test's own timeout bounds it.
 */
export async function soon(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => setImmediate(resolve));
}
