// REST heartbeats: Fastify and ioredis, one POST for each, over connections that are kept.
import Fastify from 'fastify';
import { Redis } from 'ioredis';
import { serve } from '../harness/serve.ts';

const timeoutMs = Number(process.env.TIMEOUT_MS ?? 30_000);
const redis = new Redis(process.env.REDIS_URL ?? '', { enableAutoPipelining: true });
const app = Fastify({ keepAliveTimeout: 600_000, bodyLimit: 65_536 });

app.post<{ Body: { node: { nodeId: string } } }>('/api/v1/nodes', async ({ body }, reply) => {
  const { nodeId } = body.node;
  const since = Date.now();
  await Promise.all([
    redis.hset('nodes', nodeId, JSON.stringify({ ...body.node, status: 'online', since })),
    redis.set(`beat:${nodeId}`, '', 'PX', timeoutMs),
  ]);
  return reply.code(201).send({ nodeId });
});
app.post<{ Params: { id: string }; Body: { stats?: object } }>(
  '/api/v1/nodes/:id/heartbeat',
  async ({ params, body }, reply) => {
    await redis.set(`beat:${params.id}`, body.stats ? JSON.stringify(body.stats) : '', 'PX', timeoutMs);
    return reply.send({ nodeId: params.id, nextHeartbeatInMs: timeoutMs / 3 });
  },
);

const url = await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 0), backlog: 4_096 });
serve(Number(new URL(url).port));
