import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { io, type Socket } from 'socket.io-client';
import { DashboardGateway, type DashboardGatewayParts } from '../../server/dashboards/dashboard-gateway.ts';
import { Access, type AccessRules } from '../../server/edge/access.ts';
import { ReaderBudget } from '../../server/edge/reader-budget.ts';
import { Refusals } from '../../server/edge/refusals.ts';
import { routeUpgrades } from '../../server/edge/upgrades.ts';
import type { Fleet } from '../../server/fleet/fleet.ts';
import { type Clock, systemClock } from '../../server/runtime/clock.ts';
import { silentLog } from '../../server/runtime/log.ts';
import type { FleetStore } from '../../server/store/fleet-store.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import {
  changesSchema,
  DASHBOARD_PATH,
  type DashboardEvent,
  type FleetNode,
  type NodeSummary,
  snapshotSchema,
  subscribedSchema,
} from '../../shared/index.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { soon } from '../support/soon.ts';
import { registerAgent, registerMessage, type TestAgent, testFleet } from '../support/test-fleet.ts';

export interface TestHub {
  fleet: Fleet;
  store: FaultyStore;
  gateway: DashboardGateway;
  url: string;
  register(node: Record<string, unknown> & { nodeId: string }): Promise<TestAgent>;
  /** Network sockets that its server holds. */
  openSockets(): Promise<number>;
  close(): Promise<void>;
}

const noRules: AccessRules = {
  agentTokens: [],
  dashboardTokens: [],
  allowedOrigins: [],
  trustProxy: false,
};

/** A hub for dashboards: a real server, gateway and fleet over a memory store, where no other is given. Agents are registered without sockets. */
export async function startTestHub({
  clock = systemClock,
  memory = new MemoryFleet(clock, 4),
  stored = new MemoryStore(memory),
  hubId = 'hub-a',
  rules = {},
  maxDashboards,
  maxUnauthenticated,
  pings,
  port = 0,
  away = false,
}: {
  memory?: MemoryFleet;
  /** Another store than one over `memory`, opened. */
  stored?: FleetStore;
  hubId?: string;
  rules?: Partial<AccessRules>;
  maxDashboards?: number;
  maxUnauthenticated?: number;
  pings?: DashboardGatewayParts['pings'];
  port?: number;
  clock?: Clock;
  /** The store is out of reach from the start. */
  away?: boolean;
} = {}): Promise<TestHub> {
  const store = new FaultyStore(stored);
  if (away) store.fault = 'away';
  const fleet = testFleet(store, clock, hubId);
  const readers = new ReaderBudget({ clock, log: silentLog });
  const refusals = new Refusals(systemClock, silentLog);
  const access = new Access({ ...noRules, ...rules }, { clock: systemClock, refusals, known: () => {} });
  const gateway = new DashboardGateway({
    fleet,
    clock,
    log: silentLog,
    readers,
    access,
    ...(maxDashboards !== undefined && { maxDashboards }),
    ...(maxUnauthenticated !== undefined && { maxUnauthenticated }),
    ...(pings && { pings }),
  });
  const server = createServer((_request, response) => void response.writeHead(404).end());
  routeUpgrades(server, {
    [DASHBOARD_PATH]: (request, socket, head) => gateway.upgrade(request, socket, head),
  });
  await fleet.start();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  let closing: Promise<void> | undefined;
  const close = async () => {
    await fleet.stop();
    await gateway.close();
    readers.close();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
    await store.close();
  };
  return {
    fleet,
    store,
    gateway,
    url: `http://127.0.0.1:${portOf(server.address())}`,
    register: (node) => registerAgent(fleet, registerMessage(node)),
    openSockets: promisify(server.getConnections.bind(server)),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new TypeError('not listening');
  return address.port;
}

export type Logged = { event: string; payload: unknown };

/** A dashboard that writes down everything it hears, acks among it, in order. */
export class TestDashboard {
  readonly socket: Socket;
  readonly log: Logged[] = [];

  constructor(
    url: string,
    options: { auth?: Record<string, unknown>; extraHeaders?: Record<string, string> } = {},
  ) {
    this.socket = io(url, { transports: ['websocket'], forceNew: true, reconnection: false, ...options });
    this.socket.onAny((event: string, payload: unknown) => this.log.push({ event, payload }));
    this.socket.on('disconnect', (why) => this.log.push({ event: 'disconnect', payload: why }));
    this.socket.on('connect_error', (error) => this.log.push({ event: 'connect_error', payload: error }));
  }

  async connected(): Promise<this> {
    await soon(() => this.socket.connected);
    return this;
  }

  /** Asks, and notes the answer where it came among the rest. */
  ask(event: string, ...payload: unknown[]): Promise<unknown> {
    return new Promise((resolve) => {
      this.socket.emit(event, ...payload, (answer: unknown) => {
        this.log.push({ event: `${event} answered`, payload: answer });
        resolve(answer);
      });
    });
  }

  async subscribe(request: Record<string, unknown> = {}) {
    return subscribedSchema.parse(await this.ask('subscribe', request));
  }

  /** Subscribes and waits for the whole picture. */
  async follow(request: Record<string, unknown> = {}) {
    const answer = await this.subscribe(request);
    if (!answer.resumed) await soon(() => this.remaining === 0);
    return answer;
  }

  heard(event: string): unknown[] {
    return this.log.filter((entry) => entry.event === event).map(({ payload }) => payload);
  }

  /** Waits for the first (or nth) event of a name. */
  async hears(event: string, count = 1): Promise<unknown> {
    await soon(() => this.heard(event).length >= count);
    return this.heard(event)[count - 1];
  }

  get pages() {
    return this.heard('snapshot').map((page) => snapshotSchema.parse(page));
  }

  get remaining(): number | undefined {
    return this.pages.at(-1)?.remaining;
  }

  /** The nodes of all pages, by id. */
  get picture(): Map<string, FleetNode | NodeSummary> {
    return new Map(this.pages.flatMap(({ nodes }) => nodes).map((node) => [node.id, node]));
  }

  get batches() {
    return this.heard('changes').map((changes) => changesSchema.parse(changes));
  }

  get events(): DashboardEvent[] {
    return this.batches.flatMap(({ events }) => events);
  }

  get cursor(): string {
    const cursor = this.batches.at(-1)?.cursor;
    if (cursor === undefined) throw new Error('no changes came yet');
    return cursor;
  }

  async hearsEvents(count: number): Promise<DashboardEvent[]> {
    await soon(() => this.events.length >= count);
    return this.events;
  }

  close(): void {
    this.socket.disconnect();
  }
}

/** Everything that a test opened, to be closed after it. */
export class Opened {
  readonly #closers: Array<() => unknown> = [];

  async hub(options?: Parameters<typeof startTestHub>[0]): Promise<TestHub> {
    const hub = await startTestHub(options);
    this.#closers.push(() => hub.close());
    return hub;
  }

  async dashboard(
    { url }: TestHub,
    options?: ConstructorParameters<typeof TestDashboard>[1],
  ): Promise<TestDashboard> {
    return this.attempt(url, options).connected();
  }

  /** A dashboard that may be refused. */
  attempt(url: string, options?: ConstructorParameters<typeof TestDashboard>[1]): TestDashboard {
    const dashboard = new TestDashboard(url, options);
    this.#closers.push(() => dashboard.close());
    return dashboard;
  }

  onClose(close: () => unknown): void {
    this.#closers.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
}

/** The socket of this agent closed without a goodbye. */
export function lose(hub: TestHub, agent: TestAgent): Promise<void> {
  return hub.fleet.closed(agent.session, { goodbye: false, code: 1006 });
}
