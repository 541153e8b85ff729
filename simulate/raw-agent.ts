import { connect, type Socket } from 'node:net';
import { FrameReader } from './frame-reader.ts';
import { pingFrame, registerFrame, statsFrame } from './frames.ts';
import { upgradeRequest } from './handshake.ts';

const statsAndPing = Buffer.concat([statsFrame, pingFrame]);

/** An agent made of a bare TCP socket that does only what it is told: no backoff, no beat of its own. */
export class RawAgent {
  #socket: Socket | undefined;
  /** Pings that were answered. */
  answered = 0;

  constructor(readonly nodeId: string) {}

  /** Connects and registers. Rejects where it is refused. */
  async connect(port: number, localAddress: string): Promise<void> {
    const request = upgradeRequest(new URL(`http://127.0.0.1:${port}/agent`), undefined, false);
    const socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true });
    this.#socket = socket;
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => socket.write(request));
      socket.once('data', (head: Buffer) => {
        const text = head.toString('latin1');
        if (!text.startsWith('HTTP/1.1 101')) reject(new Error(text.split('\r\n', 1)[0]));
        const end = text.indexOf('\r\n\r\n') + 4;
        const reader = new FrameReader({
          text: () => resolve(),
          pong: () => {
            this.answered += 1;
          },
          ping: () => {},
          close: () => {},
          broken: (why) => reject(new Error(why)),
        });
        socket.on('data', (chunk: Buffer) => reader.push(chunk));
        if (head.length > end) reader.push(head.subarray(end));
        socket.write(registerFrame(this.nodeId));
      });
    });
    socket.removeAllListeners('error');
    socket.on('error', () => {});
  }

  ping(): void {
    this.#socket?.write(pingFrame);
  }

  /** Figures, and a ping, because figures alone are not answered. */
  stats(): void {
    this.#socket?.write(statsAndPing);
  }

  /** As a machine that vanishes: RST, no Close frame. */
  reset(): void {
    this.#socket?.resetAndDestroy();
  }

  destroy(): void {
    this.#socket?.destroy();
  }
}

/** Connects many agents, some at a time, from several loopback addresses. */
export async function connectAll(agents: readonly RawAgent[], port: number): Promise<void> {
  const AT_ONCE = 200;
  for (let from = 0; from < agents.length; from += AT_ONCE) {
    await Promise.all(
      agents
        .slice(from, from + AT_ONCE)
        .map((agent, index) => agent.connect(port, `127.0.0.${2 + (index % 8)}`)),
    );
  }
}
