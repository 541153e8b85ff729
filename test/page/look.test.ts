import { afterAll, describe } from 'vitest';
import { closeBrowser, expect, it } from './page-test.ts';

afterAll(closeBrowser);

describe('the page of a hub with a fleet', () => {
  it('shows every node at the first paint, and asks nobody but its hub', async ({ fleet, open }) => {
    const hub = await fleet.hub({});
    await fleet.agent('web-1', hub.agentUrl);
    await fleet.agent('web-2', hub.agentUrl);
    const shown = await open(hub.url);
    await shown.expectCount('nodes', 2);
    await shown.expectCount('online', 2);
    await shown.row('web-1.test', 'Online').waitFor();
    await shown.page.getByText(/^as of \d\d:\d\d:\d\d$/).waitFor();
    await shown.page.getByText('1 hub').waitFor();
    shown.expectQuiet(hub.url);
  });

  it('is served with a policy that lets nothing in, and answers programs with JSON', async ({ fleet }) => {
    const hub = await fleet.hub({});
    const page = await fetch(hub.url, { headers: { Accept: 'text/html' } });
    const policy = page.headers.get('Content-Security-Policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    const script = /src="\.(\/assets\/[^"]+\.js)"/.exec(await page.text())?.[1] ?? '';
    const served = await fetch(`${hub.url}${script}`);
    expect(served.status).toBe(200);
    expect(served.headers.get('Cache-Control')).toContain('immutable');
    expect(served.headers.get('Content-Encoding')).toMatch(/^(br|gzip)$/);
    const forPrograms = await fetch(hub.url, { headers: { Accept: 'application/json' } });
    expect(await forPrograms.json()).toMatchObject({ name: 'rollcall' });
    expect((await fetch(`${hub.url}/assets/nothing.js`)).status).toBe(404);
  });

  it('keeps a filter in its address, so that another sees the same', async ({ fleet, open }) => {
    const hub = await fleet.hub({});
    for (const [id, zone] of [
      ['east-1', 'east'],
      ['west-1', 'west'],
    ] as const) {
      await fleet.agent(id, hub.agentUrl, { node: { hostname: `${id}.test`, nodeId: id, labels: { zone } } });
    }
    const mine = await open(hub.url);
    await mine.page.getByRole('button', { name: 'zone east 1 node' }).click();
    await mine.page.getByText('1 of 2').waitFor();
    expect(new URL(mine.page.url()).search).toBe('?label=zone%3Deast');
    const theirs = await open(mine.page.url());
    await theirs.row('east-1.test').waitFor();
    await theirs.page.getByText('1 of 2').waitFor();
    expect(await theirs.row('west-1.test').count()).toBe(0);
    await theirs.page.getByLabel('Search by').fill('nothing like this');
    await theirs.page.getByText('No node matches').waitFor();
    await theirs.page.getByRole('button', { name: 'Clear the filter' }).click();
    await theirs.row('west-1.test').waitFor();
    theirs.expectQuiet(hub.url);
  });

  it('tells how the first agent joins, and shows it when it does', async ({ fleet, open }) => {
    const hub = await fleet.hub({});
    const shown = await open(hub.url);
    await shown.page.getByText(`npx rollcall agent --hub ${hub.url}`).first().waitFor();
    await fleet.agent('first', hub.agentUrl);
    await shown.row('first.test', 'Online').waitFor();
  });

  it('is used by keyboard alone', async ({ fleet, open }) => {
    const hub = await fleet.hub({});
    for (const id of ['alpha', 'beta', 'gamma']) await fleet.agent(id, hub.agentUrl);
    const { page, ...shown } = await open(hub.url);
    await page.getByRole('row').filter({ hasText: 'gamma.test' }).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('a.test');
    await page.waitForURL(/q=a.test/);
    await page.keyboard.press('Escape');
    await page.getByRole('grid').focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    const drawer = page.getByRole('dialog', { name: 'Node beta.test' });
    await drawer.getByText(/^Online since \d\d:\d\d:\d\d: its agent registered over hub-/).waitFor();
    expect(new URL(page.url()).searchParams.get('node')).toBe('beta');
    await page.keyboard.press('Escape');
    await drawer.waitFor({ state: 'detached' });
    expect(await page.getByRole('grid').evaluate((grid) => grid === document.activeElement)).toBe(true);
    expect(shown.complaints).toEqual([]);
  });

  it.for(['light', 'dark'] as const)('shuts nobody out (%s)', async (colorScheme, { fleet, open }) => {
    const hub = await fleet.hub({});
    await fleet.agent('web-1', hub.agentUrl);
    const away = await fleet.agent('web-2', hub.agentUrl);
    await away.stop();
    const shown = await open(`${hub.url}/?node=web-1`, { colorScheme });
    await shown.page.getByRole('dialog').getByText('What it is').waitFor();
    await shown.expectCount('offline', 1);
    expect(await shown.barriers()).toEqual([]);
    await shown.page.keyboard.press('Escape');
    await shown.page.getByRole('button', { name: 'Filter', exact: true }).click();
    expect(await shown.barriers()).toEqual([]);
    await shown.page.goto(`${hub.url}/?q=nothing`);
    await shown.page.getByText('No node matches').waitFor();
    expect(await shown.barriers()).toEqual([]);
  });
});
