import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backoff } from '../../agent/session/backoff.ts';
import { HubUrls } from '../../agent/session/hub-urls.ts';
import { ceilings, delayBefore, type Ended, nextStep } from '../../agent/session/next-step.ts';
import { Admission, lateMsOf } from '../../server/edge/admission.ts';

const TIMINGS = [3_000, 30_000, 180_000];
/** As in the agent: an attempt gets a second at least, and ten at most. */
const attemptMs = (ownMs: number): number => Math.min(10_000, Math.max(1_000, ownMs));

function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const refused: Ended = { kind: 'failed', message: 'connect ECONNREFUSED' };
const hangs: Ended = { kind: 'failed', message: 'the hub did not answer the connection attempt in time' };

/** One agent's attempts, from the loss of its hub on, until one is taken. */
class Returning {
  atMs = 0;
  readonly #backoff: Backoff;
  readonly #urls: HubUrls;
  readonly #timeoutMs: number | undefined;

  constructor(timeoutMs: number | undefined, hubs: readonly string[], random: () => number) {
    this.#timeoutMs = timeoutMs;
    this.#backoff = new Backoff(random);
    this.#urls = new HubUrls(hubs, random);
    this.#wait(refused);
  }

  /** Tries the next hub, and waits where that fails. `answer` gives how the attempt ends, or nothing: it is taken. */
  try(answer: (url: string) => Ended | undefined): boolean {
    const ended = answer(this.#urls.next());
    if (!ended) return true;
    if (ended === hangs) this.atMs += attemptMs(ceilings(this.#timeoutMs, this.#urls.size).ownMs);
    this.#wait(ended);
    return false;
  }

  #wait(ended: Ended): void {
    const limits = ceilings(this.#timeoutMs, this.#urls.size);
    this.atMs += delayBefore(nextStep(ended), ended, this.#backoff, limits) ?? Number.NaN;
  }
}

function returnsAt(agent: Returning, answer: (url: string, nowMs: number) => Ended | undefined): number {
  while (!agent.try((url) => answer(url, agent.atMs))) expect(agent.atMs).toBeLessThan(10_000_000);
  return agent.atMs;
}

describe('after an outage of all hubs', () => {
  it.each(TIMINGS)(
    '[BACK-1] however long it was, an agent is back within half of its timeout of %i ms, also where its attempts hung',
    (timeoutMs) => {
      fc.assert(
        fc.property(
          fc.integer(),
          fc.integer({ min: 0, max: 3_600_000 }),
          fc.boolean(),
          (seed, outageMs, hung) => {
            const agent = new Returning(timeoutMs, ['a'], randomOf(seed));
            const backMs = returnsAt(agent, (_url, nowMs) =>
              nowMs >= outageMs ? undefined : hung ? hangs : refused,
            );
            return backMs - outageMs <= timeoutMs / 2;
          },
        ),
        { numRuns: 200 },
      );
    },
  );

  it.each([2, 3, 5])('[BACK-2] so too where one of %i hubs is back and the others are not', (count) => {
    const timeoutMs = 30_000;
    const hubs = Array.from({ length: count }, (_, index) => `hub-${index}`);
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 0, max: 600_000 }),
        fc.boolean(),
        (seed, outageMs, hung) => {
          const agent = new Returning(timeoutMs, hubs, randomOf(seed));
          const backMs = returnsAt(agent, (url, nowMs) =>
            url === 'hub-0' && nowMs >= outageMs ? undefined : hung ? hangs : refused,
          );
          return backMs - outageMs <= timeoutMs;
        },
      ),
      { numRuns: 200 },
    );
  });

  it('[BACK-3] one that was started meanwhile is back as though its timeout were 30 s', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 600_000 }), (seed, outageMs) => {
        const agent = new Returning(undefined, ['a'], randomOf(seed));
        const backMs = returnsAt(agent, (_url, nowMs) => (nowMs >= outageMs ? undefined : hangs));
        return backMs - outageMs <= 15_000;
      }),
    );
  });

  it.each([54_000, 600_000])(
    '[BACK-1] a fleet of 10,000 is taken by one hub before it calls anyone silent, after %i ms',
    (outageMs) => {
      const timeoutMs = 30_000;
      const admission = new Admission(
        { perSecond: 1_000, handshakes: 20_000, lateMs: lateMsOf(timeoutMs) },
        outageMs,
      );
      const agents = Array.from({ length: 10_000 }, (_, seed) => {
        const random = randomOf(seed * 7_919 + 1);
        return { agent: new Returning(timeoutMs, ['a'], random), random };
      });
      let waiting = agents;
      let nowMs = 0;
      for (; waiting.length > 0; nowMs += 10) {
        admission.turned(nowMs);
        waiting = waiting.filter(({ agent, random }) => {
          if (agent.atMs > nowMs) return true;
          return !agent.try(() => {
            if (!admission.overload(true, nowMs)) return undefined;
            return { kind: 'refused', status: 503, retryAfterMs: admission.retryAfterMs(nowMs, random) };
          });
        });
      }
      expect(nowMs - outageMs).toBeLessThan(timeoutMs);
    },
  );
});
