import type { z } from 'zod';
import {
  type FleetEvent,
  type FleetNode,
  type HubState,
  historyAnswerSchema,
  hubStateSchema,
  type LiveStats,
  nodeAnswerSchema,
  refusalSchema,
  summarize,
} from '../../shared/index.ts';
import { pageClock } from '../page-clock.ts';
import { ChangeFeed } from './change-feed.ts';
import { Following } from './following.ts';
import { FrameQueue, type ScheduleFrame } from './frames.ts';
import { Grouping } from './grouping.ts';
import { HubLink, type HubLinkOptions, type LinkState } from './hub-link.ts';
import { LiveFigures } from './live-figures.ts';
import type { Picture, RowChange } from './picture.ts';
import { RowView } from './row-view.ts';
import type { RowEvent } from './wire-rows.ts';

/** How the page stands: to its hub, and its hub to the store. */
export interface Standing {
  link: LinkState;
  hub: HubState | undefined;
  /** When the hub was last heard of, milliseconds since the epoch by its clock. */
  heardAt: number | undefined;
  /** Whether there was ever a whole picture. */
  pictured: boolean;
}

/** What happened since the last frame. `all`: another picture, everything may be different. */
export interface FrameNews {
  changes: readonly RowChange[];
  events: readonly RowEvent[];
  all: boolean;
}

export interface FleetStoreOptions {
  hubUrl: string;
  schedule: ScheduleFrame;
  link?: Pick<HubLinkOptions, 'reconnectDelayMs' | 'echoEveryMs'>;
}

/** How long one frame may spend on applying changes. What is left comes in the next. */
const APPLY_MS = 8;
/** Changes from before the page came that the feed begins with. */
const HISTORY_EVENTS = 200;

type Topic = 'fleet' | 'standing' | 'figures';

