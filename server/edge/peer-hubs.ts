import { networkInterfaces } from 'node:os';
import { z } from 'zod';
import type { Clock } from '../runtime/clock.ts';

/** How long another hub may take to say whether it is ready. */
const ANSWER_WITHIN_MS = 1_000;

/** A hub of version 0.1 does not say how long ago it heard of the store. It is ready for less than this without. */
const UNHEARD_MS = 3_000;
/** More is no answer of a hub. */
const MOST_BYTES = 4_096;

const answerSchema = z.object({ storeUnheardMs: z.number().nonnegative().catch(UNHEARD_MS) });

/**
 * How long ago the hub at this address, `host:port`, heard of the store, milliseconds; nothing where it is not ready or
 * does not answer. It never throws.
 */
export async function unheardOf(address: string, clock: Clock): Promise<number | undefined> {
  const abort = new AbortController();
  const cancel = clock.after(ANSWER_WITHIN_MS, () => abort.abort());
  try {
    const response = await fetch(`http://${address}/readyz`, { signal: abort.signal, redirect: 'error' });
    if (response.status !== 200) {
      await response.body?.cancel();
      return undefined;
    }
    return answerSchema.parse(JSON.parse(await firstBytes(response))).storeUnheardMs;
  } catch {
    return undefined;
  } finally {
    cancel();
  }
}

async function firstBytes(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    if (bytes > MOST_BYTES) break;
  }
  return Buffer.concat(chunks).toString();
}

/** Where other hubs reach one that listens here: of a wildcard, this machine's first outward address. */
export function reachableAt(host: string, port: number): string {
  const outward = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4');
  const named = (host === '0.0.0.0' || host === '::') && outward ? outward.address : host;
  return `${named.includes(':') ? `[${named}]` : named}:${port}`;
}
