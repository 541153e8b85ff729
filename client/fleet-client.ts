import { z } from 'zod';
import {
  type FleetEvent,
  type FleetNode,
  HubClock,
  type HubState,
  historyAnswerSchema,
  hubStateSchema,
  type LiveStats,
  liveStatsSchema,
  type NodeSummary,
  nodeAnswerSchema,
  refusalSchema,
} from '../shared/index.ts';
import { type ConnectionOptions, HubConnection } from './connection.ts';
import { Emitter } from './emitter.ts';
import type { Hole, Picture } from './picture.ts';
import { type NodeChange, Subscription, type SubscriptionOptions } from './subscription.ts';

export interface FleetClientOptions<N extends NodeSummary> extends ConnectionOptions, SubscriptionOptions<N> {
  /** The hub's time as this client knows it. Default: one of its own. */
  clock?: HubClock;
  /**
   * Changes wait: `apply` is to be called soon. For pages, which apply them in frames of a bounded length. Without it
   * they are applied as they come.
   */
  waiting?: () => void;
}

/** Why a client ended by itself. `too_much`: more comes than is kept. `protocol`: the answers are of no known version. */
export type EndCode = 'unauthenticated' | 'forbidden' | 'invalid' | 'protocol' | 'too_much';

/** How a client stands to its hub. Times are milliseconds since the epoch, by the hub's clock. */
export type ClientState =
  | { kind: 'stopped' }
  /** No picture yet. `why`: the last attempt failed. */
  | { kind: 'connecting'; since: number; why: string | undefined }
  | { kind: 'loading'; received: number; total: number }
  /** Every change is heard. */
  | { kind: 'live' }
  /** A new picture was asked for; until it is there, the one before is kept. */
  | { kind: 'resyncing'; since: number; reason: string }
  /** There was a picture. Nothing is known of what happened after `since`. */
  | { kind: 'away'; since: number; why: string }
  | { kind: 'ended'; code: EndCode; message: string };

export interface FleetClientEvents<N extends NodeSummary> {
  /** A whole picture is there. `before`: the one whose place it takes; `differencesBetween` tells what differs. */
  picture: [picture: Picture<N>, before: Picture<N> | undefined];
  /** A change was applied; of one node each exactly once and in order. */
  change: [change: NodeChange<N>];
  state: [state: ClientState];
  /** The hub took the subscription. `resumed`: every change since the last one follows, else a new picture. */
  subscribed: [how: { resumed: boolean }];
  /** Whether the hub sees its store, and since when. */
  hub: [state: HubState];
  /** Live figures of the nodes that are watched, by id. */
  stats: [stats: Record<string, LiveStats>];
  /** Something came from the hub: the picture is true as of this time, by the hub's clock. */
  heard: [at: number];
  /** The connection is gone; it is tried again. */
  lost: [why: string];
  /** An attempt to connect or to subscribe failed; it is tried again. */
  unreachable: [why: string];
  /** The hub is not ready, for example because it is loading the fleet; it is asked again. */
  postponed: [why: string];
  /** Something may be missing; a new picture follows. */
  resync: [reason: string];
  /** A version of a node never came; a resync follows. */
  hole: [hole: Hole];
  /** Nothing is tried again. */
  ended: [code: EndCode, message: string];
}

/**
 * Follows a fleet on a hub, as docs/PROTOCOL.md asks of a dashboard: a picture of its nodes, then every change, through
 * lost connections and restarts of the hub. What could not be heard is never passed over in silence: it comes later, or
 * a new picture takes the place of the old.
 *
 * A connection (`HubConnection`) carries a subscription (`Subscription`), which keeps a picture (`Picture`).
 */
export class FleetClient<N extends NodeSummary> extends Emitter<FleetClientEvents<N>> {
  /** The hub's time. */
  readonly clock: HubClock;
  readonly #options: FleetClientOptions<N>;
  readonly #subscription: Subscription<N>;
  #connection: HubConnection | undefined;
  #state: ClientState = { kind: 'stopped' };
  #hub: HubState | undefined;
  /** When something last came from the hub, by its clock. */
  #heardAt: number | undefined;
  /** The picture that was last announced. */
  #announced: Picture<N> | undefined;
  #watched: readonly string[] = [];

