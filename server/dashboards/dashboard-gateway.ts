import type { Server as HttpServer, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ConnectError } from '../../shared/index.ts';
import type { Access } from '../edge/access.ts';
import type { ReaderBudget } from '../edge/reader-budget.ts';
import { CHECK_EVERY_MS } from '../edge/slow-reader.ts';
import { refuseUpgrade } from '../edge/upgrades.ts';
import type { FleetReader } from '../fleet/ports.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { DashboardConnection } from './connection.ts';
import { type ClientContext, DashboardClient } from './dashboard-client.ts';
import { FilterGroups } from './filter-group.ts';
import {
  createSocketServer,
  type DashboardServer,
  type DashboardSocket,
  type Pings,
  type RawConnection,
  waitAnewForPong,
} from './socket-server.ts';
import { StatsWatch } from './stats-watch.ts';

/** The most dashboards of one hub. */
const MAX_DASHBOARDS = 10_000;
/** Connections without a right token so far; the same limit holds for upgrades that wait for their handshake. */
const MAX_UNAUTHENTICATED = 2_000;
/** How long a refused client may take to close; Socket.IO's own client closes at once. */
const REFUSED_CLOSES_WITHIN_MS = 1_000;
/** How long dashboards have to answer the close before their sockets are ended. */
const CLOSE_ANSWER_MS = 1_000;
const CLOSE_CHECK_MS = 20;

/** Checks within which a connection has to authenticate: about 10 s. */
const AUTHENTICATE_WITHIN_CHECKS = 10;

export interface DashboardGatewayParts {
  fleet: FleetReader;
  clock: Clock;
  log: Log;
  access: Access;
  /** Called when this room bounds the connection from now on, before it authenticates. */
  known?: (socket: Duplex) => void;
  /** The most dashboards of this hub; more are refused with 503. Default 10,000. */
  maxDashboards?: number;
  /**
   * The most connections that have not authenticated yet, beyond which the oldest is ended, and the most upgrades that
   * wait. Default 2,000.
   */
  maxUnauthenticated?: number;
  pings?: Pings;
  /** The account of unread bytes. */
  readers: ReaderBudget;
}

/** An error whose `data` Socket.IO sends to the refused client. */
class RefusedConnection extends Error {
  readonly data: ConnectError;

  constructor(code: ConnectError['code'], message: string) {
    super(message);
    this.data = { code };
  }
}

/** The dashboards' connections: admits them, and passes the fleet's changes to their subscriptions. */
export class DashboardGateway {
  readonly #context: ClientContext;
  readonly #access: Access;
  readonly #known: (socket: Duplex) => void;
  readonly #maxDashboards: number;
  readonly #readers: ReaderBudget;
  readonly #maxUnauthenticated: number;
  readonly #io: DashboardServer;
  readonly #intake: HttpServer;
  /** The network socket of each upgrade until its connection is made. */
  readonly #upgrading = new WeakMap<IncomingMessage, Duplex>();
  readonly #connections = new Map<RawConnection, DashboardConnection>();
  /** Connections that have not authenticated yet, the oldest first. */
  readonly #unauthenticated = new Map<RawConnection, Unauthenticated>();
  readonly #clients = new Map<DashboardConnection, DashboardClient>();
  readonly #ends: Array<() => void>;
  /** Upgrades that wait for their handshake. */
  #arriving = 0;
  /** Stalls of this hub that are accounted for. */
  #stalls = 0;
  #closing: Promise<void> | undefined;

