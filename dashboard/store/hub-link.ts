import { io, type Socket } from 'socket.io-client';
import { connectErrorSchema, DASHBOARD_PATH, resyncSchema } from '../../shared/index.ts';
import { pageClock } from '../page-clock.ts';
import type { Following } from './following.ts';

/** How the page stands to its hub. Times are milliseconds since the epoch, by the hub's clock. */
export type LinkState =
  /** No picture yet. `why`: the last attempt failed. */
  | { kind: 'connecting'; since: number; why: string | undefined }
  | { kind: 'loading'; received: number; total: number }
  | { kind: 'live' }
  | { kind: 'resyncing'; since: number; reason: string }
  /** There was a connection. Nothing is known of what happened after `since`. */
  | { kind: 'away'; since: number; why: string }
  | { kind: 'refused'; code: 'token_missing' | 'token_wrong' | 'forbidden' | 'not_understood' };

export interface HubLinkOptions {
  /** `http(s)://host:port/` with the path below which the hub is, where a proxy puts it there. */
  hubUrl: string;
  token: string | undefined;
  /** The first delay before a reconnect, in milliseconds; later ones grow to 10 s. Default 1,000. */
  reconnectDelayMs?: number;
  /** How often the hub is asked for a sign of life, in milliseconds. Default 4,000. */
  echoEveryMs?: number;
}

export interface HubLinkListener {
  state(state: LinkState): void;
  /** The hub was heard of. */
  heard(at: number): void;
  /** The subscription stands. */
  subscribed(): void;
  hub(message: unknown): void;
  stats(message: unknown): void;
}

/** How long a hub may take to answer a `subscribe`, and a sign of life. */
const ANSWER_WITHIN_MS = 15_000;
const ECHO_WITHIN_MS = 4_000;
const ECHO_EVERY_MS = 4_000;
const LONGEST_RECONNECT_MS = 10_000;
const ASK_AGAIN_MS = 500;

/** The connection to the hub: it comes back by itself, and says how long ago the hub was last heard of. */
export class HubLink {
  readonly #socket: Socket;
  readonly #following: Following;
  readonly #listener: HubLinkListener;
  readonly #tokenGiven: boolean;
  readonly #echoEveryMs: number;
  #heardAt: number | undefined;
  #echoTimer: ReturnType<typeof setInterval> | undefined;
  #askTimer: ReturnType<typeof setTimeout> | undefined;
  #hadPicture = false;
  #closed = false;
  #echoWaits = false;

