import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { BenchRedis } from './stage.ts';

/** As often as a hub writes heartbeats of some of its shards. */
export const BATCHES_A_SECOND = 10;
const TTL_MS = 600_000;
const SCRIPT = `
for n = 1, #ARGV, 2 do
  redis.call('PEXPIRE', ARGV[n], ARGV[n + 1])
end`;

/**
 * CPU in microseconds that Redis takes to lengthen the life of one of so many keys, where a script does it for a tenth
 * of a second's worth of them at a time and nothing besides: what a heartbeat that is written cannot cost less than.
 */
export async function pexpireMicros(
  redis: BenchRedis,
  { keys, perSecond, windowMs }: { keys: number; perSecond: number; windowMs: number },
): Promise<number> {
  const client = new Redis(redis.url, { commandTimeout: 20_000, protocol: 2 });
  try {
    const names = Array.from({ length: keys }, (_, index) => `floor:beat:${index}`);
    await names.reduce((line, name) => line.set(name, '', 'PX', TTL_MS), client.pipeline()).exec();
    const batch = perSecond / BATCHES_A_SECOND;
    let at = 0;
    let done = 0;
    const before = redis.cpuMicros();
    for (let end = performance.now() + windowMs; performance.now() < end; done += batch) {
      const words = Array.from({ length: batch }, () => [
        names[at++ % keys] ?? '',
        String(TTL_MS - (at % 100)),
      ]);
      await Promise.all([client.eval(SCRIPT, 0, ...words.flat()), pause(1_000 / BATCHES_A_SECOND)]);
    }
    return (redis.cpuMicros() - before) / done;
  } finally {
    client.disconnect();
  }
}
