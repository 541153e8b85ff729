import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface Slowness {
  /** Each way. */
  delayMs: number;
  /** The share of chunks that is lost and comes a retransmission later, and everything behind it with it. */
  loss: number;
  retransmitMs: number;
}

/** A TCP link to a server that delays what goes either way, and stalls where a packet would have been lost. */
export class SlowLink {
  slowness: Slowness;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();

  private constructor(port: number, slowness: Slowness) {
    this.slowness = slowness;
    this.#server = createServer((near) => {
      const far = connect(port, '127.0.0.1');
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.setNoDelay(true);
        from.on('error', () => {});
        this.#pass(from, to);
        from.on('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
      }
    });
  }

  static async to(port: number, slowness: Slowness): Promise<SlowLink> {
    const link = new SlowLink(port, slowness);
    await new Promise<void>((resolve) => link.#server.listen(0, '127.0.0.1', resolve));
    return link;
  }

  get port(): number {
    const address: AddressInfo | string | null = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the link does not listen');
    return address.port;
  }

  /** Hands chunks on in their order, none before the one before it. */
  #pass(from: Socket, to: Socket): void {
    const waiting: Array<{ data: Buffer; at: number }> = [];
    const passDue = (): void => {
      while (waiting[0] && waiting[0].at <= performance.now()) {
        const { data } = waiting[0];
        waiting.shift();
        if (!to.destroyed) to.write(data);
      }
      if (waiting[0]) this.#after(waiting[0].at - performance.now(), passDue);
    };
    from.on('data', (data) => {
      const { delayMs, loss, retransmitMs } = this.slowness;
      const lostMs = Math.random() < loss ? retransmitMs : 0;
      const at = Math.max(waiting.at(-1)?.at ?? 0, performance.now() + delayMs + lostMs);
      waiting.push({ data, at });
      if (waiting.length === 1) this.#after(at - performance.now(), passDue);
    });
  }

  #after(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
  }

  close(): void {
    this.#server.close();
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.destroy();
  }
}
