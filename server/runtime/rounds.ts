/**
 * Makes a function that runs `run` in the next round of the event loop, once however often it is called until then.
 * `run` may call it again, for the round after.
 */
export function oncePerRound(run: () => void): () => void {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    setImmediate(() => {
      isDue = false;
      run();
    });
  };
}
