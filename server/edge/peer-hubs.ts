import { networkInterfaces } from 'node:os';
import { z } from 'zod';
import type { Clock } from '../runtime/clock.ts';

/** How long another hub may take to say whether it is ready. */
const ANSWER_WITHIN_MS = 1_000;

/**
 * A hub of version 0.1 does not report the age of its last answer from the store. Its readiness implies less than this.
 */
const UNHEARD_MS = 3_000;
/** A longer answer is not from a hub. */
const MOST_BYTES = 4_096;

const answerSchema = z.object({ storeUnheardMs: z.number().nonnegative().catch(UNHEARD_MS) });

/**
 * The age of the last answer from the store at the hub of this address, `host:port`, in milliseconds; undefined if that
 * hub is not ready or does not respond. It never throws.
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

/**
 * The address at which other hubs reach a hub that listens here: of a wildcard, this machine's first outward address.
 */
export function reachableAt(host: string, port: number): string {
  const outward = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4');
  const named = (host === '0.0.0.0' || host === '::') && outward ? outward.address : host;
  return `${named.includes(':') ? `[${named}]` : named}:${port}`;
}
