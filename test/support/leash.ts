import { type ChildProcess, spawn } from 'node:child_process';

/** Keeps a list of process ids that are told to it, and kills them once nobody can tell it more. */
const WATCHDOG = `
trap '' INT TERM HUP
pids=
while read -r what pid; do
  others=
  for known in $pids; do [ "$known" = "$pid" ] || others="$others $known"; done
  pids=$others
  [ "$what" = started ] && pids="$pids $pid"
done
[ -z "$pids" ] || kill -KILL $pids 2>/dev/null
`;

let watchdog: ChildProcess | undefined;

/** A process of its own, which the signals of a terminal do not reach, and which sees our end by its pipe. */
function watching(): ChildProcess {
  if (watchdog) return watchdog;
  watchdog = spawn('sh', ['-c', WATCHDOG], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  watchdog.stdin?.on('error', () => {});
  watchdog.unref();
  // A pipe is a socket here: it would keep this process alive.
  if (watchdog.stdin && 'unref' in watchdog.stdin && typeof watchdog.stdin.unref === 'function')
    watchdog.stdin.unref();
  return watchdog;
}

/** This child is killed when this process ends, however that ends: also where it is killed itself. */
export function leash(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  const { stdin } = watching();
  stdin?.write(`started ${pid}\n`);
  child.once('exit', () => void stdin?.write(`ended ${pid}\n`));
}
