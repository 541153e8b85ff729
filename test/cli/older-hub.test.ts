import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Programs } from '../support/program.ts';

const programs = new Programs();
const node = { id: 'n1', hostname: 'n1.test', status: 'online', reason: 'registered', seq: 1 };
/** Answers a list as version 0.1 does: whole nodes, or summaries. */
const hub = createServer((request, response) => {
  const fields = new URL(request.url ?? '/', 'http://hub').searchParams.get('fields') ?? 'full';
  const isKnown = fields === 'full' || fields === 'summary';
  const detail = 'fields: Invalid option: expected one of "full"|"summary"';
  const body = isKnown
    ? { nodes: [{ ...node, statusSince: new Date().toISOString() }], total: 1, nextCursor: null }
    : { type: 'about:blank', title: 'Invalid request', status: 400, code: 'invalid', detail, path: 'fields' };
  response.writeHead(isKnown ? 200 : 400, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
});
let url = '';
beforeAll(async () => {
  hub.listen(0, '127.0.0.1');
  await once(hub, 'listening');
  const address = hub.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  url = `http://127.0.0.1:${address.port}`;
});
afterAll(async () => {
  await programs.end();
  hub.close();
});

it('[NODES-13] a hub of version 0.1, which knows only summaries and whole nodes, is listed too', async () => {
  const listed = await programs.finish(['nodes', 'ls', '--hub', url, '--no-headers']);
  expect([listed.code, listed.stderr]).toEqual([0, '']);
  expect(listed.stdout).toMatch(/^online +n1\.test +n1 /);
});
