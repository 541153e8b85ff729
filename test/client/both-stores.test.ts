import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type ClientState, FleetClient, type Hole, SUMMARIES } from '../../client/index.ts';
import { systemClock } from '../../server/runtime/clock.ts';
import type { FleetStore } from '../../server/store/fleet-store.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { RedisStore } from '../../server/store/redis/redis-store.ts';
import type { NodeSummary } from '../../shared/index.ts';
import { lose, Opened, type TestHub } from '../dashboards/harness.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

const opened = new Opened();
afterEach(() => opened.close());

/** A store that can be opened again, as by a hub that starts again, and can lose what it holds. */
interface Data {
  open(): Promise<FleetStore>;
  lose(): Promise<void>;
}

const kinds: Record<string, (name: string) => Data> = {
  memory: () => {
    const memory = new MemoryFleet(systemClock, 2);
    return {
      open: async () => new MemoryStore(memory),
      lose: async () => {
        for (const shard of memory.shards.keys()) memory.empty(shard);
      },
    };
  },
  redis: (name) => ({
    async open() {
      const keyPrefix = `client-${process.pid}-${name}`;
      const store = new RedisStore({ url: redis.url, clock: systemClock, keyPrefix, shards: 2 });
      await store.open();
      return store;
    },
    lose: async () => void (await redis.cli('flushall')),
  }),
};

/** A client, and what it told in order. */
class Witness {
  readonly told: string[] = [];
  readonly states: ClientState['kind'][] = [];
  readonly holes: Hole[] = [];
  readonly client: FleetClient<NodeSummary>;

  constructor(hub: TestHub) {
    const delays = { reconnectDelayMs: 10, resubscribeDelayMs: 10 };
    this.client = new FleetClient({ hubUrl: hub.url, nodes: SUMMARIES, gzip: true, ...delays });
    this.client.on('picture', ({ size }) => void this.told.push(`picture of ${size}`));
    this.client.on('change', ({ event: { nodeId, seq, to } }) =>
      this.told.push(`${nodeId} ${seq} ${to ?? 'removed'}`),
    );
    this.client.on('subscribed', ({ resumed }) => resumed && this.told.push('resumed'));
    this.client.on('resync', () => this.told.push('resync'));
    this.client.on('state', ({ kind }) => void this.states.push(kind));
    this.client.on('hole', (hole) => void this.holes.push(hole));
    opened.onClose(() => this.client.stop());
    this.client.start();
  }

  tells(what: string): Promise<unknown> {
    return until(`it tells ${what}`, () => this.told.includes(what));
  }
}

describe.each(Object.keys(kinds))('a client of a hub on the store of %s', (kind) => {
  let names = 0;
  const data = (): Data => {
    names += 1;
    const made = kinds[kind]?.(String(names));
    if (!made) throw new Error(kind);
    return made;
  };

  test('[SUB-8] resumes after a lost connection with what was missed, in order and once', async () => {
    const hub = await opened.hub({ stored: await data().open() });
    const agent = await hub.register({ nodeId: 'a' });
    const { client, ...witness } = new Witness(hub);
    await until('it is live', () => client.state.kind === 'live');
    client.stop();
    await lose(hub, agent);
    await hub.register({ nodeId: 'a' });
    client.start();
    await until('it heard all', () => witness.told.length === 4);
    expect(witness.told).toEqual(['picture of 1', 'resumed', 'a 2 unreachable', 'a 3 online']);
    expect(witness.holes).toEqual([]);
  });

  test('[SUB-8] goes on by itself where its hub is started again on the same data', async () => {
    const stored = data();
    const hub = await opened.hub({ stored: await stored.open() });
    await hub.register({ nodeId: 'a' });
    const witness = new Witness(hub);
    await witness.tells('picture of 1');
    await hub.close();
    await until('it is away', () => witness.client.state.kind === 'away');
    expect(witness.client.nodes.size).toBe(1);
    const again = await opened.hub({
      stored: await stored.open(),
      port: Number(new URL(hub.url).port),
      hubId: 'hub-b',
    });
    await again.register({ nodeId: 'b' });
    await witness.tells('b 1 online');
    expect(witness.told).toEqual(['picture of 1', 'resumed', 'b 1 online']);
    expect(witness.states.at(-1)).toBe('live');
  });

  test('[CHG-8] takes a new picture where the store lost its data, and says so first', async () => {
    const stored = data();
    const hub = await opened.hub({ stored: await stored.open() });
    await hub.register({ nodeId: 'a' });
    await hub.register({ nodeId: 'b' });
    const witness = new Witness(hub);
    await witness.tells('picture of 2');
    await stored.lose();
    await witness.tells('resync');
    await until('a new picture came', () => witness.told.slice(1).includes('picture of 2'));
    expect(witness.states).toContain('resyncing');
    expect(witness.holes).toEqual([]);
  });

  test('[HIST-1] reads history, one node, and the live figures of those it watches', async () => {
    const hub = await opened.hub({ stored: await data().open() });
    const agent = await hub.register({ nodeId: 'a' });
    const { client } = new Witness(hub);
    await until('it is live', () => client.state.kind === 'live');
    await lose(hub, agent);
    await until('it is unreachable', () => client.nodes.get('a')?.status === 'unreachable');
    const [newest, before] = await client.history({ nodeId: 'a', limit: 5 });
    expect([newest?.seq, before?.seq]).toEqual([2, 1]);
    expect((await client.node('a'))?.node.status).toBe('unreachable');
    expect(await client.node('nobody')).toBeUndefined();
    const stats = new Promise<unknown>((resolve) => client.once('stats', resolve));
    client.watch(['a']);
    expect(await stats).toHaveProperty('a.lastHeartbeatAt');
  });
});
