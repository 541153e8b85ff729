import { uptime } from 'node:os';

/** The longest delay that a timer takes (2^31 - 1 ms); a longer one would fire at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** The agent's only source of time, so that every timing rule runs under a fake clock in tests. Milliseconds. */
export interface AgentClock {
  /** The wall clock. Anybody may set it, forwards and backwards: use it for display. */
  wallMs(): number;
  /** A clock that only goes forward, for measuring how long something took. */
  nowMs(): number;
  /**
   * How long ago the machine started, its sleep included. Only where `nowMs` does not count sleep, so that the
   * difference of the two is how long the machine slept.
   */
  bootMs?(): number;
  /** Runs `run` once, `ms` from now, unless the returned function cancels it first. */
  after(ms: number, run: () => void): () => void;
}

/** The clock of this process. */
export const systemClock: AgentClock = {
  wallMs: () => Date.now(),
  nowMs: () => performance.now(),
  // Elsewhere the monotonic clock that Node reads counts sleep itself.
  ...(process.platform === 'linux' && { bootMs: () => uptime() * 1_000 }),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(Math.max(ms, 0), LONGEST_TIMER_MS));
    return () => clearTimeout(timer);
  },
};
