import type { TestProject } from 'vitest/node';
import { measureSlowness } from './slowness.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    slowness: number;
  }
}

const AGAIN_MS = 10_000;

/** While the tests run they slow each other down that much; all deadlines have room for it. */
const BY_OURSELVES = 2;

/** Measures how slow the machine is, before anything else runs on it and again while the tests do; the worst counts. */
export default async function watchSlowness(project: TestProject): Promise<() => void> {
  let worst = await measureSlowness();
  project.provide('slowness', worst);
  const again = setInterval(async () => {
    worst = Math.max(worst, (await measureSlowness()) / BY_OURSELVES);
    project.provide('slowness', worst);
  }, AGAIN_MS);
  return () => {
    clearInterval(again);
    if (worst > 1.5) console.log(`The machine was up to ${worst.toFixed(1)} times slower than a quiet one`);
  };
}
