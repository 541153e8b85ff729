// A server process: a Rollcall hub, or bare ws as the floor of this runtime. Answers `memory` after a forced GC.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { WebSocketServer } from 'ws';
import { startHub } from '../server/hub.ts';
import { silentLog } from '../server/log.ts';
import { readHubSettings } from '../server/settings.ts';

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

async function listen(kind: string | undefined): Promise<number> {
  if (kind === 'bare') {
    const server = new WebSocketServer({
      host: '127.0.0.1',
      port: 0,
      backlog: 4_096,
      perMessageDeflate: false,
      maxPayload: 65_536,
    });
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      socket.on('message', () => {});
    });
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }
  const settings = readHubSettings({ ...process.env, PORT: '0', LOG_LEVEL: 'silent' }, () => '');
  return (await startHub(settings, { log: silentLog })).port;
}

const port = await listen(process.argv[2]);
process.send?.({ port });
process.on('message', () => {
  if (typeof collect === 'function') for (let round = 0; round < 4; round += 1) collect();
  process.send?.({ answer: process.memoryUsage().rss });
});
process.on('disconnect', () => process.exit(0));
