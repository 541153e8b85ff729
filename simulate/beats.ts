import { Pulse } from '../agent/session/pulse.ts';
import type { HeartbeatTiming } from '../shared/index.ts';
import type { AgentContext } from './agent-context.ts';
import { pingFrame } from './frames.ts';

/** The heartbeat of one session: what to send and when, and what of it was answered. */
export class Beats {
  readonly #context: AgentContext;
  readonly #pulse: Pulse;
  #pingedAtMs: number | undefined;
  /** When the hub last showed that it hears this session. */
  aliveMs: number;

  constructor(context: AgentContext, timing: HeartbeatTiming, nowMs: number) {
    this.#context = context;
    this.#pulse = new Pulse(timing, nowMs, context.random);
    this.aliveMs = nowMs;
  }

  get nextAtMs(): number {
    return this.#pulse.nextAtMs;
  }

  /** To be called at `nextAtMs` or later: the bytes to send, if any; `lost`: the hub is gone. */
  due(nowMs: number): Buffer | 'lost' | undefined {
    const { tally, random, statsShare, statsBeats } = this.#context;
    const action = this.#pulse.due(nowMs);
    if (action === 'probe' || action === 'lost') tally.missed += 1;
    if (action === 'lost') return 'lost';
    if (action === 'none') return undefined;
    this.#pingedAtMs ??= nowMs;
    tally.pings += 1;
    const withStats = action === 'beat' && statsShare > 0 && random() < statsShare;
    const beat = withStats ? statsBeats[Math.floor(random() * statsBeats.length)] : undefined;
    if (beat) tally.stats += 1;
    return beat ?? pingFrame;
  }

  pong(nowMs: number): void {
    this.aliveMs = nowMs;
    this.#pulse.pong(nowMs);
    if (this.#pingedAtMs === undefined) return;
    this.#context.tally.ponged(nowMs - this.#pingedAtMs);
    this.#pingedAtMs = undefined;
  }

  retime(timing: HeartbeatTiming, nowMs: number): void {
    this.#pulse.retime(timing, nowMs, this.#context.random);
  }
}
