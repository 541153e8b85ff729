import { z } from 'zod';

const questionSchema = z.object({ id: z.number(), order: z.unknown() });

/** The other end of `Child`, in the process itself: says that it is ready, and answers orders until its parent is gone. */
export function answerOrders(ready: unknown, carryOut: (order: unknown) => unknown): void {
  process.on('message', (message) => {
    const { id, order } = questionSchema.parse(message);
    Promise.resolve()
      .then(() => carryOut(order))
      .then(
        (answer) => process.send?.({ kind: 'answer', id, answer: answer ?? null }),
        (error: unknown) =>
          process.send?.({
            kind: 'error',
            id,
            error: error instanceof Error ? error.message : String(error),
          }),
      );
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.({ kind: 'ready', ready });
}
