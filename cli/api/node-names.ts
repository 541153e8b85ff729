import { idSchema } from '../../shared/index.ts';
import { ApiClient, type Io } from './api-client.ts';
import { selectNodes } from './select.ts';

/** With the start of this process a shell waits for about a second. */
const WITHIN_MS = 700;

/**
 * What nodes are called that begin with a text, for a shell to complete: host names, else ids. None where the hub does not
 * give the whole list in time: of a part, one would be completed as if it were the only one. Throws `UsageError`.
 */
export async function nodeNames(
  hub: string | undefined,
  env: Io['env'],
  beginning: string,
  withinMs = WITHIN_MS,
): Promise<string[]> {
  if (beginning !== '' && !isPlain(beginning)) return [];
  const api = new ApiClient(hub, env, AbortSignal.timeout(withinMs));
  const filter = beginning === '' ? {} : { q: beginning };
  const rows = await selectNodes(api, filter, {}, ['hostname']).catch(() => []);
  const names = rows.map(({ id, hostname }) => (hostname !== undefined && isPlain(hostname) ? hostname : id));
  const wanted = beginning.toLowerCase();
  return [...new Set(names)].filter((name) => isPlain(name) && name.toLowerCase().startsWith(wanted));
}

/** What a shell takes as one word, and does not run: bash expands what is completed, and a colon separates there. */
const isPlain = (text: string): boolean => idSchema.safeParse(text).success && !text.includes(':');
