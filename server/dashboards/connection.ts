import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { TokenBucket } from '../token-bucket.ts';

/** A dashboard that left more than this unread when the next changes come is cut off. */
const UNREAD_BYTES = 4 * 1024 * 1024;
const UNREAD_PACKETS = 64;
/** The next page of a snapshot or a replay goes once less than this is unread. */
const DRAINED_BYTES = 1_000_000;
/** How long a dashboard may take nothing at all of what it asked for. */
const NO_PROGRESS_MS = 30_000;
const DRAIN_LOOK_MS = 10;
/** What a dashboard may send: packets a second, over a burst. */
const PACKETS_PER_SECOND = 20;
const PACKETS_BURST = 100;

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

/**
 * The connection of one dashboard: what it has not read yet, and its end. The network socket's own buffer is
 * the honest measure of a slow reader, and destroying that socket is the only end that frees it at once.
 */
export class DashboardConnection {
  readonly remoteAddress: string;
  readonly #raw: EngineConnection;
  readonly #socket: Duplex;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #received: TokenBucket;
  /** Packets that Engine.IO holds back until the network socket took the ones before. */
  #heldPackets = 0;
  #heldBytes = 0;

  constructor(raw: EngineConnection, socket: Duplex, remoteAddress: string, clock: Clock, log: Log) {
    this.#raw = raw;
    this.#socket = socket;
    this.remoteAddress = remoteAddress;
    this.#clock = clock;
    this.#log = log;
    this.#received = new TokenBucket(PACKETS_PER_SECOND, PACKETS_BURST, clock.now());
    raw.on('packet', () => this.#countReceived());
    raw.on('packetCreate', ({ data }) => {
      this.#heldPackets += 1;
      this.#heldBytes += data?.length ?? 0;
    });
    raw.on('flush', () => {
      this.#heldPackets = 0;
      this.#heldBytes = 0;
    });
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

  /** Whether it reads too slowly to be sent any more. */
  get overloaded(): boolean {
    return this.unreadBytes > UNREAD_BYTES || this.#heldPackets > UNREAD_PACKETS;
  }

  /** Ends a dashboard that left too much unread, and returns whether it still keeps up. */
  keepsUp(): boolean {
    if (this.closed) return false;
    if (!this.overloaded) return true;
    this.cutOff('it reads too slowly');
    return false;
  }

  /** Ends the connection at once and frees what it had not read. The dashboard may reconnect and resume. */
  cutOff(why: string): void {
    if (this.closed) return;
    const { remoteAddress, unreadBytes } = this;
    this.#log.warn({ remoteAddress, unreadBytes, why }, 'Cutting off a dashboard');
    this.#raw.close(true);
    this.#socket.destroy();
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
    let least = this.unreadBytes;
    let progressAt = this.#clock.now();
    while (!this.closed && this.unreadBytes > DRAINED_BYTES) {
      await new Promise<void>((resolve) => void this.#clock.after(DRAIN_LOOK_MS, resolve));
      const now = this.#clock.now();
      if (this.unreadBytes < least) {
        least = this.unreadBytes;
        progressAt = now;
      } else if (now - progressAt > NO_PROGRESS_MS) {
        this.cutOff('it took nothing for too long');
      }
    }
    return !this.closed;
  }

  #countReceived(): void {
    if (!this.#received.take(this.#clock.now())) this.cutOff('it sends too much');
  }
}
