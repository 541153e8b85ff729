/** Runs something soon, together with all else that waits for the next picture. */
export type ScheduleFrame = (run: () => void) => void;

/**
 * Collects what is to be told until the next frame: however much comes in between, listeners hear it once.
 */
export class FrameQueue {
  readonly #schedule: ScheduleFrame;
  readonly #run: () => void;
  #waits = false;

  constructor(schedule: ScheduleFrame, run: () => void) {
    this.#schedule = schedule;
    this.#run = run;
  }

  request(): void {
    if (this.#waits) return;
    this.#waits = true;
    this.#schedule(() => {
      this.#waits = false;
      this.#run();
    });
  }
}
