import { createServer, type Server as HttpServer } from 'node:http';
import { Server, type Socket } from 'socket.io';
import { type ServerOptions, WebSocketServer } from 'ws';
import { DASHBOARD_PATH, type DashboardToHub, type HubToDashboard } from '../../shared/index.ts';

export type DashboardServer = Server<DashboardToHub, HubToDashboard>;
export type DashboardSocket = Socket<DashboardToHub, HubToDashboard>;
/** The connection under a socket, as Engine.IO has it. */
export type RawConnection = DashboardSocket['conn'];

/** What a dashboard sends in one message, in bytes. */
const MESSAGE_BYTES = 64_000;
/** Who does not authenticate is ended by the gateway, which knows when this hub stood still. */
const NO_CONNECT_TIMEOUT_MS = 2 ** 31 - 1;

/** Each dashboard is pinged so often, and cut off where it does not answer within so long. */
export interface Pings {
  everyMs: number;
  answerWithinMs: number;
}

/** The kernel takes megabytes of what is sent to a dashboard that stopped reading: only its silence tells. */
const PINGS: Pings = { everyMs: 10_000, answerWithinMs: 20_000 };

/**
 * The hub stood still: a dashboard that was pinged before has its time for the answer anew, which may lie unread in its
 * network socket. Engine.IO hands out neither the timer nor another way to keep it from firing first.
 */
export function waitAnewForPong(raw: RawConnection): void {
  const timer: unknown = Reflect.get(raw, 'pingTimeoutTimer');
  if (typeof timer !== 'object' || timer === null || !('refresh' in timer)) return;
  if (typeof timer.refresh === 'function') timer.refresh();
}

/** Socket.IO brings an older ws of its own, which a flood of pings can fill the memory of. */
class BoundedWebSocketServer extends WebSocketServer {
  constructor(options: ServerOptions) {
    super({ ...options, maxPendingAutoPongs: 8, maxFragments: 16, closeTimeout: 5_000 });
  }
}

/**
 * Socket.IO over WebSocket alone. It hears upgrades from `intake`, a server that never listens: the hub's own
 * dispatcher hands them over, so that Socket.IO neither sees nor ends anybody else's sockets.
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
