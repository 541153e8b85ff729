import type { FastifyInstance } from 'fastify';
import { type Aggregator, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { z } from 'zod';
import { STATUSES } from '../../../shared/index.ts';
import type { Refusals } from '../../edge/refusals.ts';
import type { HubGroup } from '../../edge/worker-group.ts';
import type { Fleet } from '../../fleet/fleet.ts';
import { type Clock, msOf } from '../../runtime/clock.ts';
import type { Change } from '../../store/fleet-store.ts';
import type { StoreObserver, StoreVerb } from '../../store/metered-store.ts';
import { describe } from '../operation.ts';
import { type Figures, figuresOf } from './group-metrics.ts';

/** The values that are read at each scrape. */
export interface MeteredHub {
  fleet: Fleet;
  agents: {
    size: number;
    admission?: {
      handshakes: number;
      admitted: Readonly<Record<string, number>>;
      refused: Readonly<Record<string, number>>;
    };
  };
  dashboards: { size: number; unreadBytes: number };
  refusals?: Refusals;
  connections?: { strangers: number; ended: Readonly<Record<string, number>> };
  streams?: { size: number; unreadBytes: number; resyncs: number };
  readers?: {
    unreadBytes: number;
    refuses: boolean;
    cut: Readonly<Record<string, number>>;
  };
  group?: HubGroup;
}

const STORE_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2];
const OVERSHOOT_SECONDS = [0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30];
/**
 * How often the event loop's lag is sampled; the figures include this. Node's default of 10 ms wakes an idle hub a
 * hundred times a second for this alone.
 */
const LAG_SAMPLE_MS = 50;
const FLUSH_BEATS = [1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000];

/**
 * The figures of one hub, in a registry of its own. Labels have few values: statuses, reasons, verbs. Calls of the
 * store are counted as they happen; the rest is read at each scrape.
 */
