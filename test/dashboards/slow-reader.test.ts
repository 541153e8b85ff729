import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { soon } from '../support/soon.ts';
import { Opened, type TestHub } from './harness.ts';

const opened = new Opened();
afterEach(() => opened.close());

/** A dashboard made of bare frames: it reads only as long as it is told to. */
async function bareDashboard(
  hub: TestHub,
  network: Socket = connect(Number(new URL(hub.url).port), '127.0.0.1'),
): Promise<WebSocket> {
  const url = `${hub.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`;
  const socket = new WebSocket(url, { createConnection: () => network });
  opened.onClose(() => socket.terminate());
  socket.on('error', () => {});
  const hears = (start: string) =>
    new Promise<void>((resolve) => {
      socket.on('message', (data) => String(data).startsWith(start) && resolve());
    });
  await hears('0');
  socket.send('40{}');
  await hears('40');
  socket.send('420["subscribe",{}]');
  await hears('430');
  return socket;
}

const heavy = { text: 'x'.repeat(30_000) };

describe('a dashboard that does not keep up', () => {
  test('[BP-1] it is cut off, the hub does not grow, and the others hear everything', async () => {
    const hub = await opened.hub();
    const other = await opened.dashboard(hub);
    await other.follow();
    const slow = await bareDashboard(hub);
    await soon(() => hub.gateway.countByState().live === 2);
    slow.pause();
    let most = 0;
    let changes = 0;
    while (hub.gateway.size > 1) {
      await Promise.all(
        Array.from({ length: 20 }, (_, index) => hub.register({ nodeId: `n${index}`, metadata: heavy })),
      );
      changes += 20;
      await other.hearsEvents(changes);
      most = Math.max(most, hub.gateway.unreadBytes);
    }
    expect(most).toBeLessThan(20 * 1024 * 1024);
    expect(hub.gateway.countByState()).toEqual({ live: 1 });
    await soon(() => hub.gateway.unreadBytes === 0);
  });

  test('[BP-7] one that answers no ping is cut off, however much the kernel takes of what it is sent', async () => {
    const hub = await opened.hub({ pings: { everyMs: 20, answerWithinMs: 1_000 } });
    const other = await opened.dashboard(hub);
    await other.follow();
    const network = connect(Number(new URL(hub.url).port), '127.0.0.1');
    const slow = await bareDashboard(hub, network);
    slow.pause();
    await soon(() => hub.gateway.size === 1);
    // Its network socket is gone as well, and by a reset: nothing waits to be read any more.
    expect(await hub.openSockets()).toBe(1);
    const failed = once(network, 'error');
    slow.resume();
    expect(await failed).toMatchObject([{ code: 'ECONNRESET' }]);
    await hub.register({ nodeId: 'a' });
    await other.hearsEvents(1);
  });

  test('[BP-2] the next page waits until most of the last was taken', async () => {
    const hub = await opened.hub();
    await Promise.all(
      Array.from({ length: 800 }, (_, index) => hub.register({ nodeId: `n${index}`, metadata: heavy })),
    );
    const slow = await bareDashboard(hub);
    slow.pause();
    const other = await opened.dashboard(hub);
    await other.follow();
    expect(other.picture.size).toBe(800);
    // All 24 MB have gone to the other; the slow one was sent what the kernel and a page or four take.
    expect(hub.gateway.countByState()).toEqual({ live: 1, snapshotting: 1 });
    expect(hub.gateway.unreadBytes).toBeLessThan(1_500_000);
    slow.resume();
    await soon(() => hub.gateway.countByState().live === 2);
  });

  test('[BP-3] a flood of messages ends its connection', async () => {
    const hub = await opened.hub();
    const other = await opened.dashboard(hub);
    const flooder = await bareDashboard(hub);
    const closed = new Promise((resolve) => flooder.on('close', resolve));
    for (let index = 0; index < 1_000; index += 1) flooder.send('42["node",{"id":"a"}]');
    await closed;
    await soon(() => hub.gateway.size === 1);
    expect(await other.follow()).toMatchObject({ ok: true });
  });

  test('[BP-4] a message that is too large ends its connection', async () => {
    const hub = await opened.hub();
    const other = await opened.dashboard(hub);
    const large = await bareDashboard(hub);
    const closed = new Promise((resolve) => large.on('close', resolve));
    large.send(`42["node",{"id":"${'x'.repeat(100_000)}"}]`);
    await closed;
    await soon(() => hub.gateway.size === 1);
    expect(await other.follow()).toMatchObject({ ok: true });
  });

  test.each([
    'rubbish',
    '9',
    '42["node"',
    '45-["x"]',
    '42{"a":1}',
    '451-["node",{"_placeholder":true,"num":9}]',
  ])('[BP-4] a frame that is no message ends its connection: %s', async (frame) => {
    const hub = await opened.hub();
    const other = await opened.dashboard(hub);
    const bare = await bareDashboard(hub);
    const closed = new Promise((resolve) => bare.on('close', resolve));
    bare.send(frame);
    if (frame.startsWith('451')) bare.send(Buffer.from('x'));
    await closed;
    await soon(() => hub.gateway.size === 1);
    expect(await other.follow()).toMatchObject({ ok: true });
  });
});
