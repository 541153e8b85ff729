import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { soon } from '../support/soon.ts';
import { Opened } from './harness.ts';

const opened = new Opened();
afterEach(() => opened.close());

const tokens = { rules: { agentTokens: ['agent-secret'], dashboardTokens: ['old', 'new'] } };

/** A bare WebSocket to a hub, and how its upgrade was answered: 101, or the status of the refusal. */
async function upgrade(
  url: string,
  query: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; retryAfter: string | undefined }> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?${query}`, { headers });
  opened.onClose(() => socket.terminate());
  return new Promise((resolve) => {
    socket.on('error', () => {});
    socket.on('open', () => resolve({ status: 101, retryAfter: undefined }));
    socket.on('unexpected-response', (request, response) => {
      resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] });
      request.destroy();
    });
  });
}

const plain = 'EIO=4&transport=websocket';

describe('who may connect', () => {
  test.each([
    ['no token', {}, 'unauthenticated', /missing/],
    ['a wrong token', { token: 'guess' }, 'unauthenticated', /wrong/],
    ['a token that is no text', { token: { $ne: 1 } }, 'unauthenticated', /missing/],
    ["an agent's token", { token: 'agent-secret' }, 'forbidden', /not read/],
  ])('[DAUTH-1] %s is refused with a reason and a code', async (_name, auth, code, message) => {
    const hub = await opened.hub(tokens);
    const dashboard = opened.attempt(hub.url, { auth });
    expect(await dashboard.hears('connect_error')).toMatchObject({
      message: expect.stringMatching(message),
      data: { code },
    });
    expect(hub.gateway.countByState()).toEqual({});
  });

  test('[DAUTH-2] each of the tokens lets a dashboard in', async () => {
    const hub = await opened.hub(tokens);
    for (const token of ['old', 'new']) {
      const dashboard = await opened.dashboard(hub, { auth: { token } });
      expect(await dashboard.follow()).toMatchObject({ ok: true });
    }
  });

  test('[DAUTH-3] a page of another site is refused before the upgrade; a listed one is not', async () => {
    const hub = await opened.hub({ rules: { allowedOrigins: ['https://ops.example'] } });
    expect(await upgrade(hub.url, plain, { Origin: 'https://evil.example' })).toMatchObject({ status: 403 });
    expect(await upgrade(hub.url, plain, { Origin: 'https://ops.example' })).toMatchObject({ status: 101 });
    expect(await upgrade(hub.url, plain, { Origin: hub.url })).toMatchObject({ status: 101 });
    expect(await upgrade(hub.url, plain)).toMatchObject({ status: 101 });
  });

  test('[DAUTH-3] a hub without tokens answers to local names only', async () => {
    const open = await opened.hub();
    const locked = await opened.hub(tokens);
    const headers = { Host: 'rebound.example' };
    expect(await upgrade(open.url, plain, headers)).toMatchObject({ status: 403 });
    expect(await upgrade(locked.url, plain, headers)).toMatchObject({ status: 101 });
  });

  test.each(['EIO=3&transport=websocket', 'EIO=4&transport=polling', `${plain}&sid=abc`, ''])(
    '[DAUTH-4] another protocol is refused: %s',
    async (query) => {
      const hub = await opened.hub();
      expect(await upgrade(hub.url, query)).toMatchObject({ status: 400 });
      expect(hub.gateway.size).toBe(0);
    },
  );

  test('[DAUTH-5] a full hub refuses more, and says when to come back', async () => {
    const hub = await opened.hub({ maxDashboards: 1 });
    const first = await opened.dashboard(hub);
    expect(await upgrade(hub.url, plain)).toEqual({ status: 503, retryAfter: '30' });
    first.close();
    await soon(() => hub.gateway.size === 0);
    expect(await upgrade(hub.url, plain)).toMatchObject({ status: 101 });
  });

  test('[ADM-7] connections that never authenticate take no place of a dashboard', async () => {
    const hub = await opened.hub({ ...tokens, maxDashboards: 1 });
    for (let n = 0; n < 3; n += 1) expect(await upgrade(hub.url, plain)).toMatchObject({ status: 101 });
    const dashboard = await opened.dashboard(hub, { auth: { token: 'new' } });
    expect(await dashboard.follow()).toMatchObject({ ok: true });
    expect(await upgrade(hub.url, plain)).toMatchObject({ status: 503 });
  });

  test('[ADM-7] of those that never authenticate the oldest is ended where too many come', async () => {
    const hub = await opened.hub({ ...tokens, maxUnauthenticated: 2 });
    for (let n = 0; n < 5; n += 1) expect(await upgrade(hub.url, plain)).toMatchObject({ status: 101 });
    await soon(() => hub.gateway.size === 2);
    const dashboard = await opened.dashboard(hub, { auth: { token: 'new' } });
    expect(await dashboard.follow()).toMatchObject({ ok: true });
  });

  test('[ADM-7] so too where many come at the same moment, and more than may wait are told to come again', async () => {
    const hub = await opened.hub({ ...tokens, maxUnauthenticated: 20 });
    const answers = await Promise.all(Array.from({ length: 200 }, () => upgrade(hub.url, plain)));
    for (const answer of answers)
      expect([
        { status: 101, retryAfter: undefined },
        { status: 503, retryAfter: '2' },
      ]).toContainEqual(answer);
    await soon(async () => (await hub.openSockets()) <= 20);
    expect(hub.gateway.size).toBe(20);
    const dashboard = await opened.dashboard(hub, { auth: { token: 'new' } });
    expect(await dashboard.follow()).toMatchObject({ ok: true });
  });

  test('[ADM-7] a connection that was refused is ended, though its client stays', async () => {
    const hub = await opened.hub(tokens);
    const socket = new WebSocket(`${hub.url.replace('http', 'ws')}/socket.io/?${plain}`);
    opened.onClose(() => socket.terminate());
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('open', () => socket.send('40{"token":"guess"}'));
    await closed;
    await soon(() => hub.gateway.size === 0);
  });

  test('[ADM-6] from the eleventh wrong token on an address is told so, and the right one is taken', async () => {
    const hub = await opened.hub(tokens);
    const refused = async () => {
      const error = await opened.attempt(hub.url, { auth: { token: 'guess' } }).hears('connect_error');
      return z.object({ message: z.string(), data: z.object({ code: z.string() }) }).parse(error);
    };
    for (let n = 0; n < 10; n += 1) expect((await refused()).message).toBe('the token is wrong');
    expect(await refused()).toMatchObject({
      message: expect.stringMatching(/^too many wrong tokens/),
      data: { code: 'unauthenticated' },
    });
    const dashboard = await opened.dashboard(hub, { auth: { token: 'new' } });
    expect(await dashboard.follow()).toMatchObject({ ok: true });
  });

  test('[DAUTH-6] a hub that ends its gateway lets dashboards come back by themselves', async () => {
    const hub = await opened.hub();
    const dashboard = await opened.dashboard(hub);
    await dashboard.follow();
    await Promise.all([hub.gateway.close(), hub.gateway.close()]);
    expect(await dashboard.hears('disconnect')).toBe('transport close');
    expect(hub.gateway.size).toBe(0);
    expect(await upgrade(hub.url, plain)).toMatchObject({ status: 503 });
  });

  test('[DAUTH-7] a second CONNECT on one connection ends it', async () => {
    const hub = await opened.hub();
    const socket = new WebSocket(`${hub.url.replace('http', 'ws')}/socket.io/?${plain}`);
    opened.onClose(() => socket.terminate());
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('open', () => {
      for (let times = 0; times < 20; times += 1) socket.send('40{}');
    });
    await closed;
    await soon(() => hub.gateway.size === 0);
    expect(hub.gateway.countByState()).toEqual({});
  });
});
