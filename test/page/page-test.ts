import { randomBytes } from 'node:crypto';
import axe from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { FleetUnderTest } from '../e2e/fleet-under-test.ts';
import { budget } from '../support/budget.ts';
import { Programs } from '../support/program.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { launchBrowser } from './browser.ts';

export { expect };

/** A page in a browser that remembers what it complained of, and whom it asked for something. */
class OpenPage {
  readonly page: Page;
  readonly complaints: string[] = [];
  readonly requests: URL[] = [];

  constructor(page: Page) {
    this.page = page;
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('request', (request) => this.requests.push(new URL(request.url())));
    page.on('websocket', (socket) => this.requests.push(new URL(socket.url())));
  }

  /** The figure of a status in the header, or of all nodes. */
  async expectCount(name: string, value: number, quietMs = 15_000): Promise<void> {
    const figure = this.page.getByRole('group', { name: 'Nodes by status' }).getByRole('button', {
      name: new RegExp(`^${value} ${name}$`),
    });
    await figure.waitFor({ timeout: budget(quietMs) });
  }

  /** The row of a node in the table, with this word in it. */
  row(hostname: string, word = '') {
    return this.page.getByRole('row').filter({ hasText: hostname }).filter({ hasText: word });
  }

  /** Nothing was asked of anybody but this hub, and the browser had nothing to complain of. */
  expectQuiet(hubUrl: string, allowed: RegExp[] = []): void {
    const { host } = new URL(hubUrl);
    expect(new Set(this.requests.map((url) => url.host))).toEqual(new Set([host]));
    const complaints = this.complaints.filter((text) => !allowed.some((pattern) => pattern.test(text)));
    expect(complaints).toEqual([]);
  }

  /** What axe finds that shuts people out. */
  async barriers(): Promise<string[]> {
    await this.page.evaluate(axe.source);
    const { violations } = await this.page.evaluate(() =>
      window.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }),
    );
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join('\n')}`);
  }
}

declare global {
  interface Window {
    axe: typeof axe;
  }
}

/** The browser tells in its console of each attempt to connect that fails: no fault of the page. */
export const FAILED_ATTEMPTS = [/WebSocket connection to .* failed/, /ERR_CONNECTION_REFUSED/];

let browser: Promise<Browser> | undefined;

interface Fixtures {
  fleet: FleetUnderTest;
  programs: Programs;
  redis: RedisServer;
  /** Settings of a hub on that Redis. */
  onRedis: Record<string, string>;
  open: (url: string, options?: BrowserContextOptions) => Promise<OpenPage>;
}

/** Tests with a browser, and a fleet that is ended afterwards. One browser serves all tests of a file. */
export const it = test.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: the runner reads the fixtures that one needs from its first parameter
  fleet: async ({}, use) => {
    const fleet = new FleetUnderTest();
    await use(fleet);
    await fleet.end();
  },
  // biome-ignore lint/correctness/noEmptyPattern: as above
  programs: async ({}, use) => {
    const programs = new Programs();
    await use(programs);
    await programs.end();
  },
  // biome-ignore lint/correctness/noEmptyPattern: as above
  redis: async ({}, use) => {
    const redis = await startRedis();
    await use(redis);
    await redis.stop();
  },
  onRedis: async ({ redis }, use) => {
    await use({ REDIS_URL: redis.url, KEY_PREFIX: `page${randomBytes(4).toString('hex')}`, SHARDS: '4' });
  },
  // biome-ignore lint/correctness/noEmptyPattern: as above
  open: async ({}, use) => {
    browser ??= launchBrowser();
    const started = await browser;
    const contexts: Array<{ close(): Promise<void> }> = [];
    await use(async (url, options) => {
      const context = await started.newContext({ viewport: { width: 1440, height: 900 }, ...options });
      context.setDefaultTimeout(budget(30_000));
      contexts.push(context);
      const opened = new OpenPage(await context.newPage());
      await opened.page.goto(url);
      return opened;
    });
    await Promise.all(contexts.map((context) => context.close()));
  },
});

/** Ends the browser of this file. */
export async function closeBrowser(): Promise<void> {
  await (await browser)?.close();
  browser = undefined;
}
