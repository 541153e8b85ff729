import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import {
  differencesBetween,
  FleetClient,
  type FleetClientOptions,
  type Hole,
  WHOLE_NODES,
} from '../../client/index.ts';
import { systemClock } from '../../server/runtime/clock.ts';
import { MemoryFleet } from '../../server/store/memory/memory-store.ts';
import type { Filter, FleetNode } from '../../shared/index.ts';
import { lose, Opened, type TestHub } from '../dashboards/harness.ts';
import { soon } from '../support/soon.ts';

const opened = new Opened();
afterEach(() => opened.close());

/** A client, and everything it told, in order. */
class Witness {
  readonly client: FleetClient<FleetNode>;
  readonly told: string[] = [];
  readonly holes: Hole[] = [];
  readonly seqs = new Map<string, number[]>();

  constructor(hub: TestHub, options: Partial<FleetClientOptions<FleetNode>> = {}) {
    this.client = new FleetClient({
      hubUrl: hub.url,
      nodes: WHOLE_NODES,
      reconnectDelayMs: 10,
      resubscribeDelayMs: 10,
      ...options,
    });
    this.client.on('picture', (picture, before) => {
      const ids = before && differencesBetween(before, picture).map(({ id }) => id);
      this.told.push(ids ? `differences ${ids.join(' ')}`.trim() : 'picture');
      // A new picture says that something is not told: from here on every version counts again.
      this.seqs.clear();
    });
    this.client.on('change', ({ event: { nodeId, seq } }) => {
      this.told.push(`change ${nodeId} ${seq}`);
      this.seqs.set(nodeId, [...(this.seqs.get(nodeId) ?? []), seq]);
    });
    this.client.on('subscribed', ({ resumed }) => this.told.push(resumed ? 'resumed' : 'subscribed'));
    this.client.on('lost', () => this.told.push('lost'));
    this.client.on('resync', () => this.told.push('resync'));
    this.client.on('ended', (code) => this.told.push(`ended ${code}`));
    this.client.on('hole', (hole) => this.holes.push(hole));
    opened.onClose(() => this.client.stop());
  }

  async follow(): Promise<this> {
    this.client.start();
    await this.tells('picture');
    return this;
  }

  tells(what: string): Promise<void> {
    return soon(() => this.told.includes(what));
  }

  /** Waits until it knows exactly what the hub's view shows. */
  async agrees(hub: TestHub, filter: Filter = {}): Promise<void> {
    const known = () =>
      JSON.stringify([...this.client.nodes.values()].sort((a, b) => (a.id < b.id ? -1 : 1)));
    await soon(async () => {
      const nodes = await hub.fleet.view.find(filter);
      const wanted = JSON.stringify(nodes.sort((a, b) => (a.id < b.id ? -1 : 1)));
      return known().length === wanted.length && sameJson(known(), wanted);
    });
  }
}

/** Field order aside. */
function sameJson(a: string, b: string): boolean {
  const canonical = (text: string) =>
    JSON.stringify(JSON.parse(text), (_key, value: unknown) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1)))
        : value,
    );
  return canonical(a) === canonical(b);
}

