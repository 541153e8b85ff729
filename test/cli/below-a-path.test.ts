import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Nginx } from '../support/nginx.ts';
import { Programs } from '../support/program.ts';

const programs = new Programs();
let hubUrl = '';
let nginx: Nginx;
beforeAll(async () => {
  const hub = programs.run(['hub', '--port', '0']);
  hubUrl = (await hub.says(/http:\/\/127\.0\.0\.1:\d+/))[0];
  nginx = await Nginx.start(hubUrl);
});
afterAll(async () => {
  await programs.end();
  await nginx.stop();
});

/** The files that a page names, as a browser finds them. */
async function filesOf(pageUrl: string): Promise<string[]> {
  const response = await fetch(pageUrl, { headers: { accept: 'text/html' } });
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    expect.stringContaining('text/html'),
  ]);
  const names = (await response.text()).matchAll(/(?:src|href)="([^"#]+)"/g);
  return Array.from(names, ([, name = '']) => new URL(name, response.url).href);
}

describe('a hub below a path of a proxy', () => {
  test('[CLI-16] agents, watch and nodes reach it there', async () => {
    programs.run(['agent', '--hub', nginx.url, '--node-id', 'one']);
    programs.run(['agent', '--hub', `${nginx.url.replace('http', 'ws')}/agent`, '--node-id', 'two']);
    for (const id of ['one', 'two']) {
      const wait = await programs.finish(['nodes', 'wait', id, '--hub', nginx.url, '--for', 'online']);
      expect(wait).toMatchObject({ code: 0, stderr: '' });
    }
    const watch = await programs.finish(['watch', '--once', '--hub', `${nginx.url}/`]);
    expect(watch).toMatchObject({ code: 0, stdout: expect.stringContaining('2 nodes: 2 online') });
  });

  test('[API-47] the page and the documentation find their files there', async () => {
    for (const page of ['/', '/docs', '/docs/', '/docs?foo=1', '/docs/?foo=1', '/docs/static/index.html']) {
      for (const root of [nginx.url, hubUrl]) {
        const files = await filesOf(`${root}${page}`);
        expect(files.length).toBeGreaterThan(1);
        for (const file of files) {
          expect(file.startsWith(`${root}/`)).toBe(true);
          expect([file, (await fetch(file)).status]).toEqual([file, 200]);
        }
      }
    }
    expect((await fetch(`${nginx.url}/docs/json`)).status).toBe(200);
  });
});
