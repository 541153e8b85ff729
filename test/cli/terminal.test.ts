import { createServer } from 'node:http';
import { Command } from 'commander';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { printableLine } from '../../cli/agent-log.ts';
import { CommandFailure } from '../../cli/api/failure.ts';
import { hubsCommand } from '../../cli/hubs.ts';
import { nodesCommand } from '../../cli/nodes.ts';
import { fleetNode } from '../support/fixtures.ts';

/** Clears the screen in one character, colours, sets the title, turns the direction. */
const evil = 'a\u009b2Jb\u001b[31mc\u001b]0;owned\u0007d\u202ee\u2028f';
/** What a terminal obeys. A line ends with `\n`; nothing else may. */
const steers = /[^\P{Cc}\n]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

const node = {
  ...fleetNode({ id: 'n-1', hostname: evil, location: evil, kind: evil, labels: { zone: evil } }),
  metadata: { [evil]: evil, lines: 'one\ntwo' },
  conditions: [{ type: 'disk', status: 'fail', message: evil }],
};
const event = {
  ...{ seq: 1, type: 'registered', nodeId: 'n-1', at: node.createdAt, from: null, to: 'online' },
  ...{ reason: 'registered', evidence: { detail: evil }, node },
};
const answers: Readonly<Record<string, unknown>> = {
  '/api/v1/nodes': { nodes: [node], total: 1, nextCursor: null },
  '/api/v1/nodes/n-1': node,
  '/api/v1/events': { events: [event], cursor: evil, more: false },
  '/api/v1/summary': {
    ...{
      total: 1,
      status: { [evil]: 1 },
      kind: { [evil]: 1 },
      location: {},
      labels: { [evil]: { [evil]: 1 } },
    },
    hubs: [{ hubId: evil, address: evil, sessions: 1, version: evil }],
  },
};

describe('what a hub says on a terminal', () => {
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    const answer = request.method === 'GET' ? answers[path] : undefined;
    response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? { code: 'not_found', detail: evil }));
  });
  let url = '';
  beforeAll(async () => {
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  });
  afterAll(() => void server.close());

  async function run(...args: string[]): Promise<string> {
    let said = '';
    const say = (text: string): void => {
      said += text;
    };
    const io = {
      ...{ env: { ROLLCALL_URL: url }, out: say, err: say, exit: () => {} },
      readerGone: () => new Promise<void>(() => {}),
    };
    const program = new Command().exitOverride().addCommand(nodesCommand(io)).addCommand(hubsCommand(io));
    await program.parseAsync(args, { from: 'user' }).catch((error: unknown) => {
      if (!(error instanceof CommandFailure)) throw error;
    });
    return said;
  }

  test.each([
    ['nodes ls'],
    ['nodes ls --json'],
    ['nodes ls --yaml'],
    ['nodes get n-1'],
    ['nodes get n-1 --json'],
    ['nodes summary'],
    ['nodes summary --yaml'],
    ['nodes events --limit 1'],
    ['nodes events --limit 1 --json'],
    ['nodes rm n-1'],
    ['hubs'],
    ['hubs --json'],
  ])('[TERM-2] rollcall %s', async (line) => {
    const said = await run(...line.split(' '));
    expect(said).not.toBe('');
    expect(said).not.toMatch(steers);
  });

  test('[TERM-2] JSON and YAML are still the same values', async () => {
    expect(JSON.parse(await run('nodes', 'get', 'n-1', '--json'))).toEqual(node);
    expect(parse(await run('nodes', 'get', 'n-1'))).toEqual(node);
  });
});

test('[TERM-3] a line of a log for people holds nothing that a terminal obeys', () => {
  const lines: string[] = [];
  pino({ base: null }, { write: (text) => void lines.push(text) }).info(
    { why: evil, err: new Error(evil), deep: { list: [evil] } },
    evil,
  );
  const [line = ''] = lines;
  const shown: unknown = JSON.parse(printableLine(line));
  expect(JSON.stringify(shown)).not.toMatch(steers);
  expect(shown).toMatchObject({ msg: expect.stringContaining('a\\u009b2Jb\\u001b[31m') });
  // As pretty prints it: texts as they are, the trace in lines.
  expect(shown).toHaveProperty('err.stack', expect.stringMatching(/\n +at /));
  expect(shown).toHaveProperty('err.stack', expect.not.stringMatching(steers));
});
