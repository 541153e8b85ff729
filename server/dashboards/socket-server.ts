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
/** A connection that does not authenticate within this time is closed. */
const CONNECT_WITHIN_MS = 10_000;

/** Each dashboard is pinged so often, and cut off where it does not answer within so long. */
export interface Pings {
  everyMs: number;
  answerWithinMs: number;
}

/** The kernel takes megabytes of what is sent to a dashboard that stopped reading: only its silence tells. */
const PINGS: Pings = { everyMs: 10_000, answerWithinMs: 20_000 };

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
    connectTimeout: CONNECT_WITHIN_MS,
    pingInterval: pings.everyMs,
    pingTimeout: pings.answerWithinMs,
  });
  return { io, intake };
}
