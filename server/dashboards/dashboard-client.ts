import type { z } from 'zod';
import {
  type FleetEvent,
  type HistoryAnswer,
  historyRequestSchema,
  LIMITS,
  type LiveStats,
  type NodeAnswer,
  nodeRequestSchema,
  type Refusal,
  subscribeSchema,
  watchSchema,
} from '../../shared/index.ts';
import { TokenBucket } from '../runtime/token-bucket.ts';
import { LostDataError, StoreAwayError } from '../store/fleet-store.ts';
import type { DashboardConnection } from './connection.ts';
import { jsonSize } from './pages.ts';
import { readRequest } from './requests.ts';
import type { DashboardSocket } from './socket-server.ts';
import type { StatsWatch, StatsWatcher } from './stats-watch.ts';
import { Subscription, type SubscriptionContext } from './subscription.ts';

/** What all dashboards of a hub share. */
export interface ClientContext extends SubscriptionContext {
  statsWatch: StatsWatch;
}

/** Subscriptions that one dashboard may begin per second: each is a whole snapshot, or a replay. */
const SUBSCRIBES_PER_SECOND = 1;
const SUBSCRIBES_BURST = 5;
/** Requests of one dashboard that may wait for the answers to earlier ones. */
const WAITING_REQUESTS = 16;

/** The size of one answer to `history` as JSON, roughly. */
const HISTORY_BYTES = 1024 * 1024;

/** One connected dashboard: requests are checked by schema and answered; no message can fail the hub. */
export class DashboardClient implements StatsWatcher {
  readonly connection: DashboardConnection;
  readonly #context: ClientContext;
  readonly #socket: DashboardSocket;
  readonly #subscribes: TokenBucket;
  #subscription: Subscription | undefined;
  /** The last request; one after the other, so that only one answer is in progress for a dashboard. */
  #lastAnswer: Promise<void> = Promise.resolve();
  #waitingRequests = 0;

  constructor(context: ClientContext, socket: DashboardSocket, connection: DashboardConnection) {
    this.#context = context;
    this.#socket = socket;
    this.connection = connection;
    this.#subscribes = new TokenBucket(SUBSCRIBES_PER_SECOND, SUBSCRIBES_BURST, context.clock.now());
    socket.on(
      'subscribe',
      this.#handler((payload, ack) => this.#subscribe(payload, ack)),
    );
    socket.on('unsubscribe', () => this.#subscription?.end());
    socket.on(
      'watch',
      this.#handler((payload, ack) => this.#watch(payload, ack)),
    );
    socket.on(
      'node',
      this.#asking(nodeRequestSchema, ({ id }) => this.#node(id)),
    );
    socket.on(
      'history',
      this.#asking(historyRequestSchema, (request) => this.#history(request)),
    );
    socket.on('disconnect', () => this.end());
  }

  /** The state of its subscription, if it has one. */
  get subscribed(): Subscription['state'] | undefined {
    return this.#subscription?.state;
  }

  /** The hub cannot bridge a gap: the subscription ends, and the dashboard has to subscribe afresh. */
  resync(reason: string): void {
    this.#subscription?.resync(reason);
  }

  end(): void {
    this.#subscription?.end();
    this.#context.statsWatch.watch(this, []);
  }

  sendStats(stats: Record<string, LiveStats>): boolean {
    if (this.connection.behind) return false;
    this.#socket.emit('stats', { stats });
    return true;
  }

  /** Splits a message: its payload first, its ack last, if present. */
  #handler(handle: (payload: unknown, ack: Answer | undefined) => void): (...message: unknown[]) => void {
    return (...message) => {
      if (!this.connection.takesMore()) return;
      const last = message.at(-1);
      const ack = typeof last === 'function' ? (answer: unknown) => void last(answer) : undefined;
      handle(ack && message.length === 1 ? undefined : message[0], ack);
    };
  }

  /** A request: without an ack there is no way to answer, and it is ignored. */
  #asking<T>(schema: z.ZodType<T>, find: (request: T) => Promise<unknown>): (...message: unknown[]) => void {
    return this.#handler((payload, ack) => {
      if (!ack) return;
      const read = readRequest(schema, payload);
      if (!read.ok) ack(read);
      else if (this.#waitingRequests >= WAITING_REQUESTS) ack(tooMany('requests wait for their answers'));
      else this.#answerInTurn(() => find(read.request), ack);
    });
  }

  #answerInTurn(find: () => Promise<unknown>, ack: Answer): void {
    const { slices } = this.#context.fleet;
    this.#waitingRequests += 1;
    this.#lastAnswer = this.#lastAnswer.then(async () => {
      try {
        await slices.forReader();
        const found = await find();
        await slices.forReader();
        // A dashboard that is gone, or does not read, gets no answer.
        if (this.connection.takesMore()) ack(found);
      } catch (error) {
        ack(this.#failed(error));
      } finally {
        this.#waitingRequests -= 1;
      }
    });
  }

  #failed(error: unknown): Refusal {
    if (!(error instanceof StoreAwayError) && !(error instanceof LostDataError)) {
      this.#context.log.error({ err: error }, 'A request of a dashboard failed');
    }
    return { ok: false, code: 'store_away', message: 'the hub cannot reach its store now; try again' };
  }

  #subscribe(payload: unknown, ack: Answer | undefined): void {
    if (!ack) return;
    const read = readRequest(subscribeSchema, payload);
    if (!read.ok) {
      ack(read);
      return;
    }
    if (!this.#subscribes.take(this.#context.clock.now())) {
      ack(tooMany('one subscribe a second is answered, the one before goes on'));
      return;
    }
    this.#subscription?.end();
    const subscription = new Subscription(this.#context, this.#socket, this.connection, read.request);
    this.#subscription = subscription;
    subscription.begin(ack).catch((error: unknown) => {
      this.#context.log.error({ err: error }, 'A subscription failed');
      subscription.resync('the hub failed');
    });
  }

  #watch(payload: unknown, ack: Answer | undefined): void {
    const read = readRequest(watchSchema, payload);
    if (read.ok) this.#context.statsWatch.watch(this, read.request.ids);
    else ack?.(read);
  }

  async #node(id: string): Promise<NodeAnswer | Refusal> {
    const node = await this.#context.fleet.node(id);
    if (!node) return { ok: false, code: 'not_found', message: `there is no node ${id}` };
    const stats = (await this.#context.fleet.stats([node])).get(id);
    return { ok: true, node, stats: stats ?? { lastHeartbeatAt: null } };
  }

  async #history({ nodeId, limit }: { nodeId?: string; limit: number }): Promise<HistoryAnswer> {
    const events = await this.#context.fleet.history({ limit, ...(nodeId !== undefined && { id: nodeId }) });
    return { ok: true, events: newestWithin(events.slice(0, LIMITS.historyEvents)) };
  }
}

const tooMany = (why: string): Refusal => ({
  ok: false,
  code: 'too_many',
  message: `too many at once: ${why}; wait a second`,
});

/** The newest events that one answer may carry, at least one. */
function newestWithin(events: readonly FleetEvent[]): FleetEvent[] {
  let bytes = 0;
  const fit = events.findIndex((event, index) => {
    bytes += jsonSize(event);
    return index > 0 && bytes > HISTORY_BYTES;
  });
  return events.slice(0, fit < 0 ? events.length : fit);
}

type Answer = (answer: unknown) => void;
