import { Histogram } from '../harness/statistics.ts';
import type { Agent } from './agent.ts';
import type { Beat } from './agent-dialects.ts';

/** A source of heartbeats. `answered` is called for each answer, `lost` for each agent that went away. */
interface Loop {
  answered(agent: Agent): void;
  lost(agent: Agent): void;
  stop(): void;
}

/** What loops count. */
export interface Counts {
  answered: number;
  late: number;
  latency: Histogram;
}

/** How often the number under way is adjusted. */
const ADJUST_MS = 200;
/** From this share of the limit on, no more are added. */
const COMFORT = 0.6;
/** Fewer would leave a server waiting for the load; so many are under way at the start too. */
const LEAST = 200;

/**
 * As many heartbeats as the server answers, from all agents in turn: the number under way grows until the p99 of
 * the answers comes near its limit, and shrinks where it is above.
 */
export class SaturatingLoop implements Loop {
  readonly #waiting: Agent[];
  #head = 0;
  #limit = LEAST;
  #underWay = 0;
  #stopped = false;
  readonly #recent = new Histogram();
  readonly #timer: NodeJS.Timeout;

  constructor(
    agents: readonly Agent[],
    private readonly beat: Beat,
    private readonly p99Ms: number,
    private readonly counts: Counts,
  ) {
    this.#waiting = [...agents];
    this.#timer = setInterval(() => this.#adjust(agents.length), ADJUST_MS);
    this.#pump();
  }

  get underWay(): number {
    return this.#underWay;
  }

  #adjust(most: number): void {
    const p99 = this.#recent.quantile(0.99);
    this.#recent.clear();
    if (p99 > this.p99Ms * 0.9) this.#limit = Math.max(LEAST, Math.floor(this.#limit * 0.8));
    else if (p99 < this.p99Ms * COMFORT) this.#limit = Math.min(most, Math.ceil(this.#limit * 1.4));
    this.#pump();
  }

  #pump(): void {
    const now = performance.now();
    while (!this.#stopped && this.#underWay < this.#limit && this.#head < this.#waiting.length) {
      const agent = this.#waiting[this.#head];
      this.#head += 1;
      if (agent?.state !== 'joined') continue;
      this.#underWay += 1;
      agent.sentAt = now;
      agent.beat(this.beat);
    }
    // The front of the line that has been served is cut off now and then.
    if (this.#head > 16_384) {
      this.#waiting.splice(0, this.#head);
      this.#head = 0;
    }
  }

  answered(agent: Agent): void {
    if (agent.sentAt === 0) return;
    const took = performance.now() - agent.sentAt;
    agent.sentAt = 0;
    this.counts.answered += 1;
    this.counts.latency.add(took);
    this.#recent.add(took);
    this.#underWay -= 1;
    this.#waiting.push(agent);
    this.#pump();
  }

  lost(agent: Agent): void {
    if (agent.sentAt === 0) return;
    agent.sentAt = 0;
    this.#underWay -= 1;
    this.#pump();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }
}

/** So many a second, whatever the server answers; an agent whose last one is not answered yet is passed over. */
export class PacedLoop implements Loop {
  #sent = 0;
  #next = 0;
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly underWay = 0;

  constructor(
    private readonly agents: readonly Agent[],
    private readonly beat: Beat,
    private readonly perSecond: number,
    private readonly counts: Counts,
  ) {
    this.#timer = setInterval(() => this.#tick(), 2);
  }

  #tick(): void {
    const now = performance.now();
    const due = Math.floor(((now - this.#startedAt) / 1_000) * this.perSecond);
    // What a stall of this process left behind is not sent at once.
    this.#sent = Math.max(this.#sent, due - Math.ceil(this.perSecond / 10));
    for (; this.#sent < due; this.#sent += 1) {
      const agent = this.agents[this.#next];
      this.#next = (this.#next + 1) % this.agents.length;
      if (agent?.state !== 'joined') continue;
      if (agent.sentAt > 0) {
        this.counts.late += 1;
        continue;
      }
      agent.sentAt = now;
      agent.beat(this.beat);
    }
  }

  answered(agent: Agent): void {
    if (agent.sentAt === 0) return;
    this.counts.answered += 1;
    this.counts.latency.add(performance.now() - agent.sentAt);
    agent.sentAt = 0;
  }

  lost(agent: Agent): void {
    agent.sentAt = 0;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
