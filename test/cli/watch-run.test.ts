import { afterAll, describe, expect, test } from 'vitest';
import { nodesCommand } from '../../cli/nodes.ts';
import { runWatch, WATCH_EXIT } from '../../cli/watch/run.ts';
import type { WatchSettings } from '../../cli/watch/settings.ts';
import { lose, Opened } from '../dashboards/harness.ts';
import { Programs } from '../support/program.ts';
import { soon } from '../support/soon.ts';

const opened = new Opened();
const programs = new Programs();
afterAll(async () => {
  await programs.end();
  await opened.close();
});

/** A watch in this process: what it wrote, and its end. */
function watch(hubUrl: string, settings: Partial<WatchSettings> = {}) {
  const written = { text: '', complaint: '' };
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  opened.onClose(end);
  const output = {
    colour: false,
    write: (text: string) => {
      written.text += text;
    },
  };
  const exit = runWatch(
    { hubUrl, filter: {}, json: false, once: false, ...settings },
    output,
    ended,
    (why) => {
      written.complaint += why;
    },
  );
  return {
    written,
    exit,
    end,
    says: (pattern: RegExp) => soon(() => pattern.test(written.text)),
  };
}

describe('watch', () => {
  test('shows the fleet, then a line for each change', async () => {
    const hub = await opened.hub();
    const agent = await hub.register({ nodeId: 'a', hostname: 'alpha' });
    const watching = watch(hub.url);
    await watching.says(/1 node: 1 online/);
    await lose(hub, agent);
    await watching.says(
      /alpha \(a\) {2}● online → ○ unreachable {2}its connection broke without a goodbye \(close code 1006\).*over hub-a/,
    );
    watching.end();
    expect(await watching.exit).toBe(WATCH_EXIT.done);
  });

  test('[NODES-12] ls --watch goes on with a line for each change, in the columns of its table', async () => {
    const hub = await opened.hub();
    const agent = await hub.register({ nodeId: 'a', hostname: 'alpha' });
    const said = { out: '', err: '', end: () => {} };
    const io = {
      env: { ROLLCALL_URL: hub.url },
      out: (text: string) => {
        said.out += text;
      },
      err: (text: string) => {
        said.err += text;
      },
      exit: () => {},
      readerGone: () =>
        new Promise<void>((resolve) => {
          said.end = resolve;
        }),
    };
    const ended = nodesCommand(io).parseAsync(['ls', '--watch'], { from: 'user' });
    await soon(() => said.out.includes('alpha'));
    await lose(hub, agent);
    await soon(() => said.out.includes('unreachable'));
    said.end();
    await ended;
    const [head, first, second] = said.out.split('\n');
    expect(head).toMatch(/^STATUS {2}HOSTNAME {2}ID/);
    expect(first).toMatch(/^online {2}alpha {5}a/);
    expect(second).toMatch(/^unreachable {2}alpha {5}a .* connection_lost$/);
  });

  test('survives a restart of the hub, and says what happened', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a' });
    const watching = watch(hub.url);
    await watching.says(/1 node/);
    await hub.close();
    await watching.says(/-- connection lost/);
    const again = await opened.hub({ port: Number(new URL(hub.url).port) });
    await again.register({ nodeId: 'b' });
    await watching.says(/-- connected again/);
    await watching.says(/b {2}● online/);
    await watching.says(/a {2}● online → removed {2}is gone/);
    watching.end();
    expect(await watching.exit).toBe(WATCH_EXIT.done);
  });

  test('--json --once is one line, and the end', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a' });
    const watching = watch(hub.url, { json: true, once: true });
    expect(await watching.exit).toBe(WATCH_EXIT.done);
    const lines = watching.written.text.trimEnd().split('\n');
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ type: 'snapshot', nodes: [{ id: 'a' }] });
  });

  test('a filter of rubbish that passes here but not there is a refusal', async () => {
    const hub = await opened.hub();
    const watching = watch(hub.url, { filter: { q: 'x'.repeat(300) } });
    expect(await watching.exit).toBe(WATCH_EXIT.refused);
    expect(watching.written.complaint).toMatch(/filter\.q/);
  });
});

describe.concurrent('rollcall watch, the program', () => {
  test('a wrong token is one line and exit 4', async () => {
    const hub = await opened.hub({ rules: { dashboardTokens: ['right'] } });
    const { code, stdout, stderr } = await programs.finish(['watch', '--hub', hub.url], {
      ROLLCALL_TOKEN: 'wrong',
    });
    expect([code, stdout]).toEqual([4, '']);
    expect(stderr).toMatch(/^rollcall: http.* the token is wrong; set ROLLCALL_TOKEN[^\n]*\n$/);
    expect(stderr).not.toContain('right');
  });

  test('a hub out of reach with --once is exit 3; wrong usage is exit 2', async () => {
    const [away, wrong] = await Promise.all([
      programs.finish(['watch', '--hub', 'http://127.0.0.1:1', '--once']),
      programs.finish(['watch', '--status', 'asleep']),
    ]);
    expect([away.code, wrong.code]).toEqual([3, 2]);
    expect(away.stderr).toMatch(/cannot connect to http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/);
    expect(wrong.stderr).toMatch(/--status/);
  });

  test('SIGTERM and a closed pipe end it quietly with 0', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a' });
    const stopped = programs.run(['watch', '--hub', hub.url.replace('http', 'ws').concat('/agent')]);
    const piped = programs.run(['watch', '--hub', hub.url, '--json']);
    await Promise.all([stopped.says(/1 online/), piped.says(/snapshot/)]);
    stopped.signal('SIGTERM');
    piped.child.stdout?.destroy();
    await hub.register({ nodeId: 'b' });
    const ended = { code: 0, signal: null };
    expect(await Promise.all([stopped.exit, piped.exit])).toEqual([ended, ended]);
    expect([stopped.stderr, piped.stderr]).toEqual(['', '']);
  });
});
