import { type ChildProcess, spawn } from 'node:child_process';
import { afterEach, describe, it } from 'vitest';
import { Opened } from '../dashboards/harness.ts';
import { leash } from '../support/leash.ts';
import { registerAgent, registerMessage } from '../support/test-fleet.ts';
import { until } from '../support/until.ts';

const opened = new Opened();
afterEach(() => opened.close());

function follow(url: string): { child: ChildProcess; said(): string } {
  const child = spawn(process.execPath, ['examples/follow.mjs'], {
    env: { PATH: process.env.PATH, ROLLCALL_URL: url },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  leash(child);
  opened.onClose(() => child.kill('SIGKILL'));
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => {
      text += data.toString();
    });
  return { child, said: () => text };
}

describe('examples/follow.mjs', () => {
  it('is ten lines that show the fleet and each change, through a restart of the hub', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a' });
    const { said } = follow(hub.url);
    await until('the picture', () => said().includes('1 nodes\n'));
    await hub.register({ nodeId: 'b', hostname: 'bee' });
    await until('a change', () => said().includes('bee null -> online registered\n'));
    await hub.close();
    await until('it is said', () => said().includes('away: '));
    const again = await opened.hub({ port: Number(new URL(hub.url).port) });
    await registerAgent(again.fleet, registerMessage({ nodeId: 'c' }));
    await until('a new picture', () => /away: [^\n]*\n[01] nodes\n/.test(said()));
  });
});