  constructor(options: HubLinkOptions, following: Following, listener: HubLinkListener) {
    const { hubUrl, token, reconnectDelayMs = 1_000, echoEveryMs = ECHO_EVERY_MS } = options;
    this.#following = following;
    this.#listener = listener;
    this.#tokenGiven = token !== undefined;
    this.#echoEveryMs = echoEveryMs;
    const url = new URL(hubUrl);
    this.#socket = io(url.origin, {
      path: `${url.pathname.replace(/\/+$/, '')}${DASHBOARD_PATH}`,
      transports: ['websocket'],
      forceNew: true,
      auth: token === undefined ? {} : { token },
      reconnectionDelay: reconnectDelayMs,
      reconnectionDelayMax: Math.max(reconnectDelayMs, LONGEST_RECONNECT_MS),
      // Spread: everyone who looks at this hub lost it at the same moment.
      randomizationFactor: 1,
    });
    listener.state({ kind: 'connecting', since: pageClock.now(), why: undefined });
    this.#listen();
  }

  /** Asks for something and waits for the answer. Rejects where the connection is away or the hub is silent. */
  ask(message: 'node' | 'history', payload: object): Promise<unknown> {
    if (!this.#socket.connected) return Promise.reject(new Error('not connected'));
    return this.#socket.timeout(ANSWER_WITHIN_MS).emitWithAck(message, payload);
  }

  watch(ids: readonly string[]): void {
    if (this.#socket.connected) this.#socket.emit('watch', { ids });
  }

  /** The machine woke up, the network is another, or somebody lost patience: find out now. */
  checkNow(): void {
    if (this.#closed) return;
    if (this.#socket.connected) this.#echo();
    else if (!this.#socket.active) this.#socket.connect();
    else this.#reconnectNow();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#askTimer);
    clearInterval(this.#echoTimer);
    this.#socket.removeAllListeners();
    this.#socket.io.removeAllListeners();
    this.#socket.disconnect();
    this.#following.lost();
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on('connect', () => {
      this.#heard();
      clearInterval(this.#echoTimer);
      this.#echoTimer = setInterval(() => this.#echo(), this.#echoEveryMs);
      this.#subscribe();
    });
    socket.on('disconnect', (why) => this.#disconnected(why));
    socket.on('connect_error', (error) => this.#notConnected(error));
    socket.on('snapshot', (page: unknown) => this.#following.page(page));
    socket.on('changes', (changes: unknown) => this.#following.changes(changes));
    socket.on('resync', (why: unknown) => {
      const read = resyncSchema.safeParse(why);
      this.#following.resync(read.success ? read.data.reason : 'the hub lost the thread');
    });
    socket.on('hub', (message: unknown) => this.#listener.hub(message));
    socket.on('stats', (message: unknown) => this.#listener.stats(message));
    socket.onAny(() => this.#heard());
    socket.io.on('ping', () => this.#heard());
  }

  /** A new picture is needed: it is asked for a little later, spread, because others were told the same. */
  startOver(reason: string): void {
    this.#listener.state({ kind: 'resyncing', since: this.#heardAt ?? pageClock.now(), reason });
    this.#askLater();
  }

  /** The picture is whole, or the missed changes are coming. */
  pictured(): void {
    this.#hadPicture = true;
    this.#listener.state({ kind: 'live' });
  }

  #heard(): void {
    this.#heardAt = pageClock.now();
    this.#listener.heard(this.#heardAt);
  }

  #disconnected(why: string): void {
    clearTimeout(this.#askTimer);
    clearInterval(this.#echoTimer);
    this.#echoWaits = false;
    this.#following.lost();
    this.#away(wordsFor[why] ?? why);
    // The client does not come back by itself where the hub said goodbye, or where we gave it up.
    if (!this.#socket.active && !this.#closed) this.#socket.connect();
  }

  #away(why: string): void {
    const since = this.#heardAt;
    this.#listener.state(
      this.#hadPicture && since !== undefined
        ? { kind: 'away', since, why }
        : { kind: 'connecting', since: since ?? pageClock.now(), why },
    );
  }

  #notConnected(error: Error): void {
    const refusal = connectErrorSchema.safeParse('data' in error ? error.data : undefined);
    if (refusal.success) {
      const { code } = refusal.data;
      const missing = this.#tokenGiven ? 'token_wrong' : 'token_missing';
      this.#refused(code === 'forbidden' ? 'forbidden' : missing);
      return;
    }
    this.#away('the hub does not answer');
    if (!this.#socket.active) this.#askTimer = setTimeout(() => this.#socket.connect(), 2 * ASK_AGAIN_MS);
  }

  #refused(code: Extract<LinkState, { kind: 'refused' }>['code']): void {
    this.close();
    this.#listener.state({ kind: 'refused', code });
  }

  #subscribe(): void {
    const following = this.#following;
    following.asked();
    const since = following.cursor;
    if (!this.#hadPicture) this.#listener.state({ kind: 'loading', received: 0, total: 0 });
    const request = { filter: {}, fields: 'summary', gzip: true, ...(since !== undefined && { since }) };
    const id = this.#socket.id;
    this.#socket
      .timeout(ANSWER_WITHIN_MS)
      .emit('subscribe', request, (error: Error | null, answer: unknown) => {
        if (this.#closed || id !== this.#socket.id || following.state !== 'asking') return;
        this.#answered(error ? undefined : following.answered(answer));
      });
  }

  #answered(outcome: ReturnType<Following['answered']> | undefined): void {
    if (outcome === 'not_understood') this.#refused('not_understood');
    else if (outcome === undefined || outcome === 'later') this.#askLater();
    else {
      if (outcome === 'resumed') this.pictured();
      else if (this.#hadPicture) {
        const reason = 'too much happened meanwhile';
        this.#listener.state({ kind: 'resyncing', since: this.#heardAt ?? pageClock.now(), reason });
      }
      this.#listener.subscribed();
    }
  }

  #askLater(): void {
    clearTimeout(this.#askTimer);
    this.#askTimer = setTimeout(
      () => {
        if (this.#socket.connected) this.#subscribe();
      },
      ASK_AGAIN_MS * (0.2 + 0.8 * Math.random()),
    );
  }

  /**
   * Socket.IO notices a line that is dead without a word after 30 s. A request that needs no work (it names no
   * node, so that the hub refuses it at once) tells within seconds: any answer is a sign of life.
   */
  #echo(): void {
    if (this.#echoWaits || !this.#socket.connected) return;
    this.#echoWaits = true;
    const id = this.#socket.id;
    this.#socket.timeout(ECHO_WITHIN_MS).emit('node', {}, (error: Error | null) => {
      if (id !== this.#socket.id) return;
      this.#echoWaits = false;
      if (!error) this.#heard();
      else this.#reconnectNow();
    });
  }

  #reconnectNow(): void {
    if (this.#closed) return;
    this.#socket.disconnect();
    this.#socket.connect();
  }
}

const wordsFor: Readonly<Record<string, string>> = {
  'io server disconnect': 'the hub ended the connection',
  'io client disconnect': 'the hub stopped answering',
  'ping timeout': 'the hub stopped answering',
  'transport close': 'the connection broke',
  'transport error': 'the connection broke',
};
