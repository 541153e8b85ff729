import type { Duplex } from 'node:stream';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { z } from 'zod';
import { DashboardGateway } from '../../server/dashboards/dashboard-gateway.ts';
import { Access, type AccessRules } from '../../server/edge/access.ts';
import { DIALECT_TIMING, DIALECTS, type DialectName, parseOpenDialects } from '../../server/edge/dialects.ts';
import { Listener } from '../../server/edge/listener.ts';
import { ReaderBudget } from '../../server/edge/reader-budget.ts';
import { Refusals } from '../../server/edge/refusals.ts';
import type { Role } from '../../server/edge/serves.ts';
import type { Fleet } from '../../server/fleet/fleet.ts';
import { createHttpApp, type HttpFace } from '../../server/http/app.ts';
import { HubMetrics } from '../../server/http/metrics/metrics.ts';
import { type Clock, systemClock } from '../../server/runtime/clock.ts';
import { silentLog } from '../../server/runtime/log.ts';
import type { FleetStore } from '../../server/store/fleet-store.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import { meteredStore } from '../../server/store/metered-store.ts';
import { DASHBOARD_PATH, type HeartbeatTiming } from '../../shared/index.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { testFleet } from '../support/test-fleet.ts';

interface Answered {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  body: any;
}

export interface TestApi {
  fleet: Fleet;
  face: HttpFace;
  metrics: HubMetrics;
  store: FaultyStore;
  memory: MemoryFleet;
  url: string;
  /** A request; its answer is checked against the OpenAPI document. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answered>;
  close(): Promise<void>;
}

export interface TestApiOptions {
  memory?: MemoryFleet;
  /** Another store than that of memory. It is closed with the API. */
  stored?: FleetStore;
  /** Of dialects, where it is not that of their protocols. */
  dialectTiming?: HeartbeatTiming;
  hubId?: string;
  rules?: Partial<AccessRules>;
  dialects?: readonly DialectName[];
  open?: readonly string[];
  timing?: { intervalMs: number; timeoutMs: number };
  clock?: Clock;
  role?: Role;
  /** Else any free one. */
  port?: number;
  /** Whether it serves dashboards too. */
  dashboards?: boolean;
  readers?: ReaderBudget;
}

const noRules: AccessRules = { agentTokens: [], dashboardTokens: [], allowedOrigins: [], trustProxy: false };

/** The HTTP face of a hub over a memory store, on a real port. */
export async function startApi(options: TestApiOptions = {}): Promise<TestApi> {
  const { hubId = 'hub-a', rules = {}, dialects = DIALECTS, open = [], clock = systemClock } = options;
  const memory = options.memory ?? new MemoryFleet(clock, 4);
  const store = new FaultyStore(options.stored ?? new MemoryStore(memory));
  const metrics = new HubMetrics(clock);
  const fleet = testFleet(meteredStore(store, metrics), clock, hubId, options.timing);
  const readers = options.readers ?? new ReaderBudget({ clock, log: silentLog });
  const listener = new Listener({ clock, log: silentLog, openFiles: undefined, behindProxy: false });
  const refusals = new Refusals(clock, silentLog);
  const known = (socket: Duplex) => listener.connections.known(socket);
  const access = new Access({ ...noRules, ...rules }, { clock, refusals, known });
  const gateway = new DashboardGateway({ fleet, clock, log: silentLog, readers, access });
  const face = createHttpApp({
    listener,
    fleet,
    access,
    refusals,
    clock,
    log: silentLog,
    readers,
    metrics,
    ...(options.role && { role: options.role }),
    dialects: { enabled: dialects, open: parseOpenDialects(open), timing: timingOf(options.dialectTiming) },
  });
  metrics.watch({
    fleet,
    agents: { size: 0 },
    dashboards: { size: 0, unreadBytes: 0 },
    streams: face.streams,
    readers,
  });
  await fleet.start();
  if (options.dashboards) {
    listener.route({
      [DASHBOARD_PATH]: (request, socket, head) => gateway.upgrade(request, socket, head),
    });
  }
  await face.app.ready();
  const { port } = await listener.listen({ host: '127.0.0.1', port: options.port ?? 0 });
  const url = `http://127.0.0.1:${port}`;
  const check = responseChecker(face.app.swagger());
  return {
    fleet,
    face,
    metrics,
    store,
    memory,
    url,
    call: async (method, path, body, headers = {}) => {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      const type = response.headers.get('content-type') ?? '';
      const parsed: unknown = /json/.test(type) ? JSON.parse(text) : undefined;
      check(method, path, response.status, type, parsed ?? text);
      return { status: response.status, headers: response.headers, text, body: parsed };
    },
    close: async () => {
      store.fault = 'none';
      await face.drain(1_000);
      await fleet.stop();
      await gateway.close();
      await listener.close();
      await face.app.close();
      readers.close();
      await options.stored?.close();
    },
  };
}

function timingOf(one: HeartbeatTiming | undefined): Record<DialectName, HeartbeatTiming> {
  return one ? { connect: one, 'gpu-node': one, 'fleet-manager': one, 'game-host': one } : DIALECT_TIMING;
}

const documentSchema = z.looseObject({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.looseObject({
        responses: z.record(
          z.string(),
          z.looseObject({
            content: z.record(z.string(), z.looseObject({ schema: z.record(z.string(), z.unknown()) })),
          }),
        ),
      }),
    ),
  ),
});

/** How many answers of this test run were checked against the document. */
export const checked = { answers: 0 };

/** Checks an answer against the OpenAPI document: a described path must describe the status, type and body. */
function responseChecker(document: unknown) {
  const { paths } = documentSchema.parse(document);
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const patterns = Object.entries(paths).map(([path, operations]) => ({
    pattern: new RegExp(`^${path.replaceAll(/[.]/g, '\\.').replaceAll(/\{[^}]+\}/g, '[^/]+')}$`),
    path,
    operations,
  }));
  // Literal paths before those with parameters, as the router has it.
  patterns.sort((a, b) => Number(a.path.includes('{')) - Number(b.path.includes('{')));
  return (method: string, url: string, status: number, type: string, body: unknown): void => {
    const path = url.split('?', 1)[0] ?? '';
    const operation = patterns.find(({ pattern }) => pattern.test(path))?.operations[method.toLowerCase()];
    if (!operation) return;
    const response = operation.responses[String(status)];
    if (!response) throw new Error(`${method} ${path} answered ${status}, which its document does not tell`);
    const schema = response.content[type.split(';', 1)[0] ?? '']?.schema;
    if (!schema)
      throw new Error(`${method} ${path} answered ${status} as ${type}, which its document does not tell`);
    const validate = ajv.compile(schema);
    if (!validate(body)) {
      throw new Error(
        `${method} ${path} ${status}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(body)}`,
      );
    }
    checked.answers += 1;
  };
}
