import { budget } from './budget.ts';
import { freePort, type RedisServer, startRedis } from './redis-server.ts';
import { until } from './until.ts';

export interface RedisClusterOptions {
  replicasPerMaster?: number;
  /** How long a node may be silent before the others agree that it failed. */
  nodeTimeoutMs?: number;
  /** More settings of every node, such as `--appendonly yes`. */
  args?: string[];
}

/** Some masters on 127.0.0.1, with replicas where they were asked for. */
export interface RedisCluster {
  /** A comma list of all nodes. */
  readonly url: string;
  /** The nodes that began as masters. */
  readonly nodes: readonly RedisServer[];
  /** The nodes that began as replicas: those of the first master, then those of the second, and so on. */
  readonly replicas: readonly RedisServer[];
  stop(): Promise<void>;
}

const SLOTS = 16_384;

/** One member of the cluster: a server and the port on which the others talk to it. */
interface Member {
  server: RedisServer;
  busPort: number;
}

/** Starts a Redis Cluster whose masters share the slots evenly, and waits until all of them call it ok. */
export async function startCluster(masters = 3, options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const { replicasPerMaster = 0, nodeTimeoutMs = budget(2_000), args = [] } = options;
  const count = masters * (1 + replicasPerMaster);
  const members = await Promise.all(Array.from({ length: count }, () => startMember(nodeTimeoutMs, args)));
  const servers = members.map(({ server }) => server);
  const stop = async () => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  try {
    await join(members, masters);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: servers.map(({ url }) => url).join(','),
    nodes: servers.slice(0, masters),
    replicas: servers.slice(masters),
    stop,
  };
}

/** Starts a server that belongs to no cluster yet. */
async function startMember(nodeTimeoutMs: number, args: readonly string[]): Promise<Member> {
  // The bus would else take port + 10000, which may be no port at all.
  const busPort = await freePort();
  const settings = ['--cluster-enabled', 'yes', '--cluster-port', String(busPort)];
  const timeout = ['--cluster-node-timeout', String(nodeTimeoutMs)];
  // A replica that has heard nothing of its master yet stands in no list, and pings are all that an idle one says.
  const pings = ['--repl-ping-replica-period', '1'];
  return { server: await startRedis({ args: [...settings, ...timeout, ...pings, ...args] }), busPort };
}

async function join(members: readonly Member[], masters: number): Promise<void> {
  const servers = members.map(({ server }) => server);
  const primaries = servers.slice(0, masters);
  const bound = (index: number) => Math.round((index * SLOTS) / masters);
  await Promise.all(
    members.map(async ({ server }, index) => {
      await server.cli('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
      if (index < masters)
        await server.cli('CLUSTER', 'ADDSLOTSRANGE', String(bound(index)), String(bound(index + 1) - 1));
      // Each meets all before it: gossip would take seconds to tell them of each other.
      for (const { server: other, busPort } of members.slice(0, index))
        await server.cli('CLUSTER', 'MEET', '127.0.0.1', String(other.port), String(busPort));
    }),
  );
  for (const server of servers) {
    await until('it knows all others', async () => {
      const known = await server.cli('CLUSTER', 'NODES');
      return known.split('\n').length === members.length && !known.includes('handshake');
    });
  }
  const replicas = servers.slice(masters);
  const perMaster = replicas.length / masters;
  await Promise.all(
    replicas.map(async (replica, index) => {
      const primary = primaries[Math.floor(index / perMaster)];
      if (!primary) return;
      await replica.cli('CLUSTER', 'REPLICATE', await primary.cli('CLUSTER', 'MYID'));
      await until('it is a copy', async () =>
        (await replica.cli('INFO', 'replication')).includes('master_link_status:up'),
      );
    }),
  );
  for (const server of servers) {
    await until('it calls the cluster ok', async () => {
      if (!(await server.cli('CLUSTER', 'INFO')).includes('cluster_state:ok')) return false;
      const slots = await server.cli('CLUSTER', 'SLOTS');
      return servers.every(({ port }) => slots.includes(String(port)));
    });
  }
}
