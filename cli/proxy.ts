import type { Agent } from 'node:http';
import type { Environment } from './secrets.ts';
import { UsageError } from './usage-error.ts';

/** A request, as `fetch` makes it. */
export type Ask = (
  url: string,
  request: { method: string; headers: Record<string, string>; signal: AbortSignal },
) => Promise<{ status: number; body: AsyncIterable<Uint8Array> | null }>;

/** Ways through the proxies that the environment names; a way is undefined where a hub is reached directly. */
export interface Proxies {
  /** For a WebSocket. */
  agentFor(url: string): Agent | undefined;
  /** For requests. */
  askFor(url: string): Ask;
}

const direct: Proxies = { agentFor: () => undefined, askFor: () => fetch };

const variables = ['http_proxy', 'https_proxy', 'all_proxy'];

/**
 * HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in capitals or not, as they stand in the environment of this process.
 * A hub on this machine is always reached directly. What is needed is loaded only where such a
 * variable is set. Throws `UsageError` where one cannot be used; it quotes no password.
 */
export async function loadProxies(env: Environment): Promise<Proxies> {
  if (!variables.some((name) => env[name] || env[name.toUpperCase()])) return direct;
  const { getProxyForUrl } = await import('proxy-from-env');
  const proxyOf = (url: string): URL | undefined => {
    const target = new URL(url.replace(/^ws/, 'http'));
    const text = isLoopback(target.hostname) ? '' : getProxyForUrl(target.href);
    return text === '' ? undefined : readProxy(text);
  };
  const [{ TunnelAgent }, undici] = await Promise.all([import('./tunnel-agent.ts'), import('undici')]);
  return {
    agentFor: (url) => {
      const proxy = proxyOf(url);
      return proxy && new TunnelAgent(proxy);
    },
    askFor: (url) => {
      const proxy = proxyOf(url);
      if (!proxy) return fetch;
      // Plain HTTP needs no tunnel, and many proxies open none to ports of their own.
      const dispatcher = new undici.ProxyAgent({ uri: proxy.href, proxyTunnel: false });
      return (target, request) => undici.fetch(target, { ...request, dispatcher });
    },
  };
}

const isLoopback = (hostname: string): boolean =>
  /^(?:localhost|.+\.localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);

function readProxy(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  const shown = url ? `${url.protocol}//${url.host}` : 'what stands there';
  throw new UsageError(
    `HTTP_PROXY or HTTPS_PROXY: ${shown} is no proxy for this program: write it as http://proxy.example:3128`,
  );
}
