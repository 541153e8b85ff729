import { connect, type Socket } from 'node:net';
import { type AgentDialect, type AgentDialectName, agentDialects, type Beat } from './agent-dialects.ts';

/** Who an agent tells what happens to it. */
export interface AgentOwner {
  joined(agent: Agent): void;
  answered(agent: Agent, count: number): void;
  /** It is not connected any more, or was not let in; how long the server asks it to wait, where it does. */
  lost(agent: Agent, why: string, retryAfterMs: number | undefined): void;
}

// All sockets of the process read into one buffer: what a chunk holds is used before the next one comes.
const readBuffer = Buffer.allocUnsafe(65_536);

/** An agent made of a bare TCP socket and prebuilt frames: the load must not be what is measured. */
export class Agent {
  readonly #dialect: AgentDialect;
  readonly #beats = new Map<Beat, Buffer>();
  #socket: Socket | undefined;
  #known = false;
  state: 'away' | 'joining' | 'joined' = 'away';
  /** When the beat was sent whose answer it waits for; 0: none. */
  sentAt = 0;
  failures = 0;
  /** Where it begins among several servers. */
  readonly turn = Math.floor(Math.random() * 1_000);

  constructor(
    readonly id: string,
    dialect: AgentDialectName,
    private readonly localAddress: string,
    private readonly keepAliveSeconds: number,
    private readonly owner: AgentOwner,
  ) {
    this.#dialect = agentDialects[dialect];
  }

  connect(port: number): void {
    this.state = 'joining';
    let over = false;
    let why = 'the connection ended';
    let retryAfterMs: number | undefined;
    const read = this.#dialect.reader(this.id, {
      send: (bytes) => void socket.write(bytes),
      joined: () => {
        this.state = 'joined';
        this.#known = true;
        this.owner.joined(this);
      },
      answered: (count) => this.owner.answered(this, count),
      refused: (reason, wait) => {
        why = reason;
        retryAfterMs = wait;
        socket.destroy();
      },
    });
    const socket = connect({
      host: '127.0.0.1',
      port,
      localAddress: this.localAddress,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          if (!over) read(readBuffer.subarray(0, length));
          return true;
        },
      },
    });
    this.#socket = socket;
    const { keepAliveSeconds } = this;
    socket.once('connect', () =>
      socket.write(this.#dialect.open(this.id, port, { keepAliveSeconds, known: this.#known })),
    );
    socket.on('error', (error) => {
      why = error.message;
    });
    socket.once('close', () => {
      over = true;
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.state = 'away';
      this.owner.lost(this, why, retryAfterMs);
    });
  }

  beat(kind: Beat): void {
    let bytes = this.#beats.get(kind);
    if (!bytes) {
      bytes = this.#dialect.beat(kind, this.id);
      this.#beats.set(kind, bytes);
    }
    this.#socket?.write(bytes);
  }

  change(marker: string | undefined): void {
    this.#socket?.write(this.#dialect.change(this.id, marker));
  }

  /** As a machine that vanishes: RST, no goodbye. */
  reset(): void {
    this.#leave()?.resetAndDestroy();
  }

  destroy(): void {
    this.#leave()?.destroy();
  }

  #leave(): Socket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    this.state = 'away';
    return socket;
  }
}
