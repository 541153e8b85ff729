import { EventEmitter } from 'node:events';
import type { Agent } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { io, type Socket } from 'socket.io-client';
import { z } from 'zod';
import {
  CLIENT_LIMITS,
  changesSchema,
  connectErrorSchema,
  connectionWords,
  DASHBOARD_PATH,
  type DashboardEvent,
  type DashboardToHub,
  type Filter,
  filterKey,
  type HubState,
  type HubToDashboard,
  hubStateSchema,
  refusalSchema,
  resyncSchema,
  type SubscribeInput,
  snapshotSchema,
  subscribedSchema,
} from '../../shared/index.ts';
import { type Difference, type Hole, Projection, type ShownNode } from './projection.ts';

export interface FollowerOptions {
  /** `http(s)://host:port`, with a path where a proxy puts the hub below one. */
  hubUrl: string;
  token?: string;
  /** The way to the hub, where it is not direct. */
  agent?: Agent;
  filter?: Filter;
  fields?: 'full' | 'summary';
  gzip?: boolean;
  /** The first delay before a reconnect, in milliseconds; later ones grow to 10 s. Default 1,000. */
  reconnectDelayMs?: number;
  /** The longest pause before a subscription is asked for again, in milliseconds. Default 500. */
  resubscribeDelayMs?: number;
  /** Bytes of nodes that are kept at the most. Default 512 MiB. */
  keptBytes?: number;
}

export interface FollowerEvents {
  /** A whole picture has come. `first`: there was none before it; else only the differences are news. */
  picture: [picture: { first: boolean; differences: Difference[] }];
  /** A change was applied; what came twice is not told. */
  change: [event: DashboardEvent, before: ShownNode | undefined];
  /** The subscription stands: `resumed` without a new picture, because every change since is being replayed. */
  subscribed: [how: { resumed: boolean }];
  hub: [state: HubState];
  /** The connection is gone; it is tried again. */
  lost: [why: string];
  /** An attempt to connect failed; it is tried again. */
  unreachable: [why: string];
  /** The hub could not bridge a gap, or a version was missing: a new picture follows. */
  resync: [reason: string];
  hole: [hole: Hole];
  /** The hub will not have it; nothing is tried again. */
  refused: [code: string, message: string];
  /** The hub sends what no hub does, and more than is kept; nothing is tried again. */
  broken: [why: string];
}

type State =
  | { kind: 'away' }
  /** A subscription was asked for and not answered: what comes meanwhile belongs to the one before. */
  | { kind: 'asking'; attempt: number }
  | { kind: 'collecting'; cursor: string; nodes: Map<string, ShownNode>; bytes: number; remaining: number }
  | { kind: 'following' }
  | { kind: 'stopped' };

const answerSchema = z.union([subscribedSchema, refusalSchema]);
const gzipPageSchema = z.object({
  gzip: z.instanceof(Uint8Array),
  remaining: z.number().int().nonnegative(),
});

/** How long a hub may take to answer a `subscribe`. */
const ANSWER_WITHIN_MS = 15_000;
const LONGEST_RECONNECT_MS = 10_000;
/** A subscription that stood so long was a good one: after it, what fails is asked for again soon. */
const GOOD_MS = 60_000;
/** How often the pause before the next subscription is doubled: from half a second to half a minute. */
const MOST_DOUBLINGS = 6;

/** What ws is to take at the most, and that nothing may be compressed on the way: pages are gzip where that is asked for. */
const WIRE: object = { perMessageDeflate: false, maxPayload: CLIENT_LIMITS.messageBytes };

/**
 * Follows a fleet as the protocol asks of a dashboard: a picture, then every change by `seq`, and after a
 * lost connection the changes since the last cursor, or a new picture where the hub says so.
 */
