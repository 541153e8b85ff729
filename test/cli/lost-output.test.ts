import { closeSync, existsSync, openSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { Pipe } from '../support/pipe.ts';
import { type Program, Programs } from '../support/program.ts';
import { freePort } from '../support/redis-server.ts';
import { registerMessage } from '../support/test-fleet.ts';
import { TestHubs } from '../support/test-hub.ts';
import { until } from '../support/until.ts';

const programs = new Programs();
const hubs = new TestHubs();
const pipes: Pipe[] = [];
afterAll(async () => {
  await programs.end();
  await hubs.close();
  for (const pipe of pipes.splice(0)) pipe.close();
});

const NO_ROOM = '/dev/full';
const ENDED_WELL = { code: 0, signal: null };

function makePipe(): Pipe {
  const pipe = new Pipe();
  pipes.push(pipe);
  return pipe;
}

/** A pipe that nobody reads any more. */
function brokenPipe(): Pipe {
  const pipe = makePipe();
  pipe.closeReadEnd();
  return pipe;
}

/** A pipe that is full, and that nobody reads now. */
function fullPipe(): Pipe {
  const pipe = makePipe();
  pipe.fill();
  return pipe;
}

/** Runs a program whose output finds no room. */
function runWithoutRoom(args: readonly string[]): Program {
  const full = openSync(NO_ROOM, 'w');
  try {
    return programs.run(args, {}, full);
  } finally {
    closeSync(full);
  }
}

describe.concurrent('a command whose output is lost', () => {
  test.each([[['--help']], [['nodes', '--help']], [['--version']]])(
    '[CLI-11] ends quietly where its reader has gone: %j',
    async (args) => {
      const program = programs.run(args, {}, brokenPipe().writeEnd);
      expect(await program.exit).toEqual(ENDED_WELL);
      expect(program.stderr).toBe('');
    },
  );

  test('[CLI-11] keeps the exit code that it has otherwise', async () => {
    const hub = await hubs.start();
    const { writeEnd } = brokenPipe();
    const none = programs.run(['nodes', 'ls', '--hub', hub.url], {}, writeEnd);
    const watch = programs.run(['watch', '--once', '--hub', hub.url], {}, writeEnd);
    expect((await none.exit).code).toBe(1);
    expect(await watch.exit).toEqual(ENDED_WELL);
    expect([none.stderr, watch.stderr]).toEqual(['', '']);
  });

  test('[CLI-11] stops following events with its reader', async () => {
    const hub = await hubs.start();
    const pipe = makePipe();
    const events = programs.run(['nodes', 'events', '--json', '--hub', hub.url], {}, pipe.writeEnd);
    const register = (nodeId: string) =>
      hub.hub.fleet.httpAgents.register(registerMessage({ nodeId }), { remoteAddress: '' });
    let tries = 0;
    await until('it prints', async () => {
      tries += 1;
      await register(`before-${tries}`);
      return pipe.drain() !== '';
    });
    pipe.closeReadEnd();
    await register('after');
    expect(await events.exit).toEqual(ENDED_WELL);
    expect(events.stderr).toBe('');
  });

  test.skipIf(!existsSync(NO_ROOM))('[CLI-11] says so where there is no room, exit 1', async () => {
    const program = runWithoutRoom(['--help']);
    expect((await program.exit).code).toBe(1);
    expect(program.stderr).toMatch(/^rollcall: cannot write: ENOSPC[^\n]*\n$/);
  });
});

describe.concurrent('a hub whose log is lost', () => {
  /** It answers, and takes its leave as any other. */
  async function expectAlive(hub: Program, port: number): Promise<void> {
    await until('it answers', async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
    hub.signal('SIGTERM');
    expect(await hub.exit).toEqual(ENDED_WELL);
    expect(hub.stderr).toBe('');
  }

  const hubArgs = (port: number) => ['hub', '--port', String(port), '--log-level', 'debug'];

  test('[CLI-12] goes on where the reader has gone', async () => {
    const port = await freePort();
    await expectAlive(programs.run(hubArgs(port), {}, brokenPipe().writeEnd), port);
  });

  test('[CLI-12] goes on where the reader stands still', async () => {
    const port = await freePort();
    await expectAlive(programs.run(hubArgs(port), {}, fullPipe().writeEnd), port);
  });

  test('[CLI-12] says what waited once it is read again', async () => {
    const port = await freePort();
    const pipe = fullPipe();
    const hub = programs.run(hubArgs(port), {}, pipe.writeEnd);
    await until('it answers', async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
    let said = '';
    await until('it says so', () => {
      said += pipe.drain();
      return said.includes('"msg":"Hub listening"');
    });
    hub.signal('SIGTERM');
    expect(await hub.exit).toEqual(ENDED_WELL);
    expect(said + pipe.drain()).toContain('"msg":"Hub stopped"');
  });

  test.skipIf(!existsSync(NO_ROOM))('[CLI-12] goes on where the disk is full', async () => {
    const port = await freePort();
    await expectAlive(runWithoutRoom(hubArgs(port)), port);
  });

  test('[CLI-12] up goes on likewise', async () => {
    const port = await freePort();
    await expectAlive(programs.run(['up', '--port', String(port)], {}, brokenPipe().writeEnd), port);
  });
});