export class HubMetrics implements StoreObserver {
  readonly registry = new Registry();
  readonly #clock: Clock;
  readonly #tickedAt = new Map<number, number>();
  readonly #registrations = this.#counter('registrations_total', 'Registrations that this hub wrote', [
    'transport',
    'type',
  ]);
  readonly #changes = this.#counter('changes_total', 'Changes of status that this hub wrote', [
    'from',
    'to',
    'reason',
  ]);
  readonly #beats = this.#counter(
    'heartbeats_total',
    'Heartbeats that this hub wrote, by what they brought',
    ['kind'],
  );
  readonly #storeErrors = this.#counter('store_errors_total', 'Calls to the store that failed or timed out', [
    'verb',
  ]);
  readonly #badData = this.#counter(
    'bad_data_total',
    'Pieces of data in the store that no hub wrote so, each counted once',
    ['kind'],
  );
  readonly #resyncs = this.#counter(
    'resyncs_total',
    'Times that this hub lost its place in the event log and sent its readers a resync',
  );
  readonly #storeSeconds = this.#histogram('store_duration_seconds', 'Calls to the store', STORE_SECONDS, [
    'verb',
  ]);
  readonly #overshoot = this.#histogram(
    'detection_overshoot_seconds',
    "From a node's deadline to the event that calls it offline",
    OVERSHOOT_SECONDS,
  );
  readonly #flushBeats = this.#histogram(
    'flush_heartbeats',
    'Heartbeats that were written in one call',
    FLUSH_BEATS,
  );
  readonly #flushSeconds = this.#histogram(
    'flush_duration_seconds',
    'Writing heartbeats in one call',
    STORE_SECONDS,
  );

  constructor(clock: Clock) {
    this.#clock = clock;
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: LAG_SAMPLE_MS });
  }

  called(verb: StoreVerb, ms: number, failed: boolean): void {
    this.#storeSeconds.observe({ verb }, ms / 1_000);
    if (failed) this.#storeErrors.inc({ verb });
  }

  flushed(beats: number, withStats: number, ms: number): void {
    this.#beats.inc({ kind: 'stats' }, withStats);
    this.#beats.inc({ kind: 'ping' }, beats - withStats);
    this.#flushBeats.observe(beats);
    this.#flushSeconds.observe(ms / 1_000);
  }

  committed({ event }: Change): void {
    const { type, from, to, reason, node } = event;
    if (type === 'registered' || type === 'reregistered') {
      this.#registrations.inc({ type, transport: node.connection?.transport ?? 'none' });
    }
    if (from !== to) this.#changes.inc({ from: from ?? 'none', to: to ?? 'none', reason });
    const { lastHeartbeatAt } = event.evidence;
    if (reason !== 'heartbeat_timeout' || from === 'unreachable' || lastHeartbeatAt === undefined) return;
    const late = msOf(event.at) - msOf(lastHeartbeatAt) - node.heartbeat.timeoutMs;
    this.#overshoot.observe(Math.max(0, late) / 1_000);
  }

  /** The store held data that no hub wrote. */
  foundBad(kind: string): void {
    this.#badData.inc({ kind });
  }

  ticked(shard: number): void {
    this.#tickedAt.set(shard, this.#clock.now());
  }

  /** All figures as values, to be merged with those of other workers. */
  figures(): Promise<Figures> {
    return figuresOf(this.registry);
  }

  /** Begins to read this hub's figures at each scrape. */
  watch(hub: MeteredHub): void {
    const { fleet, agents, dashboards, connections, refusals, streams, readers, group } = hub;
    fleet.view.listen({ changed: () => {}, reloaded: () => this.#resyncs.inc() });
    const { registry } = this;
    new Gauge({
      name: 'rollcall_nodes',
      help: 'Nodes of the whole fleet by status; the same on every hub',
      labelNames: ['status'],
      registers: [registry],
      aggregator: 'first',
      collect() {
        // Unknown before the view is loaded, and on a hub without one.
        if (!fleet.view.loaded) return;
        const counts = fleet.view.countByStatus();
        for (const status of STATUSES) this.set({ status }, counts[status]);
      },
    });
    this.#gauge('agents_connected', 'Agent sockets of this hub, registered or not', () => agents.size);
    this.#gauge('sessions', 'Registered agent sockets of this hub', () => fleet.sessions.size);
    const { admission } = agents;
    this.#gauge(
      'handshakes',
      'Agents that were let in and are not registered yet',
      () => admission?.handshakes ?? 0,
    );
    this.#readCounts(
      ['admitted_total', 'Agents that were let in, by whether they were registered before'],
      'agent',
      () => admission?.admitted ?? {},
    );
    this.#readCounts(
      ['refused_total', 'Upgrades of agents that were refused'],
      'reason',
      () => admission?.refused ?? {},
    );
    new Counter({
      name: 'rollcall_refusals_total',
      help: 'Who was refused for its token or for the node, by entrance and reason',
      labelNames: ['entrance', 'reason'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [kind, count] of refusals?.counts ?? []) {
          const [entrance = '', reason = ''] = kind.split(' ');
          this.inc({ entrance, reason }, count);
        }
      },
    });
    this.#readCounts(
      ['registrations_held_total', 'Registrations that were held back'],
      'reason',
      () => fleet.registrar.held,
    );
    this.#gauge(
      'unauthenticated_connections',
      'Network connections on which no right token was shown yet',
      () => connections?.strangers ?? 0,
    );
    this.#readCounts(
      [
        'connections_ended_total',
        'Connections that were ended for want of room: strangers, or all where it is full',
      ],
      'reason',
      () => connections?.ended ?? {},
    );
    this.#gauge('dashboards', 'Dashboards of this hub', () => dashboards.size);
    this.#gauge(
      'dashboards_buffered_bytes',
      'Bytes that dashboards have not read yet',
      () => dashboards.unreadBytes,
    );
    this.#gauge('event_streams', 'Event streams of this hub', () => streams?.size ?? 0);
    this.#gauge(
      'event_streams_buffered_bytes',
      'Bytes that event streams have not read yet',
      () => streams?.unreadBytes ?? 0,
    );
    this.#gauge(
      'readers_unread_bytes',
      'Bytes that dashboards, event streams and clients of the API have not read yet',
      () => readers?.unreadBytes ?? 0,
    );
    this.#gauge(
      'readers_refused',
      '1 while new readers are sent away, because of what others leave unread or because memory is short',
      () => Number(readers?.refuses ?? false),
      'max',
    );
    this.#readCounts(
      ['readers_cut_total', 'Readers that were cut off for what all together left unread, or for memory'],
      'reason',
      () => readers?.cut ?? {},
    );
    this.#readCounter(
      'event_stream_resyncs_total',
      'Times that an event stream was told to read afresh',
      () => streams?.resyncs ?? 0,
    );
    this.#gauge(
      'store_live',
      '1 while every shard of the store is in reach',
      () => Number(fleet.state.state === 'live'),
      'min',
    );
    this.#gauge(
      'heartbeat_interval_seconds',
      'The interval that agents of this hub are given',
      () => fleet.pacing.timing.intervalMs / 1_000,
      'max',
    );
    this.#gauge('hubs', 'Hubs that hold a lease', () => fleet.state.hubs, 'first');
    new Gauge({
      name: 'rollcall_workers',
      help: 'Workers of this hub',
      labelNames: ['state'],
      registers: [registry],
      aggregator: 'first',
      collect() {
        const { wanted, running, ready } = group?.status ?? { wanted: 1, running: 1, ready: +fleet.ready };
        this.set({ state: 'wanted' }, wanted);
        this.set({ state: 'running' }, running);
        this.set({ state: 'ready' }, ready);
        // Of a group only its primary knows the number of workers.
        if (!group) this.set({ state: 'answering' }, 1);
      },
    });
    this.#readCounter(
      'http_heartbeats_total',
      'Of the heartbeats, those that came as requests and were taken',
      () => fleet.httpAgents.taken,
    );
    this.#gauge(
      'tick_lag_seconds',
      'Age of the oldest last look at a shard',
      () => this.#tickLagMs(fleet) / 1_000,
      'max',
    );
    this.#gauge(
      'last_tick_timestamp_seconds',
      'When a shard was last looked at',
      () => this.#lastTick() / 1_000,
      'min',
    );
  }

  #tickLagMs({ store }: Fleet): number {
    if (this.#tickedAt.size < store.shards) return 0;
    return this.#clock.now() - Math.min(...this.#tickedAt.values());
  }

  #lastTick(): number {
    return this.#tickedAt.size === 0 ? 0 : Math.max(...this.#tickedAt.values());
  }

  #counter(name: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name: `rollcall_${name}`, help, labelNames, registers: [this.registry] });
  }

  #histogram(name: string, help: string, buckets: number[], labelNames: string[] = []): Histogram {
    return new Histogram({ name: `rollcall_${name}`, help, buckets, labelNames, registers: [this.registry] });
  }

  /** A count that is kept elsewhere. */
  #readCounter(name: string, help: string, value: () => number): void {
    new Counter({
      name: `rollcall_${name}`,
      help,
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  }

  /** Counts that are kept elsewhere, each under its name as the value of one label. */
  #readCounts(
    [name, help]: [name: string, help: string],
    label: string,
    counts: () => Readonly<Record<string, number>>,
  ): void {
    new Counter({
      name: `rollcall_${name}`,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [value, count] of Object.entries(counts())) this.inc({ [label]: value }, count);
      },
    });
  }

  /** `aggregator`: how the figures of several workers are merged. */
  #gauge(name: string, help: string, value: () => number, aggregator: Aggregator = 'sum'): void {
    new Gauge({
      name: `rollcall_${name}`,
      help,
      aggregator,
      registers: [this.registry],
      collect() {
        this.set(value());
      },
    });
  }
}

/** `GET /metrics`, in Prometheus' text format. */
export function metricsRoute(app: FastifyInstance, metrics: HubMetrics, group?: HubGroup): void {
  app.get(
    '/metrics',
    describe({
      id: 'readMetrics',
      summary: "This hub's figures for Prometheus",
      tag: 'Hub',
      access: 'reader',
      everyRole: true,
      answers: {
        200: {
          description: 'Text format 0.0.4',
          type: 'text/plain',
          schema: z.string(),
          example: 'rollcall_nodes{status="online"} 42',
        },
      },
    }),
    async (_request, reply) =>
      reply
        .type(metrics.registry.contentType)
        .send(await (group ? group.metrics() : metrics.registry.metrics())),
  );
}
