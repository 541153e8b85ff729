import { CLOSE, deregisterSchema } from '../../shared/index.ts';
import type { AgentClock } from './clock.ts';
import { type Deferred, deferred } from './deferred.ts';
import { FleetAgentError } from './errors.ts';
import { describeEnd, type Ended } from './next-step.ts';

/** While the hub cannot write it, a deregistration is sent again this often. */
const SEND_AGAIN_MS = 1_000;

/** The wire message. Throws a ZodError where the reason is longer than the wire takes. */
export function deregisterMessage(reason: string | undefined): string {
  return JSON.stringify(
    deregisterSchema.parse({ type: 'deregister', ...(reason !== undefined && { reason }) }),
  );
}

/** A deregistration that waits for the hub: confirmed by a close with 1000, bounded by a deadline. */
export class Deregistration {
  readonly #clock: AgentClock;
  readonly #send: () => void;
  readonly #done: Deferred<void> = deferred();
  readonly #cancelDeadline: () => void;
  #cancelAgain: () => void = () => {};

  /** Sends at once. */
  constructor(clock: AgentClock, timeoutMs: number, send: () => void) {
    this.#clock = clock;
    this.#send = send;
    this.#cancelDeadline = clock.after(timeoutMs, () => this.fail('the hub did not confirm it in time'));
    send();
  }

  /** Rejects with a `FleetAgentError` `deregister_failed`. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** The hub said `store_away` or `contended`: it removed nothing. */
  notYet(): void {
    this.#cancelAgain();
    this.#cancelAgain = this.#clock.after(SEND_AGAIN_MS, this.#send);
  }

  /** The session ended. 4404 confirms too: the node is gone. */
  sessionEnded(how: Ended): void {
    if (how.kind === 'closed' && (how.code === 1000 || how.code === CLOSE.removed.code)) {
      this.#cancelTimers();
      this.#done.resolve();
    } else {
      this.fail(`the session ended first: ${describeEnd(how)}`);
    }
  }

  fail(why: string): void {
    this.#cancelTimers();
    this.#done.reject(new FleetAgentError('deregister_failed', `not deregistered: ${why}`));
  }

  #cancelTimers(): void {
    this.#cancelDeadline();
    this.#cancelAgain();
  }
}
