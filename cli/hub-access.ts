import { readFileSync } from 'node:fs';
import { DASHBOARD_PATH, withoutSecret, withScheme } from '../shared/index.ts';
import type { Environment } from './secrets.ts';
import { UsageError } from './usage-error.ts';

const DEFAULT_HUB = 'http://127.0.0.1:8080';

/** The hub that a command asks, and what it shows there. */
export interface HubAccess {
  /** `http(s)://host:port`, with a path where a proxy puts the hub below one. */
  hubUrl: string;
  token?: string;
}

/**
 * `--hub` or ROLLCALL_URL, and ROLLCALL_TOKEN or ROLLCALL_TOKEN_FILE; DASHBOARD_TOKEN where neither is set. The same
 * for every command that reads a fleet. Throws `UsageError`.
 */
export function readHubAccess(hub: string | undefined, env: Environment): HubAccess {
  const token = readHubToken(env);
  return {
    hubUrl: readHubUrl(hub ?? (env.ROLLCALL_URL || DEFAULT_HUB)),
    ...(token !== undefined && { token }),
  };
}

/** Throws `UsageError`, which never quotes a token. */
export function readHubToken(env: Environment): string | undefined {
  const { ROLLCALL_TOKEN: token, ROLLCALL_TOKEN_FILE: file } = env;
  if (token && file) throw new UsageError('ROLLCALL_TOKEN_FILE: ROLLCALL_TOKEN is set too; set one of them');
  const from = file ? 'ROLLCALL_TOKEN_FILE' : token ? 'ROLLCALL_TOKEN' : 'DASHBOARD_TOKEN';
  const text = file ? readTokenFile(file) : token || env.DASHBOARD_TOKEN || undefined;
  if (text !== undefined && !/^[\x21-\x7e]+$/.test(text))
    throw new UsageError(`${from} must hold one token, of printable ASCII without spaces`);
  return text;
}

function readTokenFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new UsageError(
      `ROLLCALL_TOKEN_FILE: cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** The hub's HTTP address. An agent's address, `ws://host/agent`, is understood as its hub's. */
export function readHubUrl(text: string): string {
  const complete = withScheme(text);
  const url = URL.canParse(complete) ? new URL(complete) : undefined;
  const scheme = url && schemes.get(url.protocol);
  if (!url || !scheme || url.hostname === '') {
    throw new UsageError(
      `${JSON.stringify(withoutSecret(text))} is not the address of a hub: write it as ${DEFAULT_HUB}`,
    );
  }
  if (url.username || url.password) {
    throw new UsageError('a token does not belong in the address of a hub: set ROLLCALL_TOKEN');
  }
  const path = url.pathname.replace(/\/+$/, '').replace(/\/agent$/, '');
  return `${scheme}//${url.host}${path.endsWith(DASHBOARD_PATH) ? path.slice(0, -DASHBOARD_PATH.length) : path}`;
}

const schemes: ReadonlyMap<string, string> = new Map([
  ['http:', 'http:'],
  ['https:', 'https:'],
  ['ws:', 'http:'],
  ['wss:', 'https:'],
]);