  constructor(options: FleetClientOptions<N>) {
    super();
    this.clock = options.clock ?? new HubClock();
    this.#options = options;
    this.#subscription = new Subscription(options, {
      subscribed: (how, hub) => this.#subscribed(how, hub),
      progress: (received, total) => {
        if (!this.#announced) this.#to({ kind: 'loading', received, total });
      },
      picture: (picture) => this.#newPicture(picture),
      changed: (change) => this.emit('change', change),
      waiting: options.waiting ?? (() => void this.apply(Number.POSITIVE_INFINITY)),
      unanswered: (why) => this.emit('unreachable', why),
      postponed: (why) => this.emit('postponed', why),
      hole: (hole) => this.emit('hole', hole),
      resync: (reason) => {
        this.#resyncing(reason);
        this.emit('resync', reason);
      },
      ended: (code, message) => this.#end(code, message),
    });
  }

  /** The nodes that are known, by id. */
  get nodes(): ReadonlyMap<string, N> {
    return this.#subscription.picture.nodes;
  }

  get picture(): Picture<N> {
    return this.#subscription.picture;
  }

  get state(): ClientState {
    return this.#state;
  }

  /** Whether the hub sees its store, as it last said. */
  get hub(): HubState | undefined {
    return this.#hub;
  }

  /** Where it would resume; undefined before the first whole picture and after a gap. */
  get cursor(): string | undefined {
    return this.#subscription.cursor;
  }

  /**
   * Connects, and goes on until `stop` or `ended`. What is known is resumed from, on the same hub or another, with the
   * same token or another.
   */
  start(at: { hubUrl?: string; token?: string | undefined } = {}): void {
    this.#disconnect();
    this.#to({ kind: 'connecting', since: this.clock.now(), why: undefined });
    const connection = new HubConnection(
      { ...this.#options, ...at },
      {
        connected: () => {
          if (!this.#announced) this.#to({ kind: 'loading', received: 0, total: 0 });
          this.#subscription.connected((request, answered) => connection.ask('subscribe', request, answered));
        },
        lost: (why) => {
          this.#subscription.lost();
          this.#away(why);
          this.emit('lost', why);
        },
        failed: (why) => {
          this.#away(why);
          this.emit('unreachable', why);
        },
        refused: (code, message) => this.#end(code, message),
        heard: () => {
          this.#heardAt = this.clock.now();
          this.emit('heard', this.#heardAt);
        },
        message: (name, payload) => this.#message(name, payload, connection.takeBytes()),
      },
    );
    this.#connection = connection;
  }

  /** Ends the connection. What is known stays. */
  stop(): void {
    this.#disconnect();
    this.#to({ kind: 'stopped' });
  }

  /** Tests the connection at once: the machine woke up, or is on another network. */
  checkNow(): void {
    this.#connection?.checkNow();
  }

  /** Applies changes that wait, for at most `forMs` milliseconds, and returns whether more wait. See `waiting`. */
  apply(forMs: number): boolean {
    return this.#subscription.apply(forMs);
  }

  /** Asks for the live figures of these nodes, up to 500, instead of those before: `stats` brings them. */
  watch(ids: readonly string[]): void {
    this.#watched = ids;
    this.#connection?.send('watch', { ids });
  }

  /** A node with its live figures; undefined where there is none. Rejects where the hub is away or refuses. */
  async node(id: string): Promise<{ node: FleetNode; stats: LiveStats } | undefined> {
    const answer = await this.#ask('node', { id }, nodeAnswerSchema);
    return answer && { node: answer.node, stats: answer.stats };
  }

  /** The newest changes, newest first, at most 1,000. Rejects where the hub is away or refuses. */
  async history(request: { nodeId?: string; limit: number }): Promise<FleetEvent[]> {
    return (await this.#ask('history', request, historyAnswerSchema))?.events ?? [];
  }

  async #ask<T>(message: string, payload: object, schema: z.ZodType<T>): Promise<T | undefined> {
    const answer = await new Promise<unknown>((resolve, reject) => {
      if (!this.#connection) reject(new Error('the hub is away'));
      this.#connection?.ask(message, payload, (error, answered) =>
        error ? reject(error) : resolve(answered),
      );
    });
    const refusal = refusalSchema.safeParse(answer);
    if (!refusal.success) return schema.parse(answer);
    if (refusal.data.code === 'not_found') return undefined;
    throw new Error(refusal.data.message);
  }

  #message(name: string, payload: unknown, bytes: number): void {
    switch (name) {
      case 'snapshot':
        this.#subscription.page(payload, bytes);
        break;
      case 'changes':
        this.#subscription.changes(payload, bytes);
        break;
      case 'resync':
        this.#subscription.resync(payload);
        break;
      case 'hub': {
        const { data } = hubStateSchema.safeParse(payload);
        if (data) this.#heardHub(data);
        break;
      }
      case 'stats': {
        const { data } = statsSchema.safeParse(payload);
        if (data) this.emit('stats', data.stats);
      }
    }
  }

  #subscribed(how: { resumed: boolean }, hub: HubState): void {
    this.#heardHub(hub);
    if (how.resumed) this.#to({ kind: 'live' });
    else if (this.#announced) this.#resyncing('too much happened meanwhile');
    if (this.#watched.length > 0) this.#connection?.send('watch', { ids: this.#watched });
    this.emit('subscribed', how);
  }

  #newPicture(picture: Picture<N>): void {
    const before = this.#announced;
    this.#announced = picture;
    this.#to({ kind: 'live' });
    this.emit('picture', picture, before);
  }

  #heardHub(hub: HubState): void {
    if (hub.now !== undefined) this.clock.heard(hub.now);
    this.#hub = hub;
    this.emit('hub', hub);
  }

  #resyncing(reason: string): void {
    this.#to({ kind: 'resyncing', since: this.#heardAt ?? this.clock.now(), reason });
  }

  #away(why: string): void {
    const since = this.#heardAt;
    this.#to(
      this.#announced && since !== undefined
        ? { kind: 'away', since, why }
        : { kind: 'connecting', since: since ?? this.clock.now(), why },
    );
  }

  #end(code: EndCode, message: string): void {
    this.#disconnect();
    this.#to({ kind: 'ended', code, message });
    this.emit('ended', code, message);
  }

  #disconnect(): void {
    this.#connection?.close();
    this.#connection = undefined;
    this.#subscription.lost();
  }

  #to(state: ClientState): void {
    this.#state = state;
    this.emit('state', state);
  }
}

const statsSchema = z.object({ stats: z.record(z.string(), liveStatsSchema) });
