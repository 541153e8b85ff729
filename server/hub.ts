import { randomBytes } from 'node:crypto';
import { AGENT_PATH, DASHBOARD_PATH } from '../shared/index.ts';
import { AgentGateway } from './agents/agent-gateway.ts';
import { DashboardGateway } from './dashboards/dashboard-gateway.ts';
import { Access, type TokenRules } from './edge/access.ts';
import { Admission, lateMsOf } from './edge/admission.ts';
import { Listener } from './edge/listener.ts';
import { reachableAt, unheardOf } from './edge/peer-hubs.ts';
import { ReaderBudget } from './edge/reader-budget.ts';
import { Refusals } from './edge/refusals.ts';
import { notServed, serves } from './edge/serves.ts';
import { sharedTokens } from './edge/tokens.ts';
import { refusesUpgrades } from './edge/upgrades.ts';
import type { HubGroup } from './edge/worker-group.ts';
import { Fleet } from './fleet/fleet.ts';
import { createHttpApp } from './http/app.ts';
import { HubMetrics } from './http/metrics/metrics.ts';
import { builtPage } from './http/page.ts';
import { NoView } from './picture/no-view.ts';
import { type Clock, systemClock } from './runtime/clock.ts';
import { type Log, logWith } from './runtime/log.ts';
import { openFileLimit } from './runtime/open-files.ts';
import { VERSION } from './runtime/version.ts';
import { type HubSettings, hubTimingOf, SettingsError } from './settings.ts';
import type { FleetStore, StoreRefusedError } from './store/fleet-store.ts';
import { MemoryFleet, MemoryStore } from './store/memory/memory-store.ts';
import { meteredStore } from './store/metered-store.ts';
import { RedisStore } from './store/redis/redis-store.ts';

/**
 * How long requests in flight may take after a stop. A hub is gone within 8 s of SIGTERM, and heartbeats are still to
 * be flushed and sockets closed in that time.
 */
const REQUESTS_WITHIN_MS = 5_000;

/** A running hub. */
export interface Hub {
  readonly hubId: string;
  /** `http://host:port`, as reachable from this machine. */
  readonly url: string;
  readonly port: number;
  readonly fleet: Fleet;
  readonly agents: AgentGateway;
  readonly dashboards: DashboardGateway;
  readonly metrics: HubMetrics;
  /**
   * Resolves when this hub must not use the store any more: it holds another fleet's keys. The hub is to be stopped.
   */
  readonly refused: Promise<StoreRefusedError>;
  /** Applies the tokens of these settings; open sockets stay. */
  reload(settings: HubSettings): void;
  /** The account of unread bytes. */
  readonly readers: ReaderBudget;
  /**
   * Closes agents with 1012, writes what waits, closes dashboards. The nodes keep their status. Calling it twice is
   * harmless.
   */
  stop(): Promise<void>;
}

export interface HubParts {
  log: Log;
  clock?: Clock;
  /** A store instead of the one in the settings, for tests. */
  store?: FleetStore;
  /** How many files this process may open, for tests; default: the system's limit. */
  openFiles?: number;
  /** The group of hubs on one port that this hub is a worker of. */
  group?: HubGroup;
}

/**
 * Starts a hub: opens the store, loads the view, then listens. Throws `StoreAwayError` and `StoreRefusedError` of the
 * store, and `SettingsError` if the port is taken.
 */
