import { hostname } from 'node:os';
import { afterAll, describe } from 'vitest';
import { closeBrowser, expect, FAILED_ATTEMPTS, it } from './page-test.ts';

afterAll(closeBrowser);

describe.concurrent('the page while things break', () => {
  it('shows a killed agent unreachable, then offline, then back, with reason and evidence', async ({
    fleet,
    programs,
    open,
  }) => {
    const hub = await fleet.hub({});
    const command = ['agent', '--hub', hub.url, '--node-id', 'doomed'];
    const agent = programs.run(command);
    const shown = await open(`${hub.url}/?node=doomed`);
    const drawer = shown.page.getByRole('dialog');
    await drawer.getByText(/^Online since/).waitFor();
    await agent.kill();
    await shown.row(hostname(), 'Unreachable').waitFor();
    await drawer.getByText(/^Unreachable since .*: its connection broke without a goodbye/).waitFor();
    await shown.row(hostname(), 'Offline').waitFor();
    await drawer.getByText(/^Offline since .*: no .*; last one \d\d:\d\d:\d\d over hub-\w+\.$/).waitFor();
    await shown.expectCount('offline', 1);
    programs.run(command);
    await shown.row(hostname(), 'Online').waitFor();
    await shown.expectCount('offline', 0);
    const feed = shown.page.getByRole('region', { name: 'Changes', exact: true });
    await feed.getByText('came back online').waitFor();
    shown.expectQuiet(hub.url);
  });

  it('says in the drawer that nothing is known now while the hub is dead, and draws no figure as live', async ({
    fleet,
    programs,
    open,
  }) => {
    const hub = await fleet.hub({});
    programs.run(['agent', '--hub', hub.url, '--node-id', 'watched']);
    const shown = await open(`${hub.url}/?node=watched`);
    const drawer = shown.page.getByRole('dialog');
    await drawer.getByRole('region', { name: 'Live figures' }).waitFor();
    await drawer.locator('.plot canvas').waitFor();
    await hub.kill();
    await drawer.getByText(/^No contact with the hub since/).waitFor();
    await drawer.getByText(/^as of \d\d:\d\d:\d\d/).waitFor();
    await drawer.getByRole('region', { name: 'Last figures' }).waitFor();
    expect(await shown.barriers()).toEqual([]);
  });

  it('keeps what is known of a node in its drawer when it is removed, and invents no axis for one that is gone', async ({
    fleet,
    programs,
    open,
  }) => {
    const hub = await fleet.hub({});
    const agent = programs.run(['agent', '--hub', hub.url, '--node-id', 'leaving', '--deregister-on-exit']);
    const gone = programs.run(['agent', '--hub', hub.url, '--node-id', 'gone', '--hostname', 'gone.test']);
    const shown = await open(`${hub.url}/?node=leaving`);
    const drawer = shown.page.getByRole('dialog');
    await drawer.getByText(/^Online since/).waitFor();
    // One that is ended before it has registered never was a node.
    await shown.row('gone.test', 'Online').waitFor();
    gone.signal('SIGTERM');
    agent.signal('SIGTERM');
    await drawer.getByText(/^This node was removed. The last that is known: /).waitFor();
    await drawer.getByText('Removed', { exact: true }).waitFor();
    await drawer.getByText('leaving', { exact: true }).first().waitFor();
    await shown.row('gone.test', 'Offline').click();
    await drawer.getByText(/^Offline since .*: its agent stopped/).waitFor();
    await drawer.getByText(/^Not live: /).waitFor();
    expect(await drawer.locator('.plot').isVisible()).toBe(false);
  });

  it('survives a restart of its hub without a reload: says since when, then shows what is true', async ({
    fleet,
    onRedis,
    open,
  }) => {
    const hub = await fleet.hub(onRedis);
    const { port } = new URL(hub.url);
    await fleet.agent('steady', hub.agentUrl);
    const shown = await open(hub.url);
    await shown.row('steady.test', 'Online').waitFor();
    await shown.page.evaluate(() => {
      document.body.dataset.notReloaded = 'true';
    });
    await hub.kill();
    await shown.page.getByText(/^No contact with the hub since \d\d:\d\d:\d\d/).waitFor();
    await shown.page.getByRole('status').filter({ hasText: 'Reconnecting' }).waitFor();
    const next = await fleet.hub({ ...onRedis, PORT: port });
    await fleet.agent('newcomer', next.agentUrl);
    await shown.page.getByRole('status').filter({ hasText: 'Live' }).waitFor();
    await shown.row('newcomer.test', 'Online').waitFor();
    await shown.expectCount('nodes', 2);
    expect(await shown.page.evaluate(() => document.body.dataset.notReloaded)).toBe('true');
    shown.expectQuiet(hub.url, FAILED_ATTEMPTS);
  });

  it("[CLK-5] tells the hub's times where the browser's clock is two hours wrong", async ({
    fleet,
    open,
  }) => {
    const hub = await fleet.hub({});
    await fleet.agent('steady', hub.agentUrl);
    const shown = await open('about:blank');
    await shown.page.addInitScript({
      content: `Date = class extends Date {
        constructor(...given) { given.length === 0 ? super(Date.now()) : super(...given); }
        static now() { return super.now() + 7_200_000; }
      };`,
    });
    await shown.page.goto(hub.url);
    await shown.row('steady.test', 'Online').waitFor();
    await hub.kill();
    const notice = shown.page.getByText(/^No contact with the hub since \d\d:\d\d:\d\d/);
    const [, hours = '', minutes = ''] = /(\d\d):(\d\d):\d\d/.exec((await notice.textContent()) ?? '') ?? [];
    const now = new Date();
    const apart = Math.abs(Number(hours) * 60 + Number(minutes) - now.getHours() * 60 - now.getMinutes());
    expect(Math.min(apart, 24 * 60 - apart)).toBeLessThan(60);
  });

  it('notices within seconds that a line is dead without a word, and comes back by itself', async ({
    fleet,
    open,
  }) => {
    const hub = await fleet.hub({});
    await fleet.agent('steady', hub.agentUrl);
    const shown = await open(hub.url);
    await shown.row('steady.test', 'Online').waitFor();
    hub.pause();
    await shown.page.getByText(/^No contact with the hub since .*: the hub stopped answering/).waitFor();
    hub.resume();
    await shown.page.getByRole('status').filter({ hasText: 'Live' }).waitFor();
    await shown.row('steady.test', 'Online').waitFor();
    shown.expectQuiet(hub.url, FAILED_ATTEMPTS);
  });

  it('says that the hub lost its store, and when it is back', async ({ fleet, redis, onRedis, open }) => {
    const hub = await fleet.hub(onRedis);
    await fleet.agent('steady', hub.agentUrl);
    const shown = await open(hub.url);
    await shown.row('steady.test', 'Online').waitFor();
    redis.pause();
    await shown.page.getByText(/^The hub lost sight of its store at \d\d:\d\d:\d\d/).waitFor();
    redis.resume();
    await shown.page.getByRole('status').filter({ hasText: 'Live' }).waitFor();
    await shown.row('steady.test', 'Online').waitFor();
    shown.expectQuiet(hub.url);
  });

  it('asks for a token, says that one is wrong, and keeps a right one for this tab only', async ({
    fleet,
    open,
  }) => {
    const tokens = { AGENT_TOKENS: 'agent-token', DASHBOARD_TOKENS: 'reader-token' };
    const hub = await fleet.hub(tokens);
    await fleet.agent('guarded', hub.agentUrl, { token: 'agent-token' });
    const shown = await open(`${hub.url}/?status=online`);
    const { page } = shown;
    await page.getByText('This hub asks for a token').waitFor();
    expect(await shown.barriers()).toEqual([]);
    const enter = async (token: string): Promise<void> => {
      await page.getByLabel('Token').fill(token);
      await page.keyboard.press('Enter');
    };
    await enter('wrong-token');
    await page.getByText('The hub rejected this token').waitFor();
    await enter('agent-token');
    await page.getByText('This token is not for reading').waitFor();
    await enter('reader-token');
    await shown.row('guarded.test', 'Online').waitFor();
    expect(page.url()).not.toContain('token');
    await page.reload();
    await shown.row('guarded.test', 'Online').waitFor();
    const other = await open(hub.url);
    await other.page.getByText('This hub asks for a token').waitFor();
    shown.expectQuiet(hub.url);
  });
});
