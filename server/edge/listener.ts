import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createNetServer, type Server as NetServer } from 'node:net';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { Arrivals } from './arrivals.ts';
import { type ConnectionLimits, Connections } from './connections.ts';
import { acceptAbsoluteForm } from './request-faults.ts';
import { RequestLine } from './request-line.ts';
import { answerNoRequest } from './safe-headers.ts';
import { routeUpgrades, type UpgradeHandler } from './upgrades.ts';

/**
 * Connections that the kernel may hold for a hub in a storm: as many as it allows (net.core.somaxconn). Node's default
 * of 511 makes agents retry after seconds.
 */
const BACKLOG = 65_535;

/** How long a client may take to send a request, or to read an answer, without progress. */
const IO_TIMEOUT_MS = 15_000;
/** How often requests are checked for the timeout. */
const REQUESTS_CHECK_MS = 5_000;
/** How long a connection without a request is kept. */
const IDLE_TIMEOUT_MS = 60_000;

/** How long connections without a request may keep the server from closing. */
const CONNECTIONS_WITHIN_MS = 500;

/**
 * The port of a hub, from the connection to the request: connections are accepted, bounded and given deadlines;
 * requests are read one at a time per connection, and go to one request handler and to the routes of upgrades. It
 * speaks plain HTTP.
 */
export class Listener {
  readonly server: Server;
  readonly connections: Connections;
  readonly requests: RequestLine;
  readonly #arrivals: Arrivals;
  readonly #clock: Clock;
  #handler: RequestHandler = (_request, response) => void response.writeHead(503).end();
  /** Servers for further addresses of `localhost`. */
  #further: readonly NetServer[] = [];

  constructor({ clock, log, openFiles, behindProxy }: { clock: Clock; log: Log } & ConnectionLimits) {
    this.#clock = clock;
    const options = {
      requestTimeout: IO_TIMEOUT_MS,
      headersTimeout: IO_TIMEOUT_MS,
      keepAliveTimeout: IDLE_TIMEOUT_MS,
      connectionsCheckingInterval: REQUESTS_CHECK_MS,
    };
    this.server = createServer(options, (request, response) => this.#handler(request, response));
    this.requests = new RequestLine(this.server, clock);
    // The timeout belongs to each request, not to the connection: its timer would stay with the socket of each agent.
    this.server.prependListener('request', (request) => {
      request.socket.setTimeout(IO_TIMEOUT_MS);
      acceptAbsoluteForm(request);
    });
    this.server.on('clientError', answerNoRequest);
    this.connections = new Connections({ server: this.server, clock, log, openFiles, behindProxy });
    this.#arrivals = new Arrivals(this.server, this.connections);
  }

  /** Sets the handler of requests. */
  handle(handler: RequestHandler): void {
    this.#handler = handler;
  }

  /** Routes upgrades by path. To be called once. */
  route(routes: Readonly<Record<string, UpgradeHandler>>): void {
    routeUpgrades(this.server, routes, (socket) => this.#arrivals.serveAgain(socket));
  }

  /** Resolves once it listens, and rejects if the address is not available. `localhost` means all its addresses. */
  async listen({ host, port }: { host: string; port: number }): Promise<AddressInfo> {
    this.server.listen({ host, port, backlog: BACKLOG });
    await once(this.server, 'listening');
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new TypeError('the server has no port');
    if (host === 'localhost') this.#further = await this.#listenFurther(address);
    return address;
  }

  /** An unavailable address is left out: the machine may lack IPv6. */
  async #listenFurther({ address, port }: AddressInfo): Promise<NetServer[]> {
    const all = await lookup('localhost', { all: true }).catch(() => []);
    const further = all.filter((other) => other.address !== address);
    const servers = further.map(async (other) => {
      const server = createNetServer({ pauseOnConnect: true }, (socket) => {
        this.server.emit('connection', socket);
      });
      server.listen({ host: other.address, port, backlog: BACKLOG });
      const listens = await once(server, 'listening').then(
        () => true,
        () => false,
      );
      return listens ? [server] : [];
    });
    return (await Promise.all(servers)).flat();
  }

  /**
   * Stops listening, and ends the remaining connections. A connection without a whole request, such as a browser's
   * spare one, is ended after half a second.
   */
  async close(): Promise<void> {
    const cut = this.#clock.after(CONNECTIONS_WITHIN_MS, () => {
      this.#arrivals.end();
      this.server.closeAllConnections();
    });
    await Promise.all([this.server, ...this.#further].map(closed));
    cut();
  }
}

const closed = (server: NetServer): Promise<void> =>
  new Promise((resolve) => void server.close(() => resolve()));

type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;