export async function startHub(settings: HubSettings, parts: HubParts): Promise<Hub> {
  const { clock = systemClock, group } = parts;
  const hubId = `hub-${randomBytes(4).toString('hex')}`;
  const log = logWith(parts.log, { hubId });
  const metrics = new HubMetrics(clock);
  let refuse: (error: StoreRefusedError) => void = () => {};
  const refused = new Promise<StoreRefusedError>((resolve) => {
    refuse = resolve;
  });
  const store = meteredStore(
    parts.store ??
      createStore(settings, clock, log, { badData: (kind) => metrics.foundBad(kind), refused: refuse }),
    metrics,
  );
  await openStore(store);
  const timing = hubTimingOf(settings);
  const address = reachableAt(settings.HOST, settings.PORT);
  const role = settings.SERVE;
  const view = serves(role, 'readers') ? {} : { view: new NoView(clock, store.shards) };
  const fleet = new Fleet({
    ...{ hubId, address, version: VERSION, timing, store, clock, log },
    ...view,
    agentsNeedTokens: settings.AGENT_TOKENS.length > 0,
    ...paceOf(settings),
    maxNodes: settings.MAX_NODES,
  });
  warnOfSharedTokens(settings, log);
  if (settings.TRUST_PROXY === true) {
    log.warn(
      {},
      'TRUST_PROXY=true believes every client in a private network; name the proxies instead: TRUST_PROXY=10.0.0.5',
    );
  }
  const listener = new Listener({
    ...{ clock, log },
    openFiles: parts.openFiles ?? openFileLimit(),
    behindProxy: settings.TRUST_PROXY !== false,
  });
  const { connections } = listener;
  const refusals = new Refusals(clock, log);
  const access = new Access(
    {
      ...tokensOf(settings),
      allowedOrigins: settings.ALLOWED_ORIGINS,
      trustProxy: settings.TRUST_PROXY,
    },
    { clock, refusals, known: (socket) => connections.known(socket) },
  );
  const admission = new Admission(
    {
      perSecond: settings.ADMIT_PER_SECOND,
      handshakes: settings.MAX_HANDSHAKES,
      lateMs: lateMsOf(timing.timeoutMs),
    },
    clock.now(),
  );
  const readers = new ReaderBudget({ clock, log, relieve: () => fleet.view.lists.drop() });
  const http = createHttpApp({
    listener,
    fleet,
    access,
    admission,
    refusals,
    clock,
    log,
    metrics,
    dialects: dialectsOf(settings, log),
    page: builtPage(),
    docs: settings.DOCS,
    readers,
    role,
    ...(group && { group }),
  });
  const { app } = http;
  const agents = new AgentGateway({
    fleet,
    clock,
    log,
    access,
    admission,
    refusals,
    unheardOf: (other) => unheardOf(other, clock),
  });
  const dashboards = new DashboardGateway({
    fleet,
    access,
    known: (socket) => connections.known(socket),
    clock,
    log,
    readers,
  });
  metrics.watch({
    fleet,
    agents,
    dashboards,
    connections,
    refusals,
    readers,
    streams: http.streams,
    ...(group && { group }),
  });
  listener.route({
    [AGENT_PATH]: serves(role, 'agents')
      ? (request, socket, head) => agents.upgrade(request, socket, head)
      : refusesUpgrades(notServed(role)),
    [DASHBOARD_PATH]: serves(role, 'readers')
      ? (request, socket, head) => dashboards.upgrade(request, socket, head)
      : refusesUpgrades(notServed(role)),
  });

  const reload = (changed: HubSettings): void => access.replaceTokens(tokensOf(changed));
  let stopping: Promise<void> | undefined;
  const stopAll = async (): Promise<void> => {
    // Fastify and Socket.IO wait for upgraded sockets, so these are closed first; new ones are refused meanwhile.
    await Promise.all([agents.drain(), http.drain(REQUESTS_WITHIN_MS)]);
    await fleet.stop();
    await dashboards.close();
    refusals.close();
    await listener.close();
    await app.close();
    readers.close();
    await store.close();
  };
  const stop = (): Promise<void> => {
    stopping ??= stopAll();
    return stopping;
  };

  let port: number;
  try {
    await fleet.start();
    await app.ready();
    port = (await listener.listen({ host: settings.HOST, port: settings.PORT })).port;
  } catch (error) {
    await stop();
    throw portError(error, settings);
  }
  const url = `http://${/:/.test(settings.HOST) ? `[${settings.HOST}]` : settings.HOST}:${port}`;
  return { hubId, url, port, fleet, agents, dashboards, metrics, readers, refused, reload, stop };
}

const tokensOf = (settings: HubSettings): TokenRules => ({
  agentTokens: settings.AGENT_TOKENS,
  dashboardTokens: settings.DASHBOARD_TOKENS,
  adminTokens: settings.ADMIN_TOKENS,
});

/** The limit that lengthens the interval, if one is set. */
function paceOf({ MAX_HEARTBEATS_PER_SECOND: perSecond, HEARTBEAT_INTERVAL_MAX: longestMs }: HubSettings) {
  return perSecond === undefined ? {} : { pace: { perSecond, longestMs } };
}

function createStore(
  settings: HubSettings,
  clock: Clock,
  log: Log,
  callbacks: { badData: (kind: string) => void; refused: (error: StoreRefusedError) => void },
): FleetStore {
  if (settings.REDIS_URL === undefined) return new MemoryStore(new MemoryFleet(clock));
  const { REDIS_URL: url, KEY_PREFIX: keyPrefix, SHARDS: shards } = settings;
  return new RedisStore({ url, keyPrefix, shards, clock, logger: log, ...callbacks });
}

/** The other protocols that this hub accepts, with a warning for each that needs no token. */
function dialectsOf(settings: HubSettings, log: Log) {
  const { DIALECTS: enabled, OPEN_DIALECTS: open, DIALECT_TIMING: timing } = settings;
  for (const [dialect, networks] of open) {
    if (!enabled.includes(dialect)) continue;
    log.warn(
      { dialect, from: String(networks) },
      'OPEN_DIALECTS: this dialect needs no token: any client in that network can register, and read all nodes of the fleet where it lists them (connect, fleet-manager)',
    );
  }
  return { enabled, open, timing };
}

/** A token in several lists gives its holder the rights of every list. */
function warnOfSharedTokens(settings: HubSettings, log: Log): void {
  const { AGENT_TOKENS, DASHBOARD_TOKENS, ADMIN_TOKENS } = settings;
  for (const lists of sharedTokens({ AGENT_TOKENS, DASHBOARD_TOKENS, ADMIN_TOKENS }))
    log.warn({ lists }, 'Two lists of tokens share one: it may do what both allow');
}

async function openStore(store: FleetStore): Promise<void> {
  try {
    await store.open();
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** A clear error for a taken port, the commonest trouble of a start. */
function portError(error: unknown, { HOST, PORT }: HubSettings): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE')
    return new SettingsError(`${PORT} is in use; try PORT=${PORT < 65_535 ? PORT + 1 : 8080}`);
  if (code === 'EACCES')
    return new SettingsError(`PORT: ${PORT} needs more rights than this user has; try PORT=8080`);
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EINVAL')
    return new SettingsError(`HOST: ${HOST} is no address of this machine`);
  return error;
}