/** What the page knows: the fleet, kept by the wire, and everything that follows from it. Drawing is not its part. */
export class FleetStore {
  readonly rows: RowView;
  readonly grouping: Grouping;
  readonly figures = new LiveFigures();
  readonly feed = new ChangeFeed();
  readonly #options: FleetStoreOptions;
  readonly #following: Following;
  readonly #frames: FrameQueue;
  readonly #listeners: Record<Topic, Set<() => void>> = {
    fleet: new Set(),
    standing: new Set(),
    figures: new Set(),
  };
  readonly #newsListeners = new Set<(news: FrameNews) => void>();
  readonly #versions: Record<Topic, number> = { fleet: 0, standing: 0, figures: 0 };
  readonly #dirty = new Set<Topic>();
  #link: HubLink | undefined;
  #standing: Standing = {
    link: { kind: 'connecting', since: pageClock.now(), why: undefined },
    hub: undefined,
    heardAt: undefined,
    pictured: false,
  };
  #changes: RowChange[] = [];
  #events: RowEvent[] = [];
  #all = false;

  constructor(options: FleetStoreOptions) {
    this.#options = options;
    this.#frames = new FrameQueue(options.schedule, () => this.#frame());
    this.#following = new Following({
      picture: (picture) => this.#pictured(picture),
      changed: (change, event) => this.#changed(change, event),
      waiting: () => this.#frames.request(),
      progress: (received, total) => {
        if (!this.#standing.pictured) this.#stand({ link: { kind: 'loading', received, total } });
      },
      hub: (hub) => this.#hub(hub),
      startOver: (reason) => this.#link?.startOver(reason),
    });
    this.rows = new RowView(this.#following.picture);
    this.grouping = new Grouping(this.#following.picture);
  }

  get picture(): Picture {
    return this.#following.picture;
  }

  get standing(): Standing {
    return this.#standing;
  }

  /** Counts up with each frame that brought news of a topic: what React compares. */
  version(topic: Topic): number {
    return this.#versions[topic];
  }

  /** Calls back once per frame with news of a topic. Returns its end. */
  listen(topic: Topic, listener: () => void): () => void {
    this.#listeners[topic].add(listener);
    return () => this.#listeners[topic].delete(listener);
  }

  /** Calls back once per frame with every change. Returns its end. */
  listenToNews(listener: (news: FrameNews) => void): () => void {
    this.#newsListeners.add(listener);
    return () => this.#newsListeners.delete(listener);
  }

  /** Connects with this token, instead of whatever was there. What is known is resumed from. */
  connect(token: string | undefined): void {
    this.#link?.close();
    const { hubUrl, link } = this.#options;
    this.#link = new HubLink({ hubUrl, token, ...link }, this.#following, {
      state: (state) => this.#stand({ link: state }),
      heard: (heardAt) => this.#stand({ heardAt }),
      hub: (message) => {
        const read = hubStateSchema.safeParse(message);
        if (read.success) this.#hub(read.data);
      },
      subscribed: () => this.#subscribed(),
      stats: (message) => {
        if (this.figures.take(message)) this.#mark('figures');
      },
    });
  }

  close(): void {
    this.#link?.close();
    this.#link = undefined;
  }

  checkNow(): void {
    this.#link?.checkNow();
  }

  /** Says which nodes one part of the page looks at, for their live figures. */
  watch(part: string, ids: readonly string[]): void {
    if (this.figures.want(part, ids)) this.#link?.watch(this.figures.ids);
  }

  /** The whole record of a node with its live figures; undefined where there is none. Rejects where the hub is away. */
  async node(id: string): Promise<{ node: FleetNode; stats: LiveStats } | undefined> {
    const answer = await this.#ask('node', { id }, nodeAnswerSchema);
    return answer && { node: answer.node, stats: answer.stats };
  }

  /** The newest changes, newest first. Rejects where the hub is away. */
  async history(request: { nodeId?: string; limit: number }): Promise<FleetEvent[]> {
    return (await this.#ask('history', request, historyAnswerSchema))?.events ?? [];
  }

  async #ask<T>(message: 'node' | 'history', payload: object, schema: z.ZodType<T>): Promise<T | undefined> {
    if (!this.#link) throw new Error('not connected');
    const answer = await this.#link.ask(message, payload);
    const refusal = refusalSchema.safeParse(answer);
    if (!refusal.success) return schema.parse(answer);
    if (refusal.data.code === 'not_found') return undefined;
    throw new Error(refusal.data.message);
  }

  #subscribed(): void {
    const { ids } = this.figures;
    if (ids.length > 0) this.#link?.watch(ids);
    if (this.feed.total > 0) return;
    this.history({ limit: HISTORY_EVENTS }).then(
      (events) => {
        this.feed.addHistory(events.map((event) => ({ ...event, node: summarize(event.node) })));
        this.#mark('fleet');
      },
      // Without a history the feed begins with what happens next.
      () => {},
    );
  }

  #pictured(picture: Picture): void {
    this.rows.reset(picture);
    this.grouping.reset(picture);
    this.#changes = [];
    this.#all = true;
    this.#standing = { ...this.#standing, pictured: true };
    this.#link?.pictured();
    this.#mark('fleet');
  }

  #changed(change: RowChange, event: RowEvent): void {
    this.rows.changed(change);
    this.grouping.changed(change);
    this.feed.push(event);
    this.#changes.push(change);
    this.#events.push(event);
    this.#mark('fleet');
  }

  #hub(hub: HubState): void {
    if (hub.now !== undefined) pageClock.heard(hub.now);
    this.#stand({ hub, heardAt: pageClock.now() });
  }

  #stand(part: Partial<Standing>): void {
    this.#standing = { ...this.#standing, ...part };
    this.#mark('standing');
  }

  #mark(topic: Topic): void {
    this.#dirty.add(topic);
    this.#frames.request();
  }

  #frame(): void {
    const more = this.#following.apply(APPLY_MS);
    const news: FrameNews = { changes: this.#changes, events: this.#events, all: this.#all };
    const topics = [...this.#dirty];
    this.#changes = [];
    this.#events = [];
    this.#all = false;
    this.#dirty.clear();
    for (const topic of topics) this.#versions[topic] += 1;
    if (topics.includes('fleet')) for (const listener of this.#newsListeners) listener(news);
    for (const topic of topics) for (const listener of this.#listeners[topic]) listener();
    if (more) this.#frames.request();
  }
}
