const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** A hub must be gone by then, whatever its store does. */
const FORCED_AFTER_MS = 7_500;

/**
 * Resolves at the first SIGTERM or SIGINT. From then on the process has so long to end by itself; a second
 * signal ends it at once.
 */
export function untilSignal(): Promise<(typeof SIGNALS)[number]> {
  return new Promise((resolve) => {
    for (const signal of SIGNALS) {
      process.once(signal, () => {
        for (const again of SIGNALS) process.on(again, () => process.exit(1));
        setTimeout(() => process.exit(1), FORCED_AFTER_MS).unref();
        resolve(signal);
      });
    }
  });
}
