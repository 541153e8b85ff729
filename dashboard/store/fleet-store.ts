import {
  type ClientState,
  type EndCode,
  FleetClient,
  type FleetClientOptions,
  type NodeChange,
  type Picture,
  SUMMARIES,
} from '../../client/index.ts';
import {
  type FleetEvent,
  type FleetNode,
  type HubState,
  type LiveStats,
  summarize,
} from '../../shared/index.ts';
import { pageClock } from '../page-clock.ts';
import { ChangeFeed } from './change-feed.ts';
import { FleetCounts } from './fleet-counts.ts';
import { FrameQueue, type ScheduleFrame } from './frames.ts';
import { Grouping } from './grouping.ts';
import { LiveFigures } from './live-figures.ts';
import { RowView } from './row-view.ts';
import type { Row, RowChange, RowEvent } from './rows.ts';

/** How the page stands to its hub. Times are milliseconds since the epoch, by the hub's clock. */
export type LinkState =
  | Exclude<ClientState, { kind: 'stopped' | 'ended' }>
  | { kind: 'refused'; code: 'token_missing' | 'token_wrong' | 'forbidden' | 'not_understood' | 'too_much' };

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
  link?: Pick<FleetClientOptions<Row>, 'reconnectDelayMs' | 'echoEveryMs'>;
}

/** How long one frame may spend on applying changes. What is left comes in the next. */
const APPLY_MS = 8;
/** Changes from before the page came that the feed begins with. */
const HISTORY_EVENTS = 200;
/** How often the hub is asked for a sign of life: people look at this page. */
const ECHO_EVERY_MS = 4_000;

type Topic = 'fleet' | 'standing' | 'figures';

/** What the page knows: the fleet, kept by the wire, and everything that follows from it. Drawing is not its part. */
export class FleetStore {
  readonly counts = new FleetCounts();
  readonly rows: RowView;
  readonly grouping: Grouping;
  readonly figures = new LiveFigures();
  readonly feed = new ChangeFeed();
  readonly #client: FleetClient<Row>;
  readonly #frames: FrameQueue;
  readonly #listeners: Record<Topic, Set<() => void>> = {
    fleet: new Set(),
    standing: new Set(),
    figures: new Set(),
  };
  readonly #newsListeners = new Set<(news: FrameNews) => void>();
  readonly #versions: Record<Topic, number> = { fleet: 0, standing: 0, figures: 0 };
  readonly #dirty = new Set<Topic>();
  #tokenGiven = false;
  #standing: Standing = {
    link: { kind: 'connecting', since: pageClock.now(), why: undefined },
    hub: undefined,
    heardAt: undefined,
    pictured: false,
  };
  #changes: RowChange[] = [];
  #events: RowEvent[] = [];
  #all = false;

  constructor({ hubUrl, schedule, link }: FleetStoreOptions) {
    this.#frames = new FrameQueue(schedule, () => this.#frame());
    this.#client = new FleetClient({
      ...{ hubUrl, nodes: SUMMARIES, gzip: true, clock: pageClock, echoEveryMs: ECHO_EVERY_MS },
      ...link,
      waiting: () => this.#frames.request(),
    });
    this.rows = new RowView(this.#client.picture);
    this.grouping = new Grouping(this.#client.picture);
    this.#listen();
  }

  get picture(): Picture<Row> {
    return this.#client.picture;
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
    this.#tokenGiven = token !== undefined;
    this.#client.start({ token });
  }

  close(): void {
    this.#client.stop();
  }

  checkNow(): void {
    this.#client.checkNow();
  }

  /** Says which nodes one part of the page looks at, for their live figures. */
  watch(part: string, ids: readonly string[]): void {
    if (this.figures.want(part, ids)) this.#client.watch(this.figures.ids);
  }

  /** The whole record of a node with its live figures; undefined where there is none. Rejects where the hub is away. */
  node(id: string): Promise<{ node: FleetNode; stats: LiveStats } | undefined> {
    return this.#client.node(id);
  }

  /** The newest changes, newest first. Rejects where the hub is away. */
  history(request: { nodeId?: string; limit: number }): Promise<FleetEvent[]> {
    return this.#client.history(request);
  }

  #listen(): void {
    const client = this.#client;
    client.on('state', (state) => this.#linked(state));
    client.on('picture', (picture) => this.#pictured(picture));
    client.on('change', (change) => this.#changed(change));
    client.on('subscribed', () => this.#subscribed());
    client.on('hub', (hub) => this.#stand({ hub }));
    client.on('heard', (heardAt) => this.#stand({ heardAt }));
    client.on('stats', (stats) => {
      this.figures.take(stats);
      this.#mark('figures');
    });
  }

  #linked(state: ClientState): void {
    if (state.kind === 'stopped') return;
    const link: LinkState =
      state.kind === 'ended' ? { kind: 'refused', code: refusalOf(state.code, this.#tokenGiven) } : state;
    this.#stand({ link });
  }

  #subscribed(): void {
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

  #pictured(picture: Picture<Row>): void {
    this.counts.reset(picture);
    this.rows.reset(picture);
    this.grouping.reset(picture);
    this.#changes = [];
    this.#all = true;
    this.#standing = { ...this.#standing, pictured: true };
    this.#mark('fleet');
  }

  #changed(change: NodeChange<Row>): void {
    this.counts.changed(change);
    this.rows.changed(change);
    this.grouping.changed(change);
    this.feed.push(change.event);
    this.#changes.push(change);
    this.#events.push(change.event);
    this.#mark('fleet');
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
    const more = this.#client.apply(APPLY_MS);
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

function refusalOf(code: EndCode, tokenGiven: boolean): Extract<LinkState, { kind: 'refused' }>['code'] {
  switch (code) {
    case 'unauthenticated':
      return tokenGiven ? 'token_wrong' : 'token_missing';
    case 'forbidden':
    case 'too_much':
      return code;
    case 'invalid':
    case 'protocol':
      return 'not_understood';
  }
}
