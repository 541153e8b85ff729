import { Redis } from 'ioredis';
import type { Clock } from '../../runtime/clock.ts';
import { commonOptions } from './redis-client.ts';
import type { HostPort, SentinelTarget } from './redis-url.ts';

/** A lost subscription to a Sentinel is retried after a second or two. */
const retryDelayMs = (): number => 1_000 + 1_000 * Math.random();

/** Sentinels exchange their state every two seconds: by then all name the new primary themselves. */
const BELIEVED_FOR_MS = 10_000;

/** Published by one Sentinel when it has promoted a replica, and by each when it learns of it. */
const CHANNELS = ['+promoted-slave', '+switch-master'];

/**
 * Subscribes to the Sentinels for a new primary. Without that, a hub would leave the old one only when its connection
 * ends: seconds late if that hangs, and after a failover by hand the old one accepts writes for another ten seconds,
 * all of which are lost. ioredis' own `failoverDetector` ends a client for ever if the message comes while it connects.
 */
export class SentinelWatch {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #clients: readonly Redis[];
  readonly #moved: (to: HostPort) => void;
  #last: (Switch & { at: number }) | undefined;

  /** `moved` is called, perhaps several times for one failover, with the address of the primary. */
  constructor(
    target: SentinelTarget,
    parts: { clock: Clock; commandTimeoutMs: number; moved: (to: HostPort) => void },
  ) {
    this.#name = target.name;
    this.#clock = parts.clock;
    this.#moved = parts.moved;
    this.#clients = target.sentinels.map((at) => {
      const client = new Redis({
        ...commonOptions(parts.commandTimeoutMs),
        ...target.sentinelCredentials,
        ...at,
        retryStrategy: retryDelayMs,
        enableReadyCheck: false,
      });
      // One absent Sentinel is no fault while another answers, and the link reports if none does.
      client.on('error', () => {});
      client.on('ready', () => void client.subscribe(...CHANNELS).catch(() => {}));
      client.on('message', (channel: string, text: string) => this.#received(channel, text));
      return client;
    });
  }

  start(): void {
    for (const client of this.#clients) client.connect().catch(() => {});
  }

  close(): void {
    for (const client of this.#clients) client.disconnect();
  }

  /** The address of the primary for the one that a Sentinel names, which may not know of the failover yet. */
  whereIs(named: string): HostPort | null {
    const last = this.#last;
    if (!last || last.from !== named || this.#clock.now() - last.at > BELIEVED_FOR_MS) return null;
    return last.to;
  }

  #received(channel: string, text: string): void {
    const found = readSwitch(channel, text, this.#name);
    if (!found) return;
    this.#last = { ...found, at: this.#clock.now() };
    this.#moved(found.to);
  }
}

/** Reads `NAME OLD-HOST OLD-PORT HOST PORT`, or of a promotion `slave … HOST PORT @ NAME OLD-HOST OLD-PORT`. */
export function readSwitch(channel: string, text: string, name: string): Switch | undefined {
  const words = text.split(' ');
  const [of, oldHost, oldPort, host, port] =
    channel === '+switch-master' ? words : [words[5], words[6], words[7], words[2], words[3]];
  if (of !== name || !oldHost || !oldPort || !host || !Number.isInteger(Number(port))) return undefined;
  return { from: `${oldHost}:${oldPort}`, to: { host, port: Number(port) } };
}

interface Switch {
  from: string;
  to: HostPort;
}
