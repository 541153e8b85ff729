/** `REDIS_URL` cannot be used. The message says why and holds no password. */
export class RedisUrlError extends Error {
  override name = 'RedisUrlError';
}

export interface HostPort {
  host: string;
  port: number;
}

interface Credentials {
  username?: string;
  password?: string;
}

/** The address of the fleet's Redis. */
export type RedisTarget =
  | { kind: 'single'; at: HostPort; tls: boolean; db: number; credentials: Credentials }
  | { kind: 'cluster'; nodes: HostPort[]; tls: boolean; credentials: Credentials }
  | {
      kind: 'sentinel';
      sentinels: HostPort[];
      /** The name of the master among the sentinels. */
      name: string;
      db: number;
      credentials: Credentials;
      /** The sentinels' own credentials, if they have some. */
      sentinelCredentials: Credentials;
    };

export type SentinelTarget = Extract<RedisTarget, { kind: 'sentinel' }>;

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26379;
const SENTINEL_SCHEME = 'redis+sentinel://';

const refuse = (why: string): never => {
  throw new RedisUrlError(`REDIS_URL ${why}`);
};

/**
 * Reads `redis://[user:password@]host[:port][/db]`, `rediss://…` (TLS), a comma list of such URLs (a Cluster, of which
 * one node is enough: `redis://host,`), or `redis+sentinel://[user:password@]host[:port],…/name[/db]`
 * (`?sentinelPassword=…` if the sentinels require one). Throws `RedisUrlError`.
 */
export function parseRedisUrl(text: string): RedisTarget {
  const url = text.trim();
  if (url.startsWith(SENTINEL_SCHEME)) return parseSentinel(url.slice(SENTINEL_SCHEME.length));
  const [first, ...others] = url.split(',').map((part) => part.trim());
  if (first === undefined || first === '') return refuse('is empty');
  return others.length === 0 ? parseSingle(first) : parseCluster(first, others);
}

function parseSingle(text: string): RedisTarget {
  const { url, tls } = parseServer(text);
  return {
    kind: 'single',
    at: hostPort(url, REDIS_PORT),
    tls,
    db: parseDb(url.pathname.slice(1)),
    credentials: credentialsOf(url),
  };
}

/** The first server's scheme and credentials hold for all servers, so the others may be bare `host:port`. */
function parseCluster(first: string, others: string[]): RedisTarget {
  const { url, tls } = parseServer(first);
  const scheme = `${url.protocol}//`;
  const urls = others
    .filter((other) => other !== '')
    .map((other) => parseServer(other.includes('://') ? other : `${scheme}${other}`));
  if (urls.some((other) => other.tls !== tls)) return refuse('mixes redis:// and rediss://');
  const all = [url, ...urls.map((other) => other.url)];
  if (all.some(({ pathname }) => parseDb(pathname.slice(1)) !== 0))
    return refuse('names a database, but a Redis Cluster has only database 0');
  return {
    kind: 'cluster',
    nodes: all.map((node) => hostPort(node, REDIS_PORT)),
    tls,
    credentials: credentialsOf(url),
  };
}

function parseSentinel(rest: string): RedisTarget {
  const end = rest.indexOf('/');
  const authority = end < 0 ? rest : rest.slice(0, end);
  const at = authority.lastIndexOf('@');
  const user = authority.slice(0, at + 1);
  const hosts = authority.slice(at + 1).split(',');
  // The path, the query and the credentials are read once, with the first host.
  const whole = parse(`redis://${user}${hosts[0]?.trim()}${end < 0 ? '' : rest.slice(end)}`);
  const [name, db = '', ...more] = whole.pathname.slice(1).split('/');
  if (name === undefined || name === '' || more.length > 0)
    return refuse('of Sentinel must end in the name of the master: redis+sentinel://host:26379/mymaster');
  const username = whole.searchParams.get('sentinelUsername');
  const password = whole.searchParams.get('sentinelPassword');
  return {
    kind: 'sentinel',
    sentinels: hosts.map((host) => hostPort(parse(`redis://${host.trim()}`), SENTINEL_PORT)),
    name: decode(name),
    db: parseDb(db),
    credentials: credentialsOf(whole),
    sentinelCredentials: { ...(username !== null && { username }), ...(password !== null && { password }) },
  };
}

/** The parts of a target that may appear in logs and errors. */
export function describeTarget(target: RedisTarget): string {
  const list = (hosts: HostPort[]) => hosts.map(({ host, port }) => `${host}:${port}`).join(', ');
  if (target.kind === 'single') return `Redis at ${list([target.at])}`;
  if (target.kind === 'cluster') return `Redis Cluster at ${list(target.nodes)}`;
  return `Redis "${target.name}" of the Sentinels at ${list(target.sentinels)}`;
}

function parseServer(text: string): { url: URL; tls: boolean } {
  if (!/^rediss?:\/\//.test(text))
    return refuse('must begin with redis://, rediss:// (TLS) or redis+sentinel://');
  const url = parse(text);
  if (url.search !== '') return refuse('has a query, which is only read for redis+sentinel://');
  return { url, tls: url.protocol === 'rediss:' };
}

function parse(text: string): URL {
  if (!URL.canParse(text)) return refuse('is not a URL: write it as redis://user:password@host:6379/0');
  return new URL(text);
}

function hostPort(url: URL, defaultPort: number): HostPort {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (host === '') return refuse('has no host');
  return { host: decode(host), port: url.port === '' ? defaultPort : Number(url.port) };
}

function credentialsOf(url: URL): Credentials {
  return {
    ...(url.username !== '' && { username: decode(url.username) }),
    ...(url.password !== '' && { password: decode(url.password) }),
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return refuse('has a broken percent escape');
  }
}

function parseDb(text: string): number {
  if (text === '') return 0;
  return /^\d{1,5}$/.test(text) ? Number(text) : refuse('must end in the number of a database, such as /0');
}
