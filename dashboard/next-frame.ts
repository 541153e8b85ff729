/** A page that is not shown gets no frames; it follows the fleet all the same. */
const HIDDEN_FRAME_MS = 500;

/** Runs once, in the next frame, or a little later where the browser draws none. */
export function nextFrame(run: () => void): void {
  let ran = false;
  const once = (): void => {
    if (ran) return;
    ran = true;
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    run();
  };
  const frame = requestAnimationFrame(once);
  const timer = setTimeout(once, HIDDEN_FRAME_MS);
}
