import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { get } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect } from 'vitest';
import { z } from 'zod';
import type { HubProcess, LogLine } from '../support/hub-process.ts';
import { Programs } from '../support/program.ts';
import { until } from '../support/until.ts';
import { type FleetUnderTest, fleetTest } from './fleet-under-test.ts';

const test = fleetTest();

const START_WITHIN_MS = 60_000;

/** On a connection of its own, so that the workers take turns in answering. */
async function fetchText(url: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    }).on('error', reject);
  });
}

const summarySchema = z.object({ hubs: z.array(z.object({ hubId: z.string(), sessions: z.number() })) });
const workerSchema = z.object({ hubId: z.string(), pid: z.number() });
type GroupWorker = z.output<typeof workerSchema>;

const said = ({ log }: HubProcess, message: string): LogLine[] => log.filter(({ msg }) => msg === message);
const workersOf = (hub: HubProcess): GroupWorker[] =>
  said(hub, 'Hub listening').map((line) => workerSchema.parse(line));

async function startGroup(fleet: FleetUnderTest, settings: Record<string, string>): Promise<HubProcess> {
  const group = await fleet.hub({ ...settings, WORKERS: '2' });
  await until('both workers listen', () => said(group, 'Hub group listening').length === 1, START_WITHIN_MS);
  await until('both were heard', () => workersOf(group).length === 2);
  return group;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The hub that holds each agent. */
async function holders(group: HubProcess): Promise<string[]> {
  const nodes = z
    .object({ nodes: z.array(z.object({ connection: z.object({ hubId: z.string() }).nullable() })) })
    .parse(JSON.parse((await fetchText(`${group.url}/api/v1/nodes`)).body));
  return nodes.nodes.flatMap(({ connection }) => connection?.hubId ?? []);
}

const figure = (metrics: string, line: string): string | undefined =>
  metrics
    .split('\n')
    .find((each) => each.startsWith(`${line} `))
    ?.slice(line.length + 1);

const IDS = ['a-1', 'a-2', 'a-3', 'a-4'];

describe.concurrent('several hubs on one port', () => {
  test('[GROUP-1] [GROUP-5] each holds its agents, and whichever is asked answers for all', async ({
    settings,
    fleet,
  }) => {
    const group = await startGroup(fleet, settings);
    for (const id of IDS) await fleet.agent(id, group.agentUrl);
    const hubIds = workersOf(group).map(({ hubId }) => hubId);
    expect(new Set(await holders(group))).toEqual(new Set(hubIds));
    await until('each hub is in the list, with its sessions', async () => {
      const { hubs } = summarySchema.parse(JSON.parse((await fetchText(`${group.url}/api/v1/summary`)).body));
      return (
        hubs.length === 2 && hubs.every(({ hubId, sessions }) => hubIds.includes(hubId) && sessions === 2)
      );
    });
    const headers = { 'content-type': 'application/json' };
    const url = `${group.url}/api/v1/nodes`;
    const node = { nodeId: 'web', hostname: 'web' };
    await fetch(url, { method: 'POST', headers, body: JSON.stringify({ node }) });
    for (let beat = 0; beat < 5; beat += 1) {
      const taken = await fetch(`${url}/web/heartbeat`, {
        method: 'POST',
        headers: { ...headers, connection: 'close' },
        body: '{}',
      });
      expect(taken.status).toBe(200);
    }
    for (let scrape = 0; scrape < 4; scrape += 1) {
      const { body } = await fetchText(`${group.url}/metrics`);
      expect(figure(body, 'rollcall_nodes{status="online"}')).toBe('5');
      expect(figure(body, 'rollcall_sessions')).toBe('4');
      expect(figure(body, 'rollcall_agents_connected')).toBe('4');
      expect(figure(body, 'rollcall_http_heartbeats_total')).toBe('5');
      expect(figure(body, 'rollcall_registrations_total{type="registered",transport="websocket"}')).toBe('4');
      expect(figure(body, 'rollcall_workers{state="answering"}')).toBe('2');
    }
  });

  test('[GROUP-6] a signal, to the primary or to all of them at once, ends them with exit code 0', async ({
    settings,
    fleet,
  }) => {
    const group = await startGroup(fleet, settings);
    const agents = [await fleet.agent('a-1', group.agentUrl), await fleet.agent('a-2', group.agentUrl)];
    const closes = agents.map((agent) => once(agent, 'closed'));
    const pids = workersOf(group).map(({ pid }) => pid);
    // As a terminal does, and systemd: each gets the signal, and then the primary's word.
    for (const pid of pids) {
      process.kill(pid, 'SIGINT');
      process.kill(pid, 'SIGTERM');
    }
    expect(await group.terminate()).toBe(0);
    expect(pids.filter(isRunning)).toEqual([]);
    expect(said(group, 'Hub stopped').length).toBe(2);
    for (const [end] of await Promise.all(closes)) expect(end).toMatchObject({ code: 1012 });
  });

  test('[GROUP-2] a worker that is killed is started again, and its agents never show as anything but online', async ({
    settings,
    fleet,
  }) => {
    const group = await startGroup(fleet, settings);
    const dashboard = await fleet.dashboard(group);
    for (const id of IDS) await fleet.agent(id, group.agentUrl);
    const [victim] = workersOf(group);
    if (!victim) throw new Error('there is no worker');
    process.kill(victim.pid, 'SIGKILL');
    await until('another one listens', () => workersOf(group).length === 3, START_WITHIN_MS);
    expect(said(group, 'A worker is gone; starting another')).toMatchObject([
      { pid: victim.pid, why: 'it ended by SIGKILL', restartInMs: 250 },
    ]);
    await until('all agents are held by hubs that live', async () => {
      const live = workersOf(group).filter(({ pid }) => pid !== victim.pid);
      const held = await holders(group);
      return held.length === 4 && held.every((hubId) => live.some((worker) => worker.hubId === hubId));
    });
    await until('the group is whole again', async () => {
      const { status, body } = await fetchText(`${group.url}/readyz`);
      const { workers } = z
        .looseObject({ workers: z.looseObject({ ready: z.number() }) })
        .parse(JSON.parse(body));
      return status === 200 && workers.ready === 2;
    });
    await fleet.expectTrue(dashboard, group);
    for (const id of IDS) expect(new Set(dashboard.shown(id))).toEqual(new Set(['online']));
  });

  test('[GROUP-10] a connection on its way to a worker that is killed is closed, and the primary keeps nothing of it', async ({
    settings,
    fleet,
  }) => {
    const group = await startGroup(fleet, settings);
    const files = () => readdirSync(`/proc/${group.pid}/fd`).length;
    const [victim] = workersOf(group);
    if (!victim) throw new Error('there is no worker');
    const before = files();
    process.kill(victim.pid, 'SIGSTOP');
    const ends: string[] = [];
    for (let request = 0; request < 4; request += 1) {
      fetchText(`${group.url}/healthz`).then(
        () => ends.push('answered'),
        () => ends.push('closed'),
      );
    }
    // One of them waits for the worker that stands still; the other worker answers the rest.
    await until('three are answered', () => ends.length === 3);
    process.kill(victim.pid, 'SIGKILL');
    await until('the fourth is closed', () => ends.length === 4);
    expect(ends.toSorted()).toEqual(['answered', 'answered', 'answered', 'closed']);
    expect(said(group, 'A worker is gone; starting another')).toMatchObject([{ unserved: 1 }]);
    await until('another one listens', () => workersOf(group).length === 3, START_WITHIN_MS);
    await until('nothing of it is left open', () => files() <= before);
  });

  test('[GROUP-8] workers whose primary was killed take leave of their agents and end', async ({
    settings,
    fleet,
  }) => {
    const group = await startGroup(fleet, settings);
    const agent = await fleet.agent('a-1', group.agentUrl);
    const lost = new Promise<number | undefined>((resolve) => {
      agent.once('closed', ({ code }) => resolve(code));
    });
    const pids = workersOf(group).map(({ pid }) => pid);
    await group.kill();
    await until('both workers ended', () => !pids.some(isRunning));
    expect(await lost).toBe(1012);
  });

  test('[GROUP-7] a second signal ends all of them at once', async ({ settings, redis, fleet }) => {
    const group = await startGroup(fleet, settings);
    const pids = workersOf(group).map(({ pid }) => pid);
    // With a store that does not answer, a stop takes its time.
    redis.pause();
    try {
      process.kill(group.pid, 'SIGTERM');
      await until('it stops', () => said(group, 'Hub group stopping').length === 1);
      expect(await group.terminate()).toBe(1);
      await until('no worker is left', () => !pids.some(isRunning));
    } finally {
      redis.resume();
    }
  });
});

describe('a group that cannot start', () => {
  test('[GROUP-9] says so once, with the exit code of a hub alone', async ({ redis }) => {
    const programs = new Programs();
    const taken = await programs
      .finish(['hub', '--port', String(redis.port)], { REDIS_URL: redis.url, WORKERS: '2' })
      .finally(() => programs.end());
    expect([taken.code, taken.stderr]).toEqual([
      2,
      expect.stringMatching(`^rollcall: ${redis.port} is in use; [^\\n]+\\n$`),
    ]);
  });
});
