import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { type HeartbeatTiming, type Register, registerSchema } from '../../shared/index.ts';

/** One agent's socket, as the hub saw it. */
export interface HubSession {
  socket: WebSocket;
  headers: IncomingHttpHeaders;
  path: string;
  messages: Array<{ type: string; [field: string]: unknown }>;
  registers: Register[];
  pings: number;
  pongs: number;
  /** Set when the socket closed; `agentFirst`: the agent's Close frame came before the hub sent one. */
  closed?: { code: number; reason: string; agentFirst: boolean };
}

/** What the hub does; a test changes it as it goes. */
export interface Script {
  timing: HeartbeatTiming;
  /** Answer pings. */
  pong: boolean;
  /** What to do with a `register`; default: reply `registered`. */
  onRegister: (session: HubSession, register: Register, hub: ScriptedHub) => void;
  /** What to do with a `deregister`; default: close 1000. */
  onDeregister: (session: HubSession) => void;
  /** Refuse the upgrade with this status, these headers and this body. */
  refuse?: { status: number; headers?: Record<string, string>; body?: string } | undefined;
  /** Let upgrades hang. */
  hang: boolean;
}

/** A hub that does what a test tells it to, and writes down what agents did. */
export class ScriptedHub {
  readonly sessions: HubSession[] = [];
  readonly script: Script;
  /** Upgrades that came, answered or not. */
  attempts = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();
  readonly #webSockets = new WebSocketServer({ noServer: true, autoPong: false });
  #registrations = 0;

  private constructor(server: Server, script: Partial<Script>) {
    this.#server = server;
    this.script = {
      timing: { intervalMs: 1_000, timeoutMs: 3_000 },
      pong: true,
      onRegister: (session, register) => this.reply(session, register),
      onDeregister: (session) => session.socket.close(1000),
      hang: false,
      ...script,
    };
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
    });
    server.on('upgrade', (request, socket, head) => {
      this.attempts += 1;
      const { refuse, hang } = this.script;
      if (hang) {
        // Read, or the end of the connection would go unnoticed; sockets of an HTTP server stay half open.
        socket.resume().on('end', () => socket.end());
        return;
      }
      if (refuse) {
        const { body = '' } = refuse;
        const headers = Object.entries(refuse.headers ?? {}).map(([key, value]) => `${key}: ${value}\r\n`);
        socket.end(
          `HTTP/1.1 ${refuse.status} No\r\n${headers.join('')}Content-Length: ${body.length}\r\n\r\n${body}`,
        );
        return;
      }
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) =>
        this.#accept(webSocket, request.headers, request.url ?? ''),
      );
    });
  }

  static async start(script: Partial<Script> = {}, port = 0): Promise<ScriptedHub> {
    const server = createServer();
    const hub = new ScriptedHub(server, script);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    return hub;
  }

  get port(): number {
    const address: AddressInfo | string | null = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the hub does not listen');
    return address.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The newest session. */
  get last(): HubSession {
    const session = this.sessions.at(-1);
    if (!session) throw new Error('no agent has connected');
    return session;
  }

  /** Sockets that are open, registered or not. */
  get openSockets(): number {
    return this.#sockets.size;
  }

  send(session: HubSession, message: unknown): void {
    session.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The `registered` reply, with `fields` over it. */
  reply(session: HubSession, register: Register, fields: Record<string, unknown> = {}): void {
    this.#registrations += 1;
    const { timing } = this.script;
    const at = '2026-01-02T09:27:41.446Z';
    const id = register.node.nodeId ?? '28113561-2e72-490d-8bd7-050d2e7c2d18';
    this.send(session, {
      type: 'registered',
      nodeId: id,
      session: `secret-session-${this.#registrations}`,
      reregistered: this.#registrations > 1,
      createdAt: at,
      hubTime: at,
      heartbeat: timing,
      node: {
        ...register.node,
        id,
        seq: this.#registrations,
        status: 'online',
        reason: this.#registrations > 1 ? 'reconnected' : 'registered',
        statusSince: at,
        conditions: [],
        evidence: {},
        heartbeat: timing,
        connection: { hubId: 'hub-1', transport: 'websocket', remoteAddress: '127.0.0.1', since: at },
        createdAt: at,
        registeredAt: at,
      },
      ...fields,
    });
  }

  /** Dies like a killed process: every connection is cut, the port is free again. */
  async kill(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: WebSocket, headers: IncomingHttpHeaders, path: string): void {
    const session: HubSession = { socket, headers, path, messages: [], registers: [], pings: 0, pongs: 0 };
    this.sessions.push(session);
    let hubClosed = false;
    const close = socket.close.bind(socket);
    // ws itself answers a Close frame through `close`; by then the state is still OPEN, the frame received.
    socket.close = (code?: number, reason?: string | Buffer) => {
      if (!receivedClose(socket)) hubClosed = true;
      close(code, reason);
    };
    socket.on('error', () => {});
    socket.on('ping', (data) => {
      session.pings += 1;
      if (!this.script.pong) return;
      session.pongs += 1;
      socket.pong(data);
    });
    socket.on('close', (code, reason) => {
      session.closed = { code, reason: reason.toString(), agentFirst: code !== 1006 && !hubClosed };
    });
    socket.on('message', (data) => this.#message(session, data.toString()));
  }

  #message(session: HubSession, text: string): void {
    const message: unknown = JSON.parse(text);
    if (typeof message !== 'object' || message === null || !('type' in message)) throw new Error(text);
    session.messages.push({ ...message, type: String(message.type) });
    if (message.type === 'register') {
      const register = registerSchema.parse(message);
      session.registers.push(register);
      this.script.onRegister(session, register, this);
    } else if (message.type === 'deregister') {
      this.script.onDeregister(session);
    }
  }
}

const receivedClose = (socket: WebSocket): boolean =>
  '_closeFrameReceived' in socket && socket._closeFrameReceived === true;
