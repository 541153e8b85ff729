import { type Hub, startHub } from '../../server/hub.ts';
import type { Clock } from '../../server/runtime/clock.ts';
import { systemClock } from '../../server/runtime/clock.ts';
import type { Log } from '../../server/runtime/log.ts';
import { readHubSettings } from '../../server/settings.ts';
import type { FleetStore } from '../../server/store/fleet-store.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import type { FleetEvent, FleetNode, NodeStats } from '../../shared/index.ts';
import { AgentClient } from './agent-client.ts';
import { FakeClock } from './fake-clock.ts';
import { RawSocket } from './raw-socket.ts';
import { until } from './until.ts';

export interface LoggedLine {
  level: keyof Log;
  fields: Record<string, unknown>;
  message: string;
}

export interface TestHubOptions {
  /** By their names in the environment. */
  settings?: Readonly<Record<string, string>>;
  clock?: Clock;
  /** What the hub's store keeps, to be looked at after the hub's end. */
  memory?: MemoryFleet;
  /** Instead of a store over `memory`. */
  store?: FleetStore;
}

/** A whole hub on a free port, over a memory store, and whoever a test connects to it. */
export class TestHub {
  readonly log: LoggedLine[];
  readonly memory: MemoryFleet;
  readonly #hub: Hub;
  readonly #clock: Clock;
  readonly #clients: Array<{ destroy(): void }> = [];
  #stopped: Promise<void> | undefined;

  private constructor(hub: Hub, parts: { log: LoggedLine[]; memory: MemoryFleet; clock: Clock }) {
    this.#hub = hub;
    this.log = parts.log;
    this.memory = parts.memory;
    this.#clock = parts.clock;
  }

  static async start({
    settings = {},
    clock = systemClock,
    memory = new MemoryFleet(clock, 4),
    store = new MemoryStore(memory),
  }: TestHubOptions = {}): Promise<TestHub> {
    const log: LoggedLine[] = [];
    const write = (level: keyof Log) => (fields: object, message: string) =>
      void log.push({ level, fields: { ...fields }, message });
    const hub = await startHub(
      readHubSettings({ PORT: '0', ...settings }, () => ''),
      {
        log: { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
        clock,
        store,
      },
    );
    return new TestHub(hub, { log, memory, clock });
  }

  get hub(): Hub {
    return this.#hub;
  }

  get port(): number {
    return this.#hub.port;
  }

  get url(): string {
    return this.#hub.url;
  }

  get agentUrl(): string {
    return `${this.url.replace('http', 'ws')}/agent`;
  }

  /** An agent's socket, open and not registered. */
  async connect(headers: Record<string, string> = {}): Promise<AgentClient> {
    const client = await AgentClient.open(this.agentUrl, headers);
    this.#clients.push(client);
    return client;
  }

  /** A registered agent. */
  async agent(
    node: Record<string, unknown> & ({ nodeId: string } | { hostname: string }),
    extra: Record<string, unknown> = {},
  ): Promise<AgentClient> {
    const client = await this.connect();
    await client.register(node, extra);
    return client;
  }

  /** A network socket on which the test writes bytes by hand. */
  async rawSocket(): Promise<RawSocket> {
    const socket = await RawSocket.connect(this.port);
    this.#clients.push(socket);
    return socket;
  }

  /** Bytes by hand, after a proper upgrade to `/agent`. */
  async rawAgent(): Promise<RawSocket> {
    const socket = await this.rawSocket();
    await socket.upgrade('/agent');
    return socket;
  }

  node(id: string): FleetNode | undefined {
    return this.#hub.fleet.view.get(id)?.node;
  }

  /** The node, once it looks as told. */
  nodeThat(id: string, looks: (node: FleetNode) => boolean): Promise<FleetNode> {
    return until(`the node ${id} looks as expected`, () => {
      const node = this.node(id);
      return node && looks(node) ? node : undefined;
    });
  }

  /** The node as it is stored, also after the hub's end. */
  async stored(id: string): Promise<FleetNode | undefined> {
    const stored = await (await this.#open(id)).read(id);
    return stored.kind === 'node' ? stored.record.node : undefined;
  }

  /** The last stats as they are stored, also after the hub's end. */
  async storedStats({ id, heartbeat }: FleetNode): Promise<NodeStats | undefined> {
    const asked = [{ id, timeoutMs: heartbeat.timeoutMs }];
    return (await (await this.#open(id)).stats(asked)).get(id)?.stats;
  }

  async #open(id: string): Promise<MemoryStore> {
    const store = new MemoryStore(this.memory);
    await store.attach(store.shardOf(id));
    return store;
  }

  /** Every event of a node, oldest first. */
  async events(id: string): Promise<FleetEvent[]> {
    return (await new MemoryStore(this.memory).history({ id, limit: 1_000 })).reverse();
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, init);
  }

  logged(message: string | RegExp): LoggedLine[] {
    return this.log.filter((line) =>
      typeof message === 'string' ? line.message === message : message.test(line.message),
    );
  }

  /** Stops the hub; under a fake clock the time that it takes passes at once. Calling it twice is harmless. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    let stopped = false;
    const stopping = this.#hub.stop().finally(() => {
      stopped = true;
    });
    const clock = this.#clock;
    while (!stopped && clock instanceof FakeClock) {
      await clock.advance(50);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await stopping;
  }

  /** The end of a test: hub and clients. */
  async close(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.destroy();
    await this.stop();
  }
}

/** The hubs of a test file; `close` belongs into its `afterEach`. */
export class TestHubs {
  readonly #started: TestHub[] = [];

  async start(options?: TestHubOptions): Promise<TestHub> {
    const hub = await TestHub.start(options);
    this.#started.push(hub);
    return hub;
  }

  async close(): Promise<void> {
    for (const hub of this.#started.splice(0)) await hub.close();
  }
}
