import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isBehind, isFull, SlowReaderWatch } from '../edge/slow-reader.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { TokenBucket } from '../runtime/token-bucket.ts';

/** The next page of a snapshot or a replay is sent once less than this is unread. */
const DRAINED_BYTES = 1_000_000;
const DRAIN_CHECK_MS = 10;
/** Memory that Engine.IO needs for a packet beside its data, roughly. */
const PACKET_BYTES = 256;
/** Packets a second that a dashboard may send, and a burst. */
const PACKETS_PER_SECOND = 20;
const PACKETS_BURST = 100;
/** Packets that gathered during a stall of this hub are no flood, up to those of this time. */
const GATHERED_MS = 60_000;

/** The part of Engine.IO's connection that is used here. */
export interface EngineConnection {
  readonly readyState: string;
  /** `packet`: received. `packetCreate`: about to be sent. `flush`: all waiting packets went to the network socket. */
  on(event: 'packet' | 'packetCreate' | 'flush', listener: (packet: OutgoingPacket) => void): unknown;
  close(discard: boolean): unknown;
}

export interface ConnectionParts {
  remoteAddress: string;
  clock: Clock;
  log: Log;
  /** Called with the bytes of each packet to the dashboard. */
  sent: (bytes: number) => void;
}

/**
 * The connection of one dashboard: its unread bytes, and its end. The network socket's own buffer is the only reliable
 * measure of a slow reader, and a reset of that socket is the only end that frees all of it at once.
 */
export class DashboardConnection {
  readonly remoteAddress: string;
  readonly #raw: EngineConnection;
  readonly #socket: Duplex;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #received: TokenBucket;
  readonly #slowness = new SlowReaderWatch();
  /** Bytes that Engine.IO holds back until the network socket took the packets before. */
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

  /** This hub stalled for this time. */
  stoodStill(ms: number): void {
    const packets = (Math.min(ms, GATHERED_MS) / 1_000) * PACKETS_PER_SECOND;
    this.#received.give(packets, this.#clock.now());
  }

  get closed(): boolean {
    return this.#socket.destroyed || this.#raw.readyState !== 'open';
  }

  /** Whether the network socket is closed. */
  get ended(): boolean {
    return this.#socket.destroyed;
  }

  /** Bytes that were sent and not taken yet. */
  get unreadBytes(): number {
    return this.#socket.writableLength + this.#heldBytes;
  }

  /** Whether messages that can wait should wait. */
  get behind(): boolean {
    return isBehind(this.unreadBytes);
  }

  /** Ends a dashboard whose unread bytes are at the limit, and returns whether more may be sent. */
  takesMore(): boolean {
    if (this.closed) return false;
    if (!isFull(this.unreadBytes)) return true;
    this.cutOff('too much is unread');
    return false;
  }

  /** Ends a dashboard that reads nothing, or too slowly. To be called every `CHECK_EVERY_MS`. */
  check(): void {
    const why = this.#slowness.check(this.unreadBytes);
    if (why !== undefined) this.cutOff(why);
  }

  /** Ends the connection at once and frees its unread bytes. The dashboard may reconnect and resume. */
  cutOff(why: string): void {
    if (this.ended) return;
    const { remoteAddress, unreadBytes } = this;
    this.#log.warn({ remoteAddress, unreadBytes, why }, 'Cutting off a dashboard');
    this.#raw.close(true);
    // An orderly end would keep the bytes in the kernel until they are read, and reach the reader after these.
    if (this.#socket instanceof Socket) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  /** Ends the connection without a reason. */
  destroy(): void {
    this.#socket.destroy();
  }

  /**
   * Waits until most of the sent bytes are taken, and at least for the next round of the event loop, so that heartbeats
   * are served between pages. False: the connection is over.
   */
  async drained(): Promise<boolean> {
    await nextTurn();
    while (!this.closed && this.unreadBytes > DRAINED_BYTES) {
      await this.#clock.sleep(DRAIN_CHECK_MS);
    }
    return !this.closed;
  }

  #countReceived(): void {
    if (!this.#received.take(this.#clock.now())) this.cutOff('it sends too much');
  }
}

interface OutgoingPacket {
  data?: string | Buffer;
}
