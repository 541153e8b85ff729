import type { AddressInfo, Server } from 'node:net';
import { z } from 'zod';
import { answerOrders } from './answering.ts';

const orderSchema = z.object({ do: z.string() });

/** What a server of the bench answers for itself: the resident bytes, and those that its heap and buffers hold. */
export const memorySchema = z.object({ rss: z.number(), used: z.number() });
export type Memory = z.output<typeof memorySchema>;

/** After a forced collection. `external` includes what buffers hold. */
function memory(): Memory {
  for (let round = 0; round < 4; round += 1) globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, used: heapUsed + external };
}

/** A server of the bench in a process of its own: says its port, and answers orders until the bench is gone. */
export function serve(port: number, more: Readonly<Record<string, () => unknown>> = {}): void {
  answerOrders({ port }, (order) => {
    const { do: what } = orderSchema.parse(order);
    if (what === 'memory') return memory();
    const answer = more[what];
    if (!answer) throw new Error(`nothing is known of "${what}"`);
    return answer();
  });
}

/** Listens on loopback with the largest backlog that the kernel gives, the same for all; returns the port. */
export async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 0), backlog: 65_535 }, resolve);
  });
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}
