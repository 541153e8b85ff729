import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { type HubMessage, hubMessageSchema, type Registered } from '../../shared/index.ts';

export interface ClientClose {
  code: number;
  reason: string;
}

/** How an upgrade was refused. */
export class RefusedUpgrade extends Error {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;

  constructor(status: number, headers: NodeJS.Dict<string | string[]>, body: string) {
    super(`the upgrade was answered with ${status}`);
    this.status = status;
    this.headers = headers;
    this.body = body;
  }
}

/** An agent's end of a socket that does only what a test tells it to, and remembers what the hub said. */
export class AgentClient {
  readonly socket: WebSocket;
  readonly instanceId = randomUUID();
  /** How the hub's end, or the network, closed it. */
  readonly closed: Promise<ClientClose>;
  readonly #unread: HubMessage[] = [];
  readonly #readers: Array<{ take: (message: HubMessage) => void; fail: (error: Error) => void }> = [];
  #end: ClientClose | undefined;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('message', (data) => {
      const message = hubMessageSchema.parse(JSON.parse(String(data)));
      const reader = this.#readers.shift();
      if (reader) reader.take(message);
      else this.#unread.push(message);
    });
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        this.#end = { code, reason: reason.toString() };
        for (const reader of this.#readers.splice(0)) reader.fail(this.#ended(this.#end));
        resolve(this.#end);
      });
    });
  }

  /** Throws `RefusedUpgrade`. */
  static async open(url: string, headers: Record<string, string> = {}): Promise<AgentClient> {
    const socket = new WebSocket(url, { headers, perMessageDeflate: false });
    const client = new AgentClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
      socket.once('unexpected-response', (request, response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () => {
          const body = Buffer.concat(parts).toString();
          reject(new RefusedUpgrade(response.statusCode ?? 0, response.headers, body));
          request.destroy();
        });
      });
    });
    return client;
  }

  get open(): boolean {
    return this.#end === undefined;
  }

  /** Messages of the hub that nobody asked for yet. */
  get unread(): readonly HubMessage[] {
    return this.#unread;
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The hub's next message; fails where the socket closes instead. */
  next(): Promise<HubMessage> {
    const first = this.#unread.shift();
    if (first) return Promise.resolve(first);
    if (this.#end) return Promise.reject(this.#ended(this.#end));
    return new Promise((take, fail) => this.#readers.push({ take, fail }));
  }

  #ended({ code, reason }: ClientClose): Error {
    return new Error(`the hub closed with ${code} (${reason}) instead of an answer`);
  }

  /** Sends a `register` and returns the answer, whatever it is. */
  ask(node: unknown, extra: Record<string, unknown> = {}): Promise<HubMessage> {
    this.send({ type: 'register', protocol: 1, instanceId: this.instanceId, ...extra, node });
    return this.next();
  }

  /** Registers. A node without a hostname is called by its id. */
  async register(node: Record<string, unknown>, extra: Record<string, unknown> = {}): Promise<Registered> {
    const answer = await this.ask({ hostname: node.nodeId, ...node }, extra);
    if (answer.type !== 'registered') throw new Error(`answered ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Sends a message and returns the answer. */
  exchange(message: unknown): Promise<HubMessage> {
    this.send(message);
    return this.next();
  }

  /** Pings, and resolves at the pong: whatever was sent before it has been read by the hub. */
  async ping(): Promise<void> {
    const pong = once(this.socket, 'pong');
    this.socket.ping();
    const closed = this.closed.then(({ code, reason }) => {
      throw new Error(`the hub closed with ${code} (${reason}) instead of a pong`);
    });
    await Promise.race([pong, closed]);
  }

  destroy(): void {
    this.socket.terminate();
  }
}
