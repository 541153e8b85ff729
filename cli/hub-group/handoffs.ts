import type { Worker } from 'node:cluster';
import { z } from 'zod';

/** How Node's cluster hands a connection to a worker, and hears that it has it. */
const handedSchema = z.object({ cmd: z.literal('NODE_CLUSTER'), act: z.literal('newconn'), seq: z.number() });
const takenSchema = z.object({ cmd: z.literal('NODE_CLUSTER'), ack: z.number() });

interface Closable {
  close(): void;
}

const isClosable = (handle: unknown): handle is Closable =>
  typeof handle === 'object' && handle !== null && 'close' in handle && typeof handle.close === 'function';

/**
 * Connections on their way to a worker. Node keeps each open in the primary until the worker has it, and for ever where
 * the worker dies before: its client would wait for an answer until its own timeout. They are closed here,
 * so that it tries again at once.
 */
export class Handoffs {
  readonly #onTheWay = new Map<number, Closable>();

  /** Begins to watch what is handed to this worker. */
  constructor(worker: Worker) {
    const { process } = worker;
    const send: unknown = process.send;
    if (typeof send === 'function') {
      Object.assign(process, {
        send: (message: unknown, handle: unknown, ...rest: unknown[]): unknown => {
          const handed = handedSchema.safeParse(message);
          if (handed.success && isClosable(handle)) this.#onTheWay.set(handed.data.seq, handle);
          return Reflect.apply(send, process, [message, handle, ...rest]);
        },
      });
    }
    process.on('internalMessage', (message: unknown) => {
      const taken = takenSchema.safeParse(message);
      if (taken.success) this.#onTheWay.delete(taken.data.ack);
    });
  }

  /** The worker is gone: closes what it did not take, and returns how many they were. */
  end(): number {
    const { size } = this.#onTheWay;
    for (const handle of this.#onTheWay.values()) handle.close();
    this.#onTheWay.clear();
    return size;
  }
}
