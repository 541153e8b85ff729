import { connect } from 'node:net';
import { setTimeout as passes } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { FakeClock } from '../support/fake-clock.ts';
import { soon } from '../support/soon.ts';
import { Opened, type TestHub } from './harness.ts';

const opened = new Opened();
afterEach(() => opened.close());

function bareSocket(hub: TestHub): WebSocket {
  const url = `${hub.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`;
  const socket = new WebSocket(url, { createConnection: () => connect(Number(new URL(hub.url).port)) });
  opened.onClose(() => socket.terminate());
  socket.on('error', () => {});
  return socket;
}

/** Nothing of this process runs, the hub neither. */
const standStill = (ms: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

test('[FRZ-4] a hub that stood still reads the answers to its pings before it cuts anybody off', async () => {
  const hub = await opened.hub({ pings: { everyMs: 200, answerWithinMs: 1_500 } });
  const socket = bareSocket(hub);
  let pings = 0;
  socket.on('message', (data) => {
    if (String(data).startsWith('0')) socket.send('40{}');
    if (String(data) !== '2') return;
    pings += 1;
    socket.send('3');
    if (pings === 2) standStill(3_000);
  });
  await soon(() => pings >= 4);
  expect(socket.readyState).toBe(WebSocket.OPEN);
  await passes(100);
  expect(hub.gateway.size).toBe(1);
});

test('[FRZ-4] the time to authenticate does not run while the hub stands still', async () => {
  const clock = new FakeClock();
  const hub = await opened.hub({ clock });
  const socket = bareSocket(hub);
  await soon(() => hub.gateway.size === 1);
  await clock.advance(8_000);
  clock.jump(60_000);
  await clock.advance(1_000);
  expect(hub.gateway.size).toBe(1);
  await clock.advance(3_000);
  await soon(() => hub.gateway.size === 0 && socket.readyState === WebSocket.CLOSED);
});
