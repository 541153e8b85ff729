import type { ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { connectionWords } from '../shared/index.ts';

/** How long a proxy may take to be reached and to open a tunnel: the request for it may be gone by then. */
const TUNNEL_WITHIN_MS = 10_000;

/** Tunnels through a proxy (CONNECT). Its errors name the proxy, and never the password in its address. */
export class TunnelAgent extends HttpsProxyAgent<string> {
  override async connect(
    request: ClientRequest,
    options: Parameters<HttpsProxyAgent<string>['connect']>[1],
  ): Promise<Socket> {
    const overdue = new AbortController();
    const deadline = setTimeout(() => overdue.abort(), TUNNEL_WITHIN_MS).unref();
    let status = 200;
    request.once('proxyConnect', ({ statusCode }: { statusCode: number }) => {
      status = statusCode;
    });
    this.connectOpts = { ...this.connectOpts, signal: overdue.signal };
    try {
      const socket = await super.connect(request, options);
      if (status === 200) return socket;
      socket.destroy();
      throw new Error(refusal(status));
    } catch (error) {
      const why = overdue.signal.aborted ? 'no answer in time' : connectionWords(error);
      throw new Error(`the proxy ${this.proxy.host}: ${why}`);
    } finally {
      clearTimeout(deadline);
    }
  }
}

const refusal = (status: number): string =>
  status === 407
    ? 'it wants a name and password (HTTP 407): write them into its address, http://name:password@host:port'
    : `it opens no tunnel to the hub (HTTP ${status})`;
