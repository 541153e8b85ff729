// The program as its user meets it: `up` says where it listens, this machine is online there, and SIGTERM ends it
// with 0. `smoke.mjs PROGRAM [ARGUMENT…]` tries that program, else the built one is tried. Exits 1 with what went wrong.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { tsImport } from 'tsx/esm/api';

const { measureSlowness } = await tsImport('../test/support/slowness.ts', import.meta.url);
const slowness = await measureSlowness();
const deadline = Date.now() + 30_000 * slowness;
const END_WITHIN_MS = Math.ceil(15_000 * slowness);

const [program = process.execPath, ...first] =
  process.argv.length > 2 ? process.argv.slice(2) : [process.execPath, 'dist/cli/main.js'];
const up = spawn(program, [...first, 'up', '--port', '0'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const exited = new Promise((resolve) => up.on('exit', (code, signal) => resolve(code ?? signal)));
process.on('exit', () => up.kill('SIGKILL'));
let output = '';
up.stdout.on('data', (data) => {
  output += data;
});

async function until(what, look) {
  for (;;) {
    const found = await look();
    if (found) return found;
    if (up.exitCode !== null || Date.now() > deadline) throw new Error(`${what}: not so\n${output}`);
    await sleep(100);
  }
}

const url = await until('up says where it listens', () => /listens on (http:\/\/\S+)/.exec(output)?.[1]);
const node = await until('this machine is online', async () => {
  const response = await fetch(`${url}/api/v1/nodes`);
  if (!response.ok) throw new Error(`GET /api/v1/nodes answers ${response.status}`);
  const { nodes } = await response.json();
  return nodes.find(({ status }) => status === 'online');
});
const ready = await fetch(`${url}/readyz`);
if (!ready.ok) throw new Error(`GET /readyz answers ${ready.status}`);

up.kill('SIGTERM');
const end = await Promise.race([
  exited,
  sleep(END_WITHIN_MS, undefined, { ref: false }).then(
    () => `still running ${END_WITHIN_MS} ms after SIGTERM`,
  ),
]);
if (end !== 0) throw new Error(`SIGTERM should end it with 0, but: ${end}\n${output}`);
console.log(`${[program, ...first].join(' ')} works: ${node.hostname} was online at ${url}`);
