// What the page costs with a large fleet: npx tsx bench/page-bench.ts [nodes] [seconds]
// One hub in this process with a simulated fleet without sockets, one real Chromium, both on the same machine.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { launchBrowser } from '../test/page/browser.ts';
import { startFilledHub } from '../test/support/filled-hub.ts';

const nodes = Number(process.argv[2] ?? 50_000);
const seconds = Number(process.argv[3] ?? 15);
const CHANGES_PER_SECOND = 1_000;
const TICK_MS = 50;
const RESETS = 7;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const median = (values: number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

const filled = await startFilledHub(nodes);
const { hub, agents, beat } = filled;
const browser = await launchBrowser();
const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
const page = await context.newPage();
const cdp = await context.newCDPSession(page);
await cdp.send('Network.enable');
let bytes = 0;
let frames = 0;
cdp.on('Network.loadingFinished', ({ encodedDataLength }) => {
  bytes += encodedDataLength;
});
cdp.on('Network.webSocketFrameReceived', ({ response: { opcode, payloadData } }) => {
  frames += 1;
  bytes += opcode === 2 ? Math.floor((payloadData.length * 3) / 4) : Buffer.byteLength(payloadData);
});
// tsx names functions with a helper of its own, which the page does not have.
await page.addInitScript('globalThis.__name = (value) => value');
await page.addInitScript(() => {
  window.bench = { longTasks: [], pictureAt: 0 };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.bench.longTasks.push([entry.startTime, entry.duration]);
  }).observe({ type: 'longtask', buffered: true });
  const look = (): void => {
    const painted = document.querySelector<HTMLCanvasElement>('.map-cells');
    if (painted && painted.height > 10 && document.querySelector('.table-body .table-row')) {
      requestAnimationFrame(() => {
        window.bench.pictureAt = performance.now();
      });
    } else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
});

declare global {
  interface Window {
    bench: { longTasks: Array<[start: number, duration: number]>; pictureAt: number; flippedAt?: number };
  }
}

await page.goto(hub.url);
await page.waitForFunction(() => window.bench.pictureAt > 0, undefined, { timeout: 60_000 });
const cold = await page.evaluate(() => window.bench);
say(`${nodes} nodes: navigation to the first full picture ${Math.round(cold.pictureAt)} ms`);
say(`transferred until then: ${(bytes / 1e6).toFixed(2)} MB in ${frames} frames and the page's own files`);
say(
  `long tasks while loading: ${cold.longTasks.map(([, took]) => Math.round(took)).join(', ') || 'none'} ms`,
);

await pause(2_000);
const from = await page.evaluate(() => performance.now());
const before = bytes;
let failing = 0;
const failed = new Set<number>();
const until = performance.now() + seconds * 1_000;
let sent = 0;
for (let due = performance.now(); performance.now() < until; due += TICK_MS) {
  for (let change = 0; change < (CHANGES_PER_SECOND * TICK_MS) / 1_000; change += 1) {
    failing = (failing + 7_919) % agents.length;
    const agent = agents[failing];
    if (!agent) continue;
    if (failed.delete(failing)) beat(agent, { conditions: [] });
    else {
      failed.add(failing);
      beat(agent, { failing: ['disk', 'full'] });
    }
    sent += 1;
  }
  await pause(Math.max(0, due + TICK_MS - performance.now()));
}
await pause(500);
const busy = await page.evaluate(
  (start) => window.bench.longTasks.filter(([at]) => at > start).map(([, took]) => Math.round(took)),
  from,
);
say(`${Math.round(sent / seconds)} changes/s for ${seconds} s: long tasks ${busy.join(', ') || 'none'} ms`);
say(`received meanwhile: ${((bytes - before) / 1e6 / seconds).toFixed(2)} MB/s`);
const { usedSize } = await cdp.send('Runtime.getHeapUsage');
say(`heap of the page after it: ${(usedSize / 1e6).toFixed(0)} MB`);

/** An agent whose connection can be reset as a crashed machine's is. */
async function registerWithSocket(nodeId: string): Promise<Socket> {
  const socket = connect(hub.port, '127.0.0.1');
  const agent = new WebSocket(`ws://127.0.0.1:${hub.port}/agent`, { createConnection: () => socket });
  await once(agent, 'open');
  agent.on('error', () => {});
  agent.send(
    JSON.stringify({
      type: 'register',
      protocol: 1,
      instanceId: randomUUID(),
      node: { hostname: nodeId, nodeId },
    }),
  );
  await once(agent, 'message');
  return socket;
}

const delays: number[] = [];
await page.goto(`${hub.url}/?q=reset-`);
await page.getByText('No node matches').waitFor({ timeout: 60_000 });
await pause(2_000);
for (let round = 0; round < RESETS; round += 1) {
  const id = `reset-${round}`;
  const socket = await registerWithSocket(id);
  await page.locator('.table-body .table-row').filter({ hasText: id }).waitFor();
  await pause(300);
  await page.evaluate((already) => {
    delete window.bench.flippedAt;
    const seen = new MutationObserver(() => {
      if (document.querySelectorAll('.table-body .status.is-unreachable').length <= already) return;
      seen.disconnect();
      // The frame after the change is in the document is the one that shows it.
      requestAnimationFrame(() => {
        window.bench.flippedAt = Date.now();
      });
    });
    seen.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  }, round);
  const reset = Date.now();
  socket.resetAndDestroy();
  await page.waitForFunction(() => window.bench.flippedAt !== undefined);
  const flipped = await page.evaluate(() => window.bench.flippedAt);
  delays.push((flipped ?? 0) - reset);
}
say(`RST to changed pixel: median ${median(delays)} ms, worst ${Math.max(...delays)} ms of ${RESETS}`);
await browser.close();
await hub.stop();
process.exit(0);
