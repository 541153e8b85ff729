import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { HostPort, RedisTarget } from './redis-url.ts';

/**
 * The mismatch of `redis://` or `rediss://` with this server, if any. A Redis that gets the other protocol is silent,
 * so that the client sees only a timeout; this tries the protocol that was not configured.
 */
export async function wrongTransport(target: RedisTarget, withinMs: number): Promise<string | undefined> {
  switch (target.kind) {
    case 'single':
      return ofServer(target.at, target.tls, withinMs);
    case 'cluster': {
      const [first] = target.nodes;
      return first && ofServer(first, target.tls, withinMs);
    }
    case 'sentinel': {
      const [first] = target.sentinels;
      const encrypted = first !== undefined && (await speaksTls(first, withinMs));
      return encrypted ? 'it speaks TLS, which redis+sentinel:// does not' : undefined;
    }
    default:
      return target satisfies never;
  }
}

async function ofServer(at: HostPort, tls: boolean, withinMs: number): Promise<string | undefined> {
  if (tls) return (await speaksPlain(at, withinMs)) ? 'it does not speak TLS; write redis://' : undefined;
  return (await speaksTls(at, withinMs)) ? 'it speaks TLS; write rediss://' : undefined;
}

/** The handshake alone matters: the certificate is not verified, and nothing is sent. */
function speaksTls({ host, port }: HostPort, withinMs: number): Promise<boolean> {
  const socket = connectTls({ host, port, rejectUnauthorized: false, timeout: withinMs });
  return answerOf(socket, (answer) => socket.once('secureConnect', () => answer(true)));
}

/** Any line of Redis proves it, also a request for a password. */
function speaksPlain({ host, port }: HostPort, withinMs: number): Promise<boolean> {
  const socket = connect({ host, port, timeout: withinMs });
  return answerOf(socket, (answer) => {
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', (data) => answer(/^[+-]/.test(data.toString('latin1'))));
  });
}

/** The result of listening on a socket, which ends with it; false without an answer. */
function answerOf(socket: Socket, listen: (answer: (is: boolean) => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const answer = (is: boolean): void => {
      socket.destroy();
      resolve(is);
    };
    for (const event of ['timeout', 'close', 'error']) socket.on(event, () => answer(false));
    listen(answer);
  });
}
