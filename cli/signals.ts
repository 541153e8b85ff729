import { closeSync, openSync } from 'node:fs';

/**
 * Signals that would end a process without a goodbye. SIGQUIT: Ctrl-\ and some supervisors; SIGUSR2: programs that
 * restart others at a change; SIGBREAK: Ctrl-Break on Windows. SIGHUP is one where nothing is read again.
 */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGUSR2', 'SIGBREAK'] as const;
export type StopSignal = (typeof SIGNALS)[number] | 'SIGHUP';

/** A hub must be gone by then, whatever its store does. */
const FORCED_AFTER_MS = 7_500;

/** The time that the process has to end by itself. */
export function forceTheEnd(): void {
  setTimeout(() => process.exit(1), FORCED_AFTER_MS).unref();
}

export interface SignalOptions {
  /** What another signal does after the first: it ends the process at once, or is passed over. */
  again?: 'ends' | 'nothing';
  /** At SIGHUP, unless the terminal is gone that this process was started from. Without it SIGHUP ends it too. */
  reload?: () => void;
}

/** A reload that comes before a program has begun: its files are read in any case. */
const early = (): void => {
  if (terminalIsGone()) process.exit(129);
};

/** For a program that reads again at SIGHUP: until `onSignals` listens, one does not end it. */
export function outliveEarlyReload(): void {
  process.on('SIGHUP', early);
}

/** Calls `stop` at each signal that ends, and `reload` at SIGHUP. Returns what takes the listeners away. */
export function onSignals(stop: (signal: StopSignal) => void, reload?: () => void): () => void {
  const hangUp = (): void => {
    if (reload && !terminalIsGone()) reload();
    else stop('SIGHUP');
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  process.on('SIGHUP', hangUp);
  process.off('SIGHUP', early);
  return () => {
    for (const signal of SIGNALS) process.off(signal, stop);
    process.off('SIGHUP', hangUp);
  };
}

/**
 * Resolves at the first signal that ends. From then on the process has that time to end by itself; a second signal ends
 * it at once, or where `again` says so it is passed over.
 */
export function untilSignal({ again = 'ends', reload }: SignalOptions = {}): Promise<StopSignal> {
  return new Promise((resolve) => {
    let stopping = false;
    onSignals((signal) => {
      if (stopping && again === 'ends') process.exit(1);
      if (stopping) return;
      stopping = true;
      forceTheEnd();
      resolve(signal);
    }, reload);
  });
}

const startedFromTerminal = process.stdin.isTTY === true;

/**
 * SIGHUP means two things: a terminal that was closed, which a program must not outlive unseen, and an operator's word
 * to a daemon. They are told apart by whether the terminal can still be opened. Windows sends it for a closed console.
 */
function terminalIsGone(): boolean {
  if (process.platform === 'win32') return true;
  if (!startedFromTerminal) return false;
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return false;
  } catch {
    return true;
  }
}