/** The network before a hub, which can lose all that its connections send from now on. */
async function network(hub: TestHub): Promise<{ hubUrl: string; loseWhatIsSent(): void }> {
  const inward: Socket[] = [];
  const server = createServer((near) => {
    const far = connect(Number(new URL(hub.url).port), '127.0.0.1');
    inward.push(near);
    near.on('data', (data) => far.write(data)).on('error', () => {});
    far.on('data', (data) => near.write(data)).on('error', () => {});
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  opened.onClose(() => {
    for (const socket of inward) socket.destroy();
    server.close();
  });
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('not listening');
  return {
    hubUrl: `http://127.0.0.1:${address.port}`,
    loseWhatIsSent() {
      for (const socket of inward) socket.removeAllListeners('data');
    },
  };
}

describe('the client of a fleet', () => {
  test('knows the fleet and tells every change once', async () => {
    const hub = await opened.hub();
    const agent = await hub.register({ nodeId: 'a', labels: { constructor: 'x' } });
    const witness = await new Witness(hub, { gzip: true }).follow();
    await lose(hub, agent);
    await hub.register({ nodeId: 'b' });
    await witness.agrees(hub);
    await witness.tells('change b 1');
    expect(witness.told).toEqual(['subscribed', 'picture', 'change a 2', 'change b 1']);
  });

  test('[SUB-8] a lost connection is resumed with what was missed, and nothing twice', async () => {
    const hub = await opened.hub();
    const agent = await hub.register({ nodeId: 'a' });
    const witness = await new Witness(hub).follow();
    witness.client.stop();
    await lose(hub, agent);
    await hub.register({ nodeId: 'a' });
    await soon(() => hub.gateway.size === 0);
    witness.client.start();
    await witness.tells('change a 3');
    expect(witness.told).toEqual(['subscribed', 'picture', 'resumed', 'change a 2', 'change a 3']);
    await witness.agrees(hub);
  });

  test('[BP-7] one that the hub cuts off comes back by itself and resumes', async () => {
    const hub = await opened.hub({ pings: { everyMs: 20, answerWithinMs: 1_000 } });
    const agent = await hub.register({ nodeId: 'a' });
    const { hubUrl, loseWhatIsSent } = await network(hub);
    const witness = await new Witness(hub, { hubUrl }).follow();
    loseWhatIsSent();
    await witness.tells('lost');
    await lose(hub, agent);
    await witness.tells('change a 2');
    expect(witness.told).toEqual(['subscribed', 'picture', 'lost', 'resumed', 'change a 2']);
    await witness.agrees(hub);
  });

  test('[SUB-11] it goes on at another hub', async () => {
    const memory = new MemoryFleet(systemClock, 4);
    const first = await opened.hub({ memory, hubId: 'hub-a' });
    const second = await opened.hub({ memory, hubId: 'hub-b' });
    const agent = await first.register({ nodeId: 'a' });
    const witness = await new Witness(first).follow();
    await lose(first, agent);
    await witness.tells('change a 2');
    await first.close();
    await witness.tells('lost');
    await second.register({ nodeId: 'a' });
    witness.client.start({ hubUrl: second.url });
    await witness.tells('change a 3');
    expect(witness.told).toEqual(['subscribed', 'picture', 'change a 2', 'lost', 'resumed', 'change a 3']);
    await witness.agrees(second);
  });

  test('a hub that restarts is found again, and what it cannot tell is told as differences', async () => {
    const hub = await opened.hub();
    await hub.register({ nodeId: 'a' });
    await hub.register({ nodeId: 'b' });
    const witness = await new Witness(hub).follow();
    await hub.close();
    await witness.tells('lost');
    const again = await opened.hub({ port: Number(new URL(hub.url).port) });
    await again.register({ nodeId: 'c' });
    await soon(() => witness.told.some((told) => told.startsWith('differences')));
    await witness.agrees(again);
    expect([...witness.client.nodes.keys()]).toEqual(['c']);
    expect(witness.told.slice(0, 4)).toEqual(['subscribed', 'picture', 'lost', 'subscribed']);
  });

  test('[CHG-8] after a resync it starts over and tells what is different', async () => {
    const memory = new MemoryFleet(systemClock, 1);
    const hub = await opened.hub({ memory });
    await hub.register({ nodeId: 'a' });
    const witness = await new Witness(hub).follow();
    memory.empty(0);
    await witness.tells('resync');
    await soon(() => witness.told.some((told) => told.startsWith('differences')));
    await witness.agrees(hub);
    expect(witness.holes).toEqual([]);
  });

  test.each([
    [{ token: 'guess' }, 'unauthenticated'],
    [{ token: 'agent' }, 'forbidden'],
  ])('[DAUTH-1] it gives up where it is refused: %j', async (options, code) => {
    const hub = await opened.hub({ rules: { agentTokens: ['agent'], dashboardTokens: ['dashboard'] } });
    const witness = new Witness(hub, options);
    witness.client.start();
    await witness.tells(`ended ${code}`);
    expect(witness.client.state.kind).toBe('ended');
  });

  test.each([1, 2, 3, 4, 5, 6])(
    'amid random changes and faults it ends with exactly the fleet, or was told (seed %i)',
    async (seed) => {
      const random = generator(seed);
      const memory = new MemoryFleet(systemClock, 4);
      const hubs = [
        await opened.hub({ memory, hubId: 'hub-a' }),
        await opened.hub({ memory, hubId: 'hub-b' }),
      ];
      const hubAt = (index: number) => hubs[index % hubs.length] ?? Promise.reject(new Error('no hub'));
      const filter: Filter = { status: ['online'], kind: ['gpu'] };
      const witnesses = await Promise.all([
        new Witness(await hubAt(0)).follow(),
        new Witness(await hubAt(1), { gzip: true }).follow(),
        new Witness(await hubAt(0), { filter }).follow(),
      ]);
      for (let step = 0; step < 150; step += 1) await chaos(random, hubs, memory, witnesses);
      for (const hub of hubs) hub.store.fault = 'none';
      await soon(() => hubs.every(({ fleet }) => fleet.ready));
      const last = await hubAt(0);
      // A shard that has just lost its data sends the first ones away.
      while (!last.fleet.view.get('last')) {
        await last.register({ nodeId: 'last', kind: 'gpu' }).catch(() => nextLook());
      }
      for (const [index, witness] of witnesses.entries()) {
        if (witness.client.state.kind === 'stopped') witness.client.start();
        await soon(() => witness.client.nodes.has('last'));
        await witness.agrees(await hubAt(0), index === 2 ? filter : {});
        expect(witness.holes).toEqual([]);
        for (const seqs of witness.seqs.values()) {
          expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
          expect(new Set(seqs).size).toBe(seqs.length);
        }
      }
    },
  );
});

const nextLook = () => new Promise((resolve) => setTimeout(resolve, 10));

/** Mulberry32: a small generator whose seed is printed with a failing test. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One random thing happens. */
async function chaos(
  random: () => number,
  hubs: readonly TestHub[],
  memory: MemoryFleet,
  witnesses: readonly Witness[],
): Promise<void> {
  const pick = <T>(all: readonly T[]): T => {
    const one = all[Math.floor(random() * all.length)];
    if (one === undefined) throw new Error('nothing to pick');
    return one;
  };
  const hub = pick(hubs);
  const nodeId = `n${Math.floor(random() * 12)}`;
  const session = hub.fleet.sessions.get(nodeId);
  if (random() < 0.3) hub.store.fault = 'none';
  const roll = random();
  if (roll < 0.45) {
    const node: Partial<FleetNode> = { kind: random() < 0.7 ? 'gpu' : 'edge' };
    // While the store is away a registration is refused, as it should be.
    await hub.register({ nodeId, ...node }).catch(() => {});
  } else if (roll < 0.65) {
    if (session) await hub.fleet.closed(session, { goodbye: random() < 0.3, code: 1006 });
  } else if (roll < 0.75) {
    if (session) await hub.fleet.deregister(session);
  } else if (roll < 0.85) {
    const { client } = pick(witnesses);
    if (client.state.kind === 'stopped') client.start({ hubUrl: pick(hubs).url });
    else client.stop();
  } else if (roll < 0.88) {
    hub.store.fault = random() < 0.5 ? 'away' : 'after';
  } else if (roll < 0.89) {
    memory.empty(Math.floor(random() * memory.shards.length));
  } else {
    await new Promise((resolve) => setTimeout(resolve, random() * 20));
  }
}
