import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { budget } from './budget.ts';
import { type RedisServer, startRedis } from './redis-server.ts';
import { until } from './until.ts';

/** The name under which the Sentinels know the primary. */
const NAME = 'mymaster';

export interface SentinelTrioOptions {
  /** How long the primary may be silent before a Sentinel believes it gone. */
  downAfterMs?: number;
  /** More settings of the stores, such as `--appendonly yes`. */
  args?: string[];
}

/** One primary, two replicas and three Sentinels of which two must agree, on 127.0.0.1. */
export interface SentinelTrio {
  /** `redis+sentinel://…/mymaster` */
  readonly url: string;
  /** The stores: first the one that began as the primary. */
  readonly stores: readonly RedisServer[];
  readonly sentinels: readonly RedisServer[];
  stop(): Promise<void>;
}

/** Starts them, and waits until every Sentinel knows the replicas and the other Sentinels. */
export async function startSentinelTrio(options: SentinelTrioOptions = {}): Promise<SentinelTrio> {
  const { downAfterMs = budget(1_000), args = [] } = options;
  const stores = [await startRedis({ args })];
  const dirs: string[] = [];
  const sentinels: RedisServer[] = [];
  const stop = async () => {
    await Promise.all([...stores, ...sentinels].map((server) => server.stop()));
    await Promise.all(dirs.map((dir) => rm(dir, { recursive: true, force: true })));
  };
  try {
    const [{ port }] = [stores[0] ?? { port: 0 }];
    stores.push(...(await Promise.all([1, 2].map(() => startRedis({ args, replicaOf: { port } })))));
    for (let index = 0; index < 3; index += 1) {
      const dir = await mkdtemp(join(tmpdir(), 'rollcall-sentinel-'));
      dirs.push(dir);
      sentinels.push(await startRedis({ dir, sentinelConfig: await writeConfig(dir, port, downAfterMs) }));
    }
    await until('the Sentinels know each other', async () => {
      const known = await Promise.all(
        sentinels.map((sentinel) => sentinel.cli('SENTINEL', 'CKQUORUM', NAME)),
      );
      const masters = await Promise.all(
        sentinels.map((sentinel) => sentinel.cli('SENTINEL', 'MASTER', NAME)),
      );
      return (
        known.every((answer) => answer.startsWith('OK 3 usable')) &&
        masters.every((master) => /num-slaves\n2\n/.test(master))
      );
    });
  } catch (error) {
    await stop();
    throw error;
  }
  const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',');
  return { url: `redis+sentinel://${hosts}/${NAME}`, stores, sentinels, stop };
}

async function writeConfig(dir: string, masterPort: number, downAfterMs: number): Promise<string> {
  const file = join(dir, 'sentinel.conf');
  const settings = [
    `monitor ${NAME} 127.0.0.1 ${masterPort} 2`,
    `down-after-milliseconds ${NAME} ${downAfterMs}`,
    // Half of it is also how long they wait before they vote anew after an election that nobody won.
    `failover-timeout ${NAME} ${budget(3_000)}`,
  ];
  await writeFile(file, settings.map((setting) => `sentinel ${setting}\n`).join(''));
  return file;
}
