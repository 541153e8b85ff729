import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, type RedisServer, startRedis } from './redis-server.ts';

/** Some masters without replicas, on 127.0.0.1. */
export interface RedisCluster {
  /** A comma list of all nodes. */
  readonly url: string;
  readonly nodes: readonly RedisServer[];
  stop(): Promise<void>;
}

const SLOTS = 16_384;

/** Starts a Redis Cluster whose masters share the slots evenly, and waits until all of them call it ok. */
export async function startCluster(masters = 3): Promise<RedisCluster> {
  const nodes: RedisServer[] = [];
  const busPorts: number[] = [];
  for (let index = 0; index < masters; index += 1) {
    // The bus would else take port + 10000, which may be no port at all.
    const busPort = await freePort();
    busPorts.push(busPort);
    const args = [
      '--cluster-enabled',
      'yes',
      '--cluster-port',
      String(busPort),
      '--cluster-node-timeout',
      '2000',
    ];
    nodes.push(await startRedis({ args }));
  }
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  try {
    await join(nodes, busPorts);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: nodes.map(({ url }) => url).join(','), nodes, stop };
}

async function join(nodes: readonly RedisServer[], busPorts: readonly number[]): Promise<void> {
  const bound = (index: number) => Math.round((index * SLOTS) / nodes.length);
  for (const [index, node] of nodes.entries()) {
    await node.cli('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
    await node.cli('CLUSTER', 'ADDSLOTSRANGE', String(bound(index)), String(bound(index + 1) - 1));
  }
  for (const [index, node] of nodes.entries()) {
    if (index > 0)
      await nodes[0]?.cli('CLUSTER', 'MEET', '127.0.0.1', String(node.port), String(busPorts[index]));
  }
  for (let tries = 0; tries < 400; tries += 1) {
    const infos = await Promise.all(nodes.map((node) => node.cli('CLUSTER', 'INFO')));
    const slots = await Promise.all(nodes.map((node) => node.cli('CLUSTER', 'SLOTS')));
    const ok = infos.every((info) => info.includes('cluster_state:ok'));
    if (ok && slots.every((list) => nodes.every(({ port }) => list.includes(String(port))))) return;
    await sleep(25);
  }
  throw new Error('the Redis Cluster does not form');
}
