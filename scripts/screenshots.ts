// Pictures of every part of the page, in both themes, at three widths: npm run screenshots [folder]
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { driftingStats } from '../simulate/simulated-node.ts';
import { launchBrowser } from '../test/page/browser.ts';
import { type FilledHub, startFilledHub } from '../test/support/filled-hub.ts';

const folder = process.argv[2] ?? 'docs/screenshots';
const only = process.argv[3];
const SIZES = [
  [1440, 900],
  [1024, 768],
  [390, 844],
] as const;
const THEMES = ['light', 'dark'] as const;
/** For lines to have some length, and flashes to be over. */
const LINES_MS = 4_000;
const SETTLE_MS = 1_500;

/** A fleet with a story: one rack lost, some machines unwell, some switched off. */
async function tell({ agents, beat, lose, leave, hub }: FilledHub): Promise<void> {
  const figures = agents.map(() => driftingStats(262_144));
  const beatSome = (most: number): void => {
    for (const [index, agent] of agents.slice(0, most).entries()) beat(agent, figures[index]?.() ?? {});
  };
  beatSome(agents.length);
  await hub.fleet.flush();
  const inRack = (rack: string) =>
    agents.filter(({ session }) => hub.fleet.view.get(session.nodeId)?.node.labels.rack === rack);
  for (const agent of inRack('rack-b2')) await leave(agent);
  await pause(1_100);
  for (const index of [7, 44, 45, 120, 231, 232, 300]) {
    const agent = agents[index];
    if (agent) beat(agent, { cpuPercent: 97, failing: ['disk', '/var is 98 % full'] });
  }
  await hub.fleet.flush();
  await pause(1_100);
  await Promise.all(inRack('rack-a4').map((agent) => lose(agent)));
  await pause(1_100);
  for (const index of [3, 180]) {
    const agent = agents[index];
    if (agent) await lose(agent);
  }
  const timer = setInterval(() => beatSome(60), 500);
  timer.unref();
}

const PARTS: Readonly<Record<string, (page: Page, url: string) => Promise<unknown>>> = {
  overview: (page, url) => page.goto(url),
  map: (page, url) => page.goto(`${url}/?view=map&group=label:rack`),
  table: (page, url) => page.goto(`${url}/?view=table&label=zone=a&sort=-since`),
  node: async (page, url) => {
    await page.goto(`${url}/?node=sim-0008`);
    await page.getByRole('dialog').getByText('What it is').waitFor();
    await pause(LINES_MS);
  },
  changes: (page, url) => page.goto(`${url}/?view=changes`),
};

async function shoot(browser: Browser, part: string, open: (page: Page) => Promise<unknown>): Promise<void> {
  if (only !== undefined && !part.startsWith(only)) return;
  for (const theme of THEMES) {
    for (const [width, height] of SIZES) {
      const page = await browser.newPage({ viewport: { width, height }, colorScheme: theme });
      await open(page);
      await page.getByRole('heading').nth(1).waitFor();
      await pause(SETTLE_MS);
      await page.screenshot({ path: join(folder, `${part}-${theme}-${width}.png`) });
      await page.close();
    }
  }
}

await mkdir(folder, { recursive: true });
const browser = await launchBrowser();
const filled = await startFilledHub(400);
const empty = await startFilledHub(0);
const guarded = await startFilledHub(0, { AGENT_TOKENS: 'agent-token', DASHBOARD_TOKENS: 'reader-token' });
await tell(filled);
for (const [part, open] of Object.entries(PARTS))
  await shoot(browser, part, (page) => open(page, filled.hub.url));
await shoot(browser, 'empty', (page) => page.goto(empty.hub.url));
await shoot(browser, 'token', (page) => page.goto(guarded.hub.url));
await shoot(browser, 'nomatch', (page) => page.goto(`${filled.hub.url}/?q=nothing-like-this&kind=gpu`));
await browser.close();
await Promise.all([filled, empty, guarded].map(({ hub }) => hub.stop()));
