import { networkInterfaces } from 'node:os';
import type { Clock } from './clock.ts';

/** How long another hub may take to say whether it is ready. */
const ANSWER_WITHIN_MS = 1_000;

/** Whether the hub at this address, `host:port`, is ready. It never throws. */
export async function isReady(address: string, clock: Clock): Promise<boolean> {
  const abort = new AbortController();
  const cancel = clock.after(ANSWER_WITHIN_MS, () => abort.abort());
  try {
    const response = await fetch(`http://${address}/readyz`, { signal: abort.signal, redirect: 'error' });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  } finally {
    cancel();
  }
}

/** Where other hubs reach one that listens here: of a wildcard, this machine's first outward address. */
export function reachableAt(host: string, port: number): string {
  const outward = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4');
  const named = (host === '0.0.0.0' || host === '::') && outward ? outward.address : host;
  return `${named.includes(':') ? `[${named}]` : named}:${port}`;
}
