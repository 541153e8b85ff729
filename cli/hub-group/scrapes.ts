import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { type Figures, figuresOf, mergeFigures } from '../../server/http/metrics/group-metrics.ts';

/** How long one worker is waited for: one that stands still must not hide the others. */
const WITHIN_MS = 2_000;

/** Asks all workers for their figures and makes one text of them; scrapes that come meanwhile share it. */
export class Scrapes {
  /** The primary's own: a process like the others. */
  readonly #registry = new Registry();
  readonly #answering: Gauge;
  readonly #ask: (id: number) => number;
  readonly #answers: Figures[] = [];
  #round = 0;
  #expected = 0;
  #done: () => void = () => {};
  #running: Promise<string> | undefined;

  /** `ask` tells all workers that listen the round to answer to, and returns how many they are. */
  constructor(ask: (id: number) => number) {
    this.#ask = ask;
    collectDefaultMetrics({ register: this.#registry });
    this.#answering = new Gauge({
      name: 'rollcall_workers',
      help: 'Workers of this hub',
      labelNames: ['state'],
      registers: [this.#registry],
      aggregator: 'first',
    });
  }

  collect(): Promise<string> {
    this.#running ??= this.#collect().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  answered(id: number, figures: Figures): void {
    if (id !== this.#round) return;
    this.#answers.push(figures);
    if (this.#answers.length >= this.#expected) this.#done();
  }

  async #collect(): Promise<string> {
    this.#round += 1;
    this.#answers.length = 0;
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, WITHIN_MS);
      this.#done = () => {
        clearTimeout(late);
        resolve();
      };
      this.#expected = this.#ask(this.#round);
      if (this.#expected === 0) this.#done();
    });
    const answers = this.#answers.splice(0);
    this.#round += 1;
    this.#answering.set({ state: 'answering' }, answers.length);
    return mergeFigures([...answers, await figuresOf(this.#registry)]);
  }
}
