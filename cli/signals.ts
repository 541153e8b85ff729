const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
export type StopSignal = (typeof SIGNALS)[number];

/** A hub must be gone by then, whatever its store does. */
const FORCED_AFTER_MS = 7_500;

/** From now on the process has so long to end by itself. */
export function forceTheEnd(): void {
  setTimeout(() => process.exit(1), FORCED_AFTER_MS).unref();
}

/**
 * Resolves at the first SIGTERM or SIGINT. From then on the process has so long to end by itself; a second
 * signal ends it at once, or where `again` says so it is passed over.
 */
export function untilSignal(again: 'ends' | 'nothing' = 'ends'): Promise<StopSignal> {
  return new Promise((resolve) => {
    for (const signal of SIGNALS) {
      process.once(signal, () => {
        for (const another of SIGNALS) process.on(another, () => again === 'ends' && process.exit(1));
        forceTheEnd();
        resolve(signal);
      });
    }
  });
}
