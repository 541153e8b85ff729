import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isBehind, isFull, SlowReaderWatch } from '../edge/slow-reader.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { TokenBucket } from '../runtime/token-bucket.ts';

/** The next page of a snapshot or a replay goes once less than this is unread. */
const DRAINED_BYTES = 1_000_000;
const DRAIN_CHECK_MS = 10;
/** What Engine.IO keeps of a packet beside its data, about. */
const PACKET_BYTES = 256;
/** What a dashboard may send: packets a second, over a burst. */
const PACKETS_PER_SECOND = 20;
const PACKETS_BURST = 100;
/** Packets that gathered while this hub stood still are no flood, up to those of so long. */
const GATHERED_MS = 60_000;

/** What is needed of the connection that Engine.IO makes over the network socket. */
export interface EngineConnection {
  readonly readyState: string;
  /** `packet`: one was received. `packetCreate`: one is to be sent. `flush`: all that waited were handed on. */
  on(event: 'packet' | 'packetCreate' | 'flush', listener: (packet: OutgoingPacket) => void): unknown;
  close(discard: boolean): unknown;
}

interface OutgoingPacket {
  data?: string | Buffer;
}

export interface ConnectionParts {
  remoteAddress: string;
  clock: Clock;
  log: Log;
  /** Is told of each packet that goes to the dashboard, in bytes. */
  sent: (bytes: number) => void;
}

/**
 * The connection of one dashboard: what it has not read yet, and its end. The network socket's own buffer is
 * the honest measure of a slow reader, and resetting that socket is the only end that frees all of it at once.
 */
export class DashboardConnection {
  readonly remoteAddress: string;
  readonly #raw: EngineConnection;
  readonly #socket: Duplex;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #received: TokenBucket;
  readonly #slowness = new SlowReaderWatch();
  /** What Engine.IO holds back until the network socket took the packets before. */
  #heldBytes = 0;

  constructor(raw: EngineConnection, socket: Duplex, parts: ConnectionParts) {
    const { remoteAddress, clock, log, sent } = parts;
    this.#raw = raw;
    this.#socket = socket;
    this.remoteAddress = remoteAddress;
    this.#clock = clock;
    this.#log = log;
    this.#received = new TokenBucket(PACKETS_PER_SECOND, PACKETS_BURST, clock.now());
    raw.on('packet', () => this.#countReceived());
    raw.on('packetCreate', ({ data }) => {
      const bytes = PACKET_BYTES + (data?.length ?? 0);
      this.#heldBytes += bytes;
      sent(bytes);
    });
    raw.on('flush', () => {
      this.#heldBytes = 0;
    });
  }

  /** This hub stood still for so long. */
  stoodStill(ms: number): void {
    const packets = (Math.min(ms, GATHERED_MS) / 1_000) * PACKETS_PER_SECOND;
    this.#received.give(packets, this.#clock.now());
  }

  get closed(): boolean {
    return this.#socket.destroyed || this.#raw.readyState !== 'open';
  }

  /** Whether its network socket is gone. */
  get ended(): boolean {
    return this.#socket.destroyed;
  }

  /** Bytes that were sent and not taken yet. */
  get unreadBytes(): number {
    return this.#socket.writableLength + this.#heldBytes;
  }

  /** Whether so much is unread that what can wait should. */
  get behind(): boolean {
    return isBehind(this.unreadBytes);
  }

  /** Ends a dashboard for which no more can be kept, and returns whether it may be sent something. */
  takesMore(): boolean {
    if (this.closed) return false;
    if (!isFull(this.unreadBytes)) return true;
    this.cutOff('too much is unread');
    return false;
  }

  /** Ends a dashboard that does not read, or not fast enough. To be called every `CHECK_EVERY_MS`. */
  check(): void {
    const why = this.#slowness.check(this.unreadBytes);
    if (why !== undefined) this.cutOff(why);
  }

  /** Ends the connection at once and frees what it had not read. The dashboard may reconnect and resume. */
  cutOff(why: string): void {
    if (this.ended) return;
    const { remoteAddress, unreadBytes } = this;
    this.#log.warn({ remoteAddress, unreadBytes, why }, 'Cutting off a dashboard');
    this.#raw.close(true);
    // An end in good order would keep what the kernel took until it is read, and come to the reader after it.
    if (this.#socket instanceof Socket) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  /** Ends the connection without a word of why. */
  destroy(): void {
    this.#socket.destroy();
  }

  /**
   * Waits until most of what was sent has been taken, and at least for the next turn of the event loop, so
   * that heartbeats are served between pages. False: the connection is over.
   */
  async drained(): Promise<boolean> {
    await nextTurn();
    while (!this.closed && this.unreadBytes > DRAINED_BYTES) {
      await new Promise<void>((resolve) => void this.#clock.after(DRAIN_CHECK_MS, resolve));
    }
    return !this.closed;
  }

  #countReceived(): void {
    if (!this.#received.take(this.#clock.now())) this.cutOff('it sends too much');
  }
}