  constructor(parts: DashboardGatewayParts) {
    const { readers, fleet, clock, log, access, maxDashboards = MAX_DASHBOARDS, pings } = parts;
    const { io, intake } = createSocketServer(pings);
    const groups = new FilterGroups({
      view: fleet.view,
      clock,
      broadcast: (room, changes) => void io.to(room).emit('changes', changes),
    });
    const statsWatch = new StatsWatch({ fleet, clock, log });
    this.#context = { fleet, clock, log, groups, statsWatch };
    this.#access = access;
    this.#known = parts.known ?? (() => {});
    this.#maxDashboards = maxDashboards;
    this.#readers = readers;
    readers.watch(() => this.#connections.values());
    this.#maxUnauthenticated = parts.maxUnauthenticated ?? MAX_UNAUTHENTICATED;
    this.#io = io;
    this.#intake = intake;
    io.engine.on('connection', (raw: RawConnection) => this.#connected(raw));
    io.use((socket, next) => next(this.#refusal(socket)));
    io.on('connection', (socket) => this.#admitted(socket));
    this.#ends = [
      fleet.membership.listen(() => void io.emit('hub', fleet.datedState())),
      fleet.view.listen({ changed: () => {}, reloaded: (reason) => this.#reloaded(reason) }),
      clock.every(CHECK_EVERY_MS, () => this.#check()),
      () => groups.close(),
      () => statsWatch.close(),
    ];
  }

  /** Open connections, authenticated or not. */
  get size(): number {
    return this.#connections.size;
  }

  /** Groups of subscriptions with the same filter that have members. */
  get groups(): number {
    return this.#context.groups.size;
  }

  /** Dashboards by the state of their subscription; `none` have no subscription. */
  countByState(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { subscribed = 'none' } of this.#clients.values()) {
      counts[subscribed] = (counts[subscribed] ?? 0) + 1;
    }
    return counts;
  }

  /** Bytes that all dashboards together have not read yet. */
  get unreadBytes(): number {
    let bytes = 0;
    for (const connection of this.#connections.values()) bytes += connection.unreadBytes;
    return bytes;
  }

  /** Admits an upgrade to Socket.IO, or refuses it before the handshake. The token is checked after it. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // The token comes after the handshake.
    const allowed = this.#access.admit(request, { right: 'none', entrance: 'dashboards' });
    const query = new URLSearchParams((request.url ?? '').split('?')[1]);
    if (this.#closing) {
      refuseUpgrade(socket, 503, 'the hub is shutting down', { 'Retry-After': '2' });
    } else if ('refused' in allowed) {
      refuseUpgrade(socket, 403, allowed.why);
    } else if (this.#readers.refuses) {
      refuseUpgrade(socket, 503, 'this hub keeps as much for readers as it can', { 'Retry-After': '5' });
    } else if (this.#clients.size + this.#arriving >= this.#maxDashboards) {
      refuseUpgrade(socket, 503, `this hub holds ${this.#maxDashboards} dashboards, its limit`, {
        'Retry-After': '30',
      });
    } else if (this.#arriving >= this.#maxUnauthenticated) {
      refuseUpgrade(socket, 503, 'too many dashboards come at once', { 'Retry-After': '2' });
    } else if (query.get('EIO') !== '4' || query.get('transport') !== 'websocket' || query.get('sid')) {
      refuseUpgrade(socket, 400, 'connect with Socket.IO 4 and transports: ["websocket"]');
    } else {
      this.#known(socket);
      void this.#admitInTurn(request, socket, head);
    }
  }

  /** A handshake is expensive: when hundreds come at once, agents are served in between. */
  async #admitInTurn(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    this.#arriving += 1;
    await this.#context.fleet.slices.forReader();
    this.#arriving -= 1;
    if (socket.destroyed) return;
    if (this.#closing) {
      refuseUpgrade(socket, 503, 'the hub is shutting down', { 'Retry-After': '2' });
      return;
    }
    this.#upgrading.set(request, socket);
    this.#intake.emit('upgrade', request, socket, head);
  }

  /** Ends all dashboards and Socket.IO, not the HTTP server. Calling it twice is harmless. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const end of this.#ends) end();
    for (const client of this.#clients.values()) client.end();
    // Without Socket.IO's own message: a client that gets "disconnect" does not reconnect by itself.
    const connections = [...this.#connections.values()];
    await this.#io.close();
    for (let waited = 0; waited < CLOSE_ANSWER_MS; waited += CLOSE_CHECK_MS) {
      if (connections.every((connection) => connection.ended)) break;
      await this.#context.clock.sleep(CLOSE_CHECK_MS);
    }
    for (const connection of connections) connection.destroy();
  }

  /**
   * Ends connections that do not read or do not authenticate. The measure is checks, which stop while the hub is
   * stalled.
   */
  #check(): void {
    this.#noticeStall();
    for (const connection of this.#connections.values()) connection.check();
    for (const [raw, waiting] of this.#unauthenticated) {
      waiting.checks += 1;
      if (waiting.checks > AUTHENTICATE_WITHIN_CHECKS) raw.close();
    }
  }

  /** After a stall timers or sockets may be served first: the check and each packet call this. */
  #noticeStall(): void {
    const { clock, fleet } = this.#context;
    const now = clock.now();
    const stalls = fleet.stalls.count(now);
    if (stalls === this.#stalls) return;
    this.#stalls = stalls;
    for (const [raw, connection] of this.#connections) {
      connection.stoodStill(fleet.stalls.lastMs(now));
      waitAnewForPong(raw);
    }
  }

  #connected(raw: RawConnection): void {
    const { clock, log } = this.#context;
    const { request } = raw;
    const socket = this.#upgrading.get(request);
    if (!socket) {
      raw.close(true);
      return;
    }
    this.#upgrading.delete(request);
    const remoteAddress = this.#access.remoteAddress(request);
    const sent = (bytes: number): void => this.#readers.sent(bytes);
    raw.on('packet', () => this.#noticeStall());
    const connection = new DashboardConnection(raw, socket, { remoteAddress, clock, log, sent });
    this.#connections.set(raw, connection);
    this.#mayAuthenticate(raw, this.#access.peerAddress(request));
    raw.once('close', (why) => {
      this.#connections.delete(raw);
      this.#unauthenticated.delete(raw);
      this.#clients.delete(connection);
      // Engine.IO only closes in an orderly way, which waits behind all unread bytes.
      if (why === 'ping timeout') connection.cutOff('it answers no ping');
    });
    // The request with its headers and buffers would live as long as the connection.
    Reflect.deleteProperty(raw, 'request');
  }

  /**
   * A connection that never authenticates takes the place of similar ones, not of dashboards, which authenticate at
   * once.
   */
  #mayAuthenticate(raw: RawConnection, address: string): void {
    this.#unauthenticated.set(raw, { address, checks: 0 });
    for (const oldest of this.#unauthenticated.keys()) {
      if (this.#unauthenticated.size <= this.#maxUnauthenticated) return;
      // Its close event comes later: until then it must not count as the oldest again.
      this.#unauthenticated.delete(oldest);
      this.#connections.get(oldest)?.destroy();
    }
  }

  /** Why a dashboard may not connect, or undefined. */
  #refusal(socket: DashboardSocket): Error | undefined {
    const { conn } = socket;
    const { address } = this.#unauthenticated.get(conn) ?? { address: 'unknown' };
    const { auth } = socket.handshake;
    const admitted = this.#access.admitAuth(auth, { right: 'reader', entrance: 'dashboards', address });
    if (!('refused' in admitted)) return undefined;
    this.#context.clock.after(REFUSED_CLOSES_WITHIN_MS, () => {
      if (this.#unauthenticated.has(conn)) conn.close();
    });
    const code = admitted.refused === 'forbidden' ? 'forbidden' : 'unauthenticated';
    return new RefusedConnection(code, admitted.why);
  }

  #admitted(socket: DashboardSocket): void {
    const connection = this.#connections.get(socket.conn);
    // One dashboard per connection: a second CONNECT that raced the first would be served unbounded.
    if (!connection || this.#clients.has(connection) || this.#clients.size >= this.#maxDashboards) {
      socket.conn.close(true);
      return;
    }
    this.#unauthenticated.delete(socket.conn);
    const client = new DashboardClient(this.#context, socket, connection);
    this.#clients.set(connection, client);
    const { remoteAddress } = connection;
    this.#context.log.debug({ remoteAddress }, 'Dashboard connected');
    socket.on('disconnect', (why) => {
      if (this.#clients.get(connection) === client) this.#clients.delete(connection);
      this.#context.log.debug({ remoteAddress, why }, 'Dashboard disconnected');
    });
  }

  #reloaded(reason: string): void {
    for (const client of this.#clients.values()) client.resync(reason);
  }
}

interface Unauthenticated {
  /** Wrong tokens are counted by address. */
  readonly address: string;
  checks: number;
}