export class FleetFollower extends EventEmitter<FollowerEvents> {
  readonly #options: FollowerOptions;
  readonly #projection: Projection;
  #socket: Socket<HubToDashboard, DashboardToHub> | undefined;
  #state: State = { kind: 'away' };
  /** Where to resume: undefined before the first whole picture, and where it must not be used. */
  #cursor: string | undefined;
  #pictures = 0;
  #attempt = 0;
  /** Bytes that came since they were last counted to something. */
  #heardBytes = 0;
  readonly #counted = new WeakSet<object>();
  /** Bytes of what is kept: of the picture, and of each node that changed since then. */
  readonly #kept = new Map<string, number>();
  #keptBytes = 0;
  /** Subscriptions that failed one after the other, and when the last good one began. */
  #failed = 0;
  #followsSince = Number.POSITIVE_INFINITY;
  #pageTimer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: FollowerOptions) {
    super();
    this.#options = options;
    this.#projection = new Projection(filterKey(options.filter ?? {}) === filterKey({}));
  }

  get #mostBytes(): number {
    return this.#options.keptBytes ?? CLIENT_LIMITS.keptBytes;
  }

  /** The fleet as it is known, by id. */
  get nodes(): ReadonlyMap<string, ShownNode> {
    return this.#projection.nodes;
  }

  get state(): State['kind'] {
    return this.#state.kind;
  }

  /** Where it would resume. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** Connects, and goes on until `stop`. What it knew before a `stop` it resumes from, on the same hub or another. */
  start(hubUrl: string = this.#options.hubUrl): void {
    this.stop();
    this.#state = { kind: 'away' };
    const url = new URL(hubUrl);
    const { token, agent, reconnectDelayMs = 1_000 } = this.#options;
    // The library hands it to ws, though its types know another agent.
    const way: object = agent ? { agent } : {};
    const socket: Socket<HubToDashboard, DashboardToHub> = io(url.origin, {
      ...WIRE,
      ...way,
      path: `${url.pathname.replace(/\/+$/, '')}${DASHBOARD_PATH}`,
      transports: ['websocket'],
      forceNew: true,
      auth: token === undefined ? {} : { token },
      reconnectionDelay: reconnectDelayMs,
      reconnectionDelayMax: Math.max(reconnectDelayMs, LONGEST_RECONNECT_MS),
      randomizationFactor: 1,
    });
    this.#socket = socket;
    socket.on('connect', () => {
      this.#listen(socket);
      this.#subscribe();
    });
    socket.on('disconnect', (why) => this.#disconnected(socket, why));
    socket.on('connect_error', (error) => this.#notConnected(socket, error));
    socket.on('snapshot', (page: unknown) => this.#page(page));
    socket.on('changes', (changes: unknown) => this.#changes(changes));
    socket.on('resync', (why: unknown) => this.#resync(why));
    socket.on('hub', (state: unknown) => {
      const read = hubStateSchema.safeParse(state);
      if (read.success) this.emit('hub', read.data);
    });
  }

  /** Ends the connection. What is known stays. */
  stop(): void {
    clearTimeout(this.#pageTimer);
    clearTimeout(this.#retry);
    this.#state = { kind: 'stopped' };
    this.#socket?.removeAllListeners();
    this.#socket?.disconnect();
    this.#socket = undefined;
  }

  #disconnected(socket: Socket, why: string): void {
    clearTimeout(this.#pageTimer);
    clearTimeout(this.#retry);
    this.#state = { kind: 'away' };
    this.emit('lost', why);
    // The client does not come back by itself where the hub said goodbye.
    if (!socket.active && this.#socket) socket.connect();
  }

  #notConnected(socket: Socket, error: Error): void {
    const refusal = connectErrorSchema.safeParse('data' in error ? error.data : undefined);
    if (refusal.success) {
      this.#refused(refusal.data.code, error.message);
      return;
    }
    this.emit('unreachable', reasonOf(error));
    if (!socket.active && this.#socket) this.#later(() => socket.connect());
  }

  #refused(code: string, message: string): void {
    this.stop();
    this.emit('refused', code, message);
  }

  #later(run: () => void): void {
    const { resubscribeDelayMs = 500 } = this.#options;
    clearTimeout(this.#retry);
    // Spread: everyone who follows this hub was told the same.
    const most = resubscribeDelayMs * 2 ** Math.min(MOST_DOUBLINGS, this.#failed);
    this.#retry = setTimeout(run, most * (0.2 + 0.8 * Math.random()));
  }

  #subscribe(): void {
    this.#attempt += 1;
    const attempt = this.#attempt;
    this.#state = { kind: 'asking', attempt };
    const { filter = {}, fields = 'full', gzip = false } = this.#options;
    const request: SubscribeInput = {
      filter,
      fields,
      gzip,
      ...(this.#cursor !== undefined && { since: this.#cursor }),
    };
    this.#socket
      ?.timeout(ANSWER_WITHIN_MS)
      .emit('subscribe', request, (error: Error | null, answer: unknown) => {
        if (this.#state.kind !== 'asking' || this.#state.attempt !== attempt) return;
        if (!error) this.#answered(answer);
        else {
          this.#failed += 1;
          this.emit('unreachable', `no answer within ${ANSWER_WITHIN_MS / 1_000} s`);
          this.#later(() => this.#subscribe());
        }
      });
  }

  #answered(answer: unknown): void {
    const read = answerSchema.safeParse(answer);
    if (!read.success) {
      this.#refused('protocol', 'the hub answers in a way that this version does not understand');
    } else if (!read.data.ok) {
      const { code, message } = read.data;
      if (code === 'invalid') this.#refused(code, message);
      else this.#later(() => this.#subscribe());
    } else {
      const { resumed, cursor, hub } = read.data;
      this.#state = resumed
        ? { kind: 'following' }
        : { kind: 'collecting', cursor, nodes: new Map(), bytes: 0, remaining: Number.POSITIVE_INFINITY };
      this.#followsSince = performance.now();
      if (!resumed) this.#expectPage();
      this.emit('hub', hub);
      this.emit('subscribed', { resumed });
    }
  }

  #page(page: unknown): void {
    const state = this.#state;
    if (state.kind !== 'collecting') return;
    const read = readPage(page, this.#options.gzip ?? false);
    if (!read || read.remaining >= state.remaining) {
      this.#startOver('a page of the snapshot could not be read');
      return;
    }
    state.bytes += this.#takeHeard() + read.unpackedBytes;
    state.remaining = read.remaining;
    for (const node of read.nodes) state.nodes.set(node.id, node);
    if (state.bytes > this.#mostBytes || state.nodes.size > CLIENT_LIMITS.keptNodes) {
      this.#tooMuch();
      return;
    }
    if (read.remaining > 0) {
      this.#expectPage();
      return;
    }
    clearTimeout(this.#pageTimer);
    this.#kept.clear();
    this.#keptBytes = state.bytes;
    this.#cursor = state.cursor;
    this.#state = { kind: 'following' };
    this.#pictures += 1;
    const differences = this.#projection.replace(state.nodes);
    this.emit('picture', { first: this.#pictures === 1, differences });
  }

  #changes(changes: unknown): void {
    if (this.#state.kind === 'collecting') this.#startOver('changes came before the snapshot was whole');
    if (this.#state.kind !== 'following') return;
    const read = changesSchema.safeParse(changes);
    if (!read.success) {
      this.#startOver('changes could not be read');
      return;
    }
    if (!this.#keep(read.data.events)) return;
    for (const event of read.data.events) {
      const applied = this.#projection.apply(event);
      if (applied.kind === 'known') continue;
      if (applied.hole) this.emit('hole', applied.hole);
      this.emit('change', event, applied.before);
      if (applied.hole) {
        this.#startOver(`version ${event.seq} of ${event.nodeId} came without the one before`);
        return;
      }
    }
    this.#cursor = read.data.cursor;
  }

  /** Counts what comes on the connection, which may serve several sockets one after the other. */
  #listen({ io: { engine } }: Socket): void {
    this.#heardBytes = 0;
    if (this.#counted.has(engine)) return;
    this.#counted.add(engine);
    engine.on('packet', ({ data }) => {
      this.#heardBytes += bytesOf(data);
    });
  }

  #takeHeard(): number {
    const bytes = this.#heardBytes;
    this.#heardBytes = 0;
    return bytes;
  }

  /** The next page of the picture is to come soon. */
  #expectPage(): void {
    clearTimeout(this.#pageTimer);
    const late = () => this.#startOver('the snapshot did not go on');
    this.#pageTimer = setTimeout(late, CLIENT_LIMITS.pageWithinMs);
  }

  /** Counts what changes leave behind, a part of their message each. False where it is more than is kept. */
  #keep(events: readonly DashboardEvent[]): boolean {
    const bytes = this.#takeHeard() / Math.max(1, events.length);
    for (const { nodeId, type, left } of events) {
      this.#keptBytes -= this.#kept.get(nodeId) ?? 0;
      this.#kept.delete(nodeId);
      if (type === 'removed' || left) continue;
      this.#kept.set(nodeId, bytes);
      this.#keptBytes += bytes;
    }
    if (this.#keptBytes <= this.#mostBytes && this.nodes.size <= CLIENT_LIMITS.keptNodes) return true;
    this.#tooMuch();
    return false;
  }

  #tooMuch(): void {
    this.stop();
    const mib = Math.ceil(this.#mostBytes / 1024 / 1024);
    const most = `${mib} MiB or ${CLIENT_LIMITS.keptNodes.toLocaleString('en')} nodes`;
    this.emit('broken', `sends more than ${most}, which is not kept; a filter may help`);
  }

  #resync(why: unknown): void {
    const read = resyncSchema.safeParse(why);
    if (this.#state.kind === 'following' || this.#state.kind === 'collecting') {
      this.#startOver(read.success ? read.data.reason : 'the hub lost the thread');
    }
  }

  /** Something may be missing: only a new picture helps. */
  #startOver(reason: string): void {
    clearTimeout(this.#pageTimer);
    this.#failed = performance.now() - this.#followsSince > GOOD_MS ? 0 : this.#failed + 1;
    this.#followsSince = Number.POSITIVE_INFINITY;
    this.#cursor = undefined;
    this.#state = { kind: 'away' };
    this.emit('resync', reason);
    this.#later(() => this.#subscribe());
  }
}

/** A page, unpacked only where that was asked for, and no further than a message may be. */
function readPage(
  page: unknown,
  gzip: boolean,
): { nodes: ShownNode[]; remaining: number; unpackedBytes: number } | undefined {
  const zipped = gzip ? gzipPageSchema.safeParse(page) : undefined;
  if (!zipped?.success) {
    const { data } = snapshotSchema.safeParse(page);
    return data && { ...data, unpackedBytes: 0 };
  }
  try {
    const unpacked = gunzipSync(zipped.data.gzip, { maxOutputLength: CLIENT_LIMITS.messageBytes });
    const nodes: unknown = JSON.parse(unpacked.toString());
    const { data } = snapshotSchema.safeParse({ nodes, remaining: zipped.data.remaining });
    return data && { ...data, unpackedBytes: unpacked.length };
  } catch {
    return undefined;
  }
}

/** Bytes of a packet, about: texts are nearly all ASCII. */
function bytesOf(data: unknown): number {
  if (typeof data === 'string') return data.length;
  return data instanceof Uint8Array ? data.byteLength : 0;
}

/** Why a connection failed: the error of the socket below, where there is one. */
function reasonOf(error: Error): string {
  const below: unknown = 'description' in error ? error.description : undefined;
  const event = typeof below === 'object' && below !== null ? below : {};
  if (below instanceof Error) return connectionWords(below);
  if ('error' in event && event.error instanceof Error) return connectionWords(event.error);
  return 'message' in event && typeof event.message === 'string' && event.message !== ''
    ? event.message
    : connectionWords(error);
}
