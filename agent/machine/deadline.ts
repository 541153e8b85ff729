import type { AgentClock } from '../session/clock.ts';

/**
 * What `work` gives, or `undefined` where it fails or takes longer than `ms`. A probe of a machine must hold
 * nothing up, and what it does not know is left out.
 */
export function within<T>(clock: AgentClock, ms: number, work: () => Promise<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, () => resolve(undefined));
    Promise.resolve()
      .then(work)
      .then(resolve, () => resolve(undefined))
      .finally(cancel);
  });
}
