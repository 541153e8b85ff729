import { Command } from 'commander';
import { afterEach, describe, expect, it } from 'vitest';
import { CommandFailure } from '../../cli/api/failure.ts';
import { nodesCommand } from '../../cli/nodes.ts';
import { systemClock } from '../../server/runtime/clock.ts';
import { MemoryFleet } from '../../server/store/memory/memory-store.ts';
import { startApi, type TestApi } from '../http/test-api.ts';
import { until } from '../support/until.ts';

/** A hub that can be started again on the same port and the same data, as after `kill -9`. */
class Restartable {
  readonly memory: MemoryFleet;
  api: TestApi | undefined;
  port = 0;

  constructor(logEntries?: number) {
    this.memory = new MemoryFleet(systemClock, 2, logEntries);
  }

  async start(): Promise<TestApi> {
    const { memory, port } = this;
    this.api = await startApi({ memory, port, dashboards: true, hubId: `hub-${performance.now()}` });
    this.port = Number(new URL(this.api.url).port);
    return this.api;
  }

  async stop(): Promise<void> {
    await this.api?.close();
    this.api = undefined;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async add(id: string): Promise<void> {
    const answer = await this.api?.call('POST', '/api/v1/nodes', {
      node: { nodeId: id, hostname: `${id}.test` },
    });
    expect(answer?.status).toBeLessThan(300);
  }
}

/** A command that goes on; what it says meanwhile, and its exit code. */
function run(url: string, ...line: string[]) {
  const said = { out: '', err: '', code: 0, end: (): void => {} };
  const io = {
    env: { ROLLCALL_URL: url },
    out: (text: string) => {
      said.out += text;
    },
    err: (text: string) => {
      said.err += text;
    },
    exit: (code: number) => {
      said.code = code;
    },
    readerGone: () =>
      new Promise<void>((resolve) => {
        said.end = resolve;
      }),
  };
  const program = new Command().exitOverride().addCommand(nodesCommand(io));
  const ended = program.parseAsync(['nodes', ...line], { from: 'user' }).then(
    () => said,
    (error: unknown) => {
      if (!(error instanceof CommandFailure)) throw error;
      return Object.assign(said, { code: error.exitCode, err: said.err + error.message });
    },
  );
  return Object.assign(said, { ended });
}

describe('commands that wait', () => {
  let hub: Restartable;
  afterEach(() => hub.stop());

  it('[NODES-15] wait outlasts a restart of the hub, and begins before the hub is there', async () => {
    hub = new Restartable();
    await hub.start();
    await hub.stop();
    const waiting = run(hub.url, 'wait', 'late', '--for', 'online', '--timeout', '1m');
    await hub.start();
    await hub.add('other');
    await hub.stop();
    await hub.start();
    await hub.add('late');
    expect(await waiting.ended).toMatchObject({ code: 0, out: 'late is online\n' });
  });

  it('[NODES-15] wait ends with 3 where the hub is away at the timeout, and with 2 where several are meant', async () => {
    hub = new Restartable();
    await hub.start();
    await hub.add('web-1');
    await hub.add('web-2');
    const several = await run(hub.url, 'wait', 'web', '--for', 'online').ended;
    expect(several).toMatchObject({ code: 2, err: expect.stringContaining('may be 2 nodes') });
    await hub.stop();
    const away = await run(hub.url, 'wait', 'web-1', '--for', 'online', '--timeout', '300ms').ended;
    expect(away).toMatchObject({ code: 3, err: expect.stringMatching(/^cannot reach .*ECONNREFUSED/) });
  });

  it('[NODES-16] events go on where they were after a restart of the hub, and say where to go on', async () => {
    hub = new Restartable();
    await hub.start();
    await hub.add('a');
    const following = run(hub.url, 'events', '--since', '1h');
    await until('the past', () => following.out.includes('a.test (a)'));
    await hub.stop();
    await until('it is said', () => following.err.includes('trying again'));
    await hub.start();
    await hub.add('b');
    await until('what came', () => following.out.includes('b.test (b)'));
    following.end();
    const { out, err } = await following.ended;
    expect(out.match(/a\.test/g)).toHaveLength(1);
    expect(out).toMatch(/^\S+Z {2}a\.test \(a\) {2}registered {2}- -> online {2}registered$/m);
    const [, cursor = ''] = /rollcall: to go on: --since (\S+)\n$/.exec(err) ?? [];
    await hub.add('c');
    const more = await run(hub.url, 'events', '--since', cursor, '--once', '--json').ended;
    expect(more.err).toBe('');
    const [only, ...others] = more.out.trim().split('\n');
    expect(others).toEqual([]);
    expect(JSON.parse(only ?? '')).toMatchObject({ nodeId: 'c', cursor: expect.stringMatching(/^[\w-]+$/) });
  });

  it('[NODES-17] events before what the log keeps are named, whether a time or a cursor is too old', async () => {
    hub = new Restartable(10);
    const api = await hub.start();
    const old: string = (await api.call('GET', '/api/v1/events')).body.cursor;
    await until('the log was trimmed', async () => {
      for (let n = 0; n < 20; n += 1) {
        await hub.add('n');
        await api.call('DELETE', '/api/v1/nodes/n');
      }
      return (await api.call('GET', `/api/v1/events?since=${old}`)).status === 410;
    });
    const byTime = await run(hub.url, 'events', '--since', '1h', '--once').ended;
    expect(byTime.err).toMatch(/^rollcall: events before \S+Z are not kept\n/);
    const byCursor = await run(hub.url, 'events', '--since', old, '--once').ended;
    expect(byCursor.err).toMatch(
      /^rollcall: the log does not reach back to this cursor; .*\n.*events before/,
    );
    expect(byCursor.out).toBe(byTime.out);
    const one = await run(
      hub.url,
      'events',
      '--since',
      '1h',
      '--once',
      '--node',
      'n',
      '--limit',
      '1',
      '--json',
    ).ended;
    expect(JSON.parse(one.out)).toMatchObject({ nodeId: 'n' });
  });
});
