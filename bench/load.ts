// A load process: `fork`ed by the bench, pinned to a core, told by messages what to do.
import { z } from 'zod';
import { connectAll, RawAgent } from '../simulate/raw-agent.ts';

export const loadOrder = z.discriminatedUnion('do', [
  z.object({
    do: z.literal('connect'),
    port: z.number(),
    count: z.number(),
    register: z.boolean(),
    prefix: z.string(),
  }),
  z.object({ do: z.literal('start'), beat: z.enum(['ping', 'stats']) }),
  z.object({ do: z.literal('count') }),
  z.object({ do: z.literal('pause') }),
  z.object({ do: z.literal('end') }),
]);
export type LoadOrder = z.output<typeof loadOrder>;

const agents: RawAgent[] = [];

async function carryOut(order: LoadOrder): Promise<number> {
  switch (order.do) {
    case 'connect': {
      const more = Array.from(
        { length: order.count },
        (_, index) => new RawAgent(`${order.prefix}-${index}`),
      );
      agents.push(...more);
      await connectAll(more, order.port, order.register);
      return agents.length;
    }
    case 'start':
      for (const agent of agents) agent.start(order.beat);
      return 0;
    case 'count':
      return agents.reduce((sum, { answered }) => sum + answered, 0);
    case 'pause':
      for (const agent of agents) agent.pause();
      return 0;
    case 'end':
      for (const agent of agents) agent.destroy();
      return 0;
    default:
      return order satisfies never;
  }
}

process.on('message', (message) => {
  carryOut(loadOrder.parse(message)).then(
    (answer) => process.send?.({ answer }),
    (error: unknown) => process.send?.({ answer: -1, error: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
