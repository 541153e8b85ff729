import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { FrameCounter, pingFrame, registerFrame, statsFrame } from './frames.ts';

/** What an agent of the load sends each time: a ping, or stats and a ping, because stats alone are not answered. */
export type Beat = 'ping' | 'stats';

const beats: Record<Beat, Buffer> = { ping: pingFrame, stats: Buffer.concat([statsFrame, pingFrame]) };

/** An agent made of a bare TCP socket: the load generator must not be what is measured. */
export class RawAgent {
  readonly #counter = new FrameCounter();
  #socket: Socket | undefined;
  #beat: Buffer | undefined;
  /** Answered heartbeats. */
  answered = 0;

  constructor(readonly nodeId: string) {}

  /** Connects, and where the server is a hub, registers. */
  async connect(port: number, localAddress: string, register: boolean): Promise<void> {
    const socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true });
    this.#socket = socket;
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => socket.write(upgrade(port)));
      socket.once('data', (head: Buffer) => {
        const text = head.toString('latin1');
        if (!text.startsWith('HTTP/1.1 101')) reject(new Error(text.split('\r\n', 1)[0]));
        const end = text.indexOf('\r\n\r\n') + 4;
        socket.on('data', (chunk: Buffer) => this.#received(chunk, resolve));
        if (head.length > end) this.#received(head.subarray(end), resolve);
        if (register) socket.write(registerFrame(this.nodeId));
        else resolve();
      });
    });
    socket.removeAllListeners('error');
    socket.on('error', () => {});
  }

  #received(chunk: Buffer, registered: () => void): void {
    const { pongs } = this.#counter;
    this.#counter.push(chunk);
    if (this.#counter.texts > 0) registered();
    if (this.#counter.pongs === pongs) return;
    this.answered += this.#counter.pongs - pongs;
    if (this.#beat) this.#socket?.write(this.#beat);
  }

  /** Beats in a closed loop from now on: the next heartbeat goes when the last was answered. */
  start(beat: Beat): void {
    this.#beat = beats[beat];
    this.#socket?.write(this.#beat);
  }

  pause(): void {
    this.#beat = undefined;
  }

  /** One ping, outside of any loop. */
  ping(): void {
    this.#socket?.write(pingFrame);
  }

  /** As a machine that vanishes: RST, no Close frame. */
  reset(): void {
    this.#socket?.resetAndDestroy();
  }

  destroy(): void {
    this.#socket?.destroy();
  }
}

function upgrade(port: number): string {
  return [
    'GET /agent HTTP/1.1',
    `Host: 127.0.0.1:${port}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    'Sec-WebSocket-Version: 13',
    '\r\n',
  ].join('\r\n');
}

/** Connects many agents, some at a time, from several loopback addresses. */
export async function connectAll(
  agents: readonly RawAgent[],
  port: number,
  register: boolean,
): Promise<void> {
  const AT_ONCE = 200;
  for (let from = 0; from < agents.length; from += AT_ONCE) {
    await Promise.all(
      agents
        .slice(from, from + AT_ONCE)
        .map((agent, index) => agent.connect(port, `127.0.0.${2 + (index % 8)}`, register)),
    );
  }
}
