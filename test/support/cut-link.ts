import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Which direction is lost: what goes to the server, what comes from it, or both. */
export type Cut = 'none' | 'both' | 'to' | 'from';

/** A TCP link to a server that swallows what goes one way or both, as a network does that drops packets. */
export class CutLink {
  cut: Cut = 'none';
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.#server = createServer((near) => {
      const far = connect(port, '127.0.0.1');
      const pairs: Array<[Socket, Socket, Cut]> = [
        [near, far, 'to'],
        [far, near, 'from'],
      ];
      for (const [from, to, direction] of pairs) {
        this.#sockets.add(from);
        from.on('error', () => {});
        from.on('data', (data) => {
          if (this.cut !== direction && this.cut !== 'both') to.write(data);
        });
        from.on('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
      }
    });
  }

  static async to(port: number): Promise<CutLink> {
    const link = new CutLink(port);
    await new Promise<void>((resolve) => link.#server.listen(0, '127.0.0.1', resolve));
    return link;
  }

  get port(): number {
    const address: AddressInfo | string | null = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the link does not listen');
    return address.port;
  }

  /** What was swallowed is lost: the connections that lost it end, as they do after retransmissions. */
  mend(): void {
    this.cut = 'none';
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
