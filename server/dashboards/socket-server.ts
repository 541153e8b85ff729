import { createServer, type Server as HttpServer } from 'node:http';
import { Server, type Socket } from 'socket.io';
import { type ServerOptions, WebSocketServer } from 'ws';
import { DASHBOARD_PATH, type DashboardToHub, type HubToDashboard } from '../../shared/index.ts';

export type DashboardServer = Server<DashboardToHub, HubToDashboard>;
export type DashboardSocket = Socket<DashboardToHub, HubToDashboard>;
/** Engine.IO's connection under a socket. */
export type RawConnection = DashboardSocket['conn'];

/** The most bytes in one message of a dashboard. */
const MESSAGE_BYTES = 64_000;
/** The gateway itself ends clients that do not authenticate, because it takes stalls of this hub into account. */
const NO_CONNECT_TIMEOUT_MS = 2 ** 31 - 1;

/** The interval of pings to each dashboard, and the time for the answer before it is cut off. */
export interface Pings {
  everyMs: number;
  answerWithinMs: number;
}

/** The kernel takes megabytes for a dashboard that stopped reading: only a missing pong reveals it. */
const PINGS: Pings = { everyMs: 10_000, answerWithinMs: 20_000 };

/**
 * After a stall of the hub: a dashboard that was pinged before it gets the whole time for its answer again, which may
 * lie unread in its network socket. Engine.IO offers neither the timer nor another way to keep it from firing first.
 */
export function waitAnewForPong(raw: RawConnection): void {
  const timer: unknown = Reflect.get(raw, 'pingTimeoutTimer');
  if (typeof timer !== 'object' || timer === null || !('refresh' in timer)) return;
  if (typeof timer.refresh === 'function') timer.refresh();
}

/** Socket.IO brings an older ws of its own, whose memory a flood of pings can fill. */
class BoundedWebSocketServer extends WebSocketServer {
  constructor(options: ServerOptions) {
    super({ ...options, maxPendingAutoPongs: 8, maxFragments: 16, closeTimeout: 5_000 });
  }
}

/**
 * Socket.IO over WebSocket alone. It gets upgrades from `intake`, a server that never listens: the hub's own dispatcher
 * passes them on, so that Socket.IO neither sees nor ends other sockets of the port.
 */
export function createSocketServer(pings: Pings = PINGS): { io: DashboardServer; intake: HttpServer } {
  const intake = createServer();
  const io: DashboardServer = new Server(intake, {
    path: DASHBOARD_PATH,
    addTrailingSlash: false,
    transports: ['websocket'],
    allowUpgrades: false,
    serveClient: false,
    destroyUpgrade: false,
    wsEngine: BoundedWebSocketServer,
    perMessageDeflate: false,
    httpCompression: false,
    maxHttpBufferSize: MESSAGE_BYTES,
    connectTimeout: NO_CONNECT_TIMEOUT_MS,
    pingInterval: pings.everyMs,
    pingTimeout: pings.answerWithinMs,
  });
  return { io, intake };
}
