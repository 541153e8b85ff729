import { Cluster } from 'ioredis';
import { connectionWords, isTlsProblem } from '../../../shared/index.ts';
import type { Cancel, Clock } from '../../runtime/clock.ts';
import { StoreAwayError, StoreRefusedError } from '../fleet-store.ts';
import { OneWriteATurn } from './one-write-a-turn.ts';
import { makeClient, makeSubscriber, type RedisClient } from './redis-client.ts';
import { describeTarget, type HostPort, type RedisTarget } from './redis-url.ts';
import { SentinelWatch } from './sentinel-watch.ts';
import { wrongTransport } from './transport.ts';

/** The part of a pino logger that the store needs. */
export interface StoreLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface LinkOptions {
  target: RedisTarget;
  /** The bell's channel. */
  channel: string;
  clock: Clock;
  logger?: StoreLogger;
  /** A command without an answer within this time has failed. */
  commandTimeoutMs: number;
  /** How long `open` waits for the first connection. */
  openWithinMs: number;
}

/** The subject of a call: a shard, or the whole fleet. Parts of a Cluster can be away on their own. */
export type Part = number | 'fleet';

/** While part of a Cluster is away, how often it is asked for the new owner of its slots. */
const ASK_SLOTS_EVERY_MS = 100;

/** Errors of a connection that a retry does not mend. */
const REFUSALS =
  /WRONGPASS|NOAUTH|NOPERM|invalid username-password|DB index is out of range|cluster support disabled/;

/** The connections to Redis: one for commands, one for the bell. Each failure is a `StoreAwayError`. */
export class RedisLink {
  readonly #options: LinkOptions;
  readonly #client: RedisClient;
  readonly #subscriber: RedisClient;
  readonly #writes: OneWriteATurn;
  readonly #away = new Set<Part>();
  readonly #listeners = new Set<(payload: string) => void>();
  readonly #lossListeners = new Set<() => void>();
  readonly #watch: SentinelWatch | undefined;
  #askingSlots: Cancel | undefined;
  #lastError: Error | undefined;
  #mayNotListen = false;
  #closing: Promise<void> | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    const { target, clock, commandTimeoutMs } = options;
    if (target.kind === 'sentinel')
      this.#watch = new SentinelWatch(target, { clock, commandTimeoutMs, moved: (to) => this.#follow(to) });
    const whereIs = (named: string) => this.#watch?.whereIs(named) ?? null;
    this.#client = makeClient(target, { commandTimeoutMs, whereIs });
    this.#writes = new OneWriteATurn(this.#client);
    this.#subscriber = makeSubscriber(target, this.#client, { commandTimeoutMs, whereIs });
    for (const client of new Set([this.#client, this.#subscriber])) {
      client.on('error', (error: Error) => this.#remember(error));
      client.on('node error', (error: Error) => this.#remember(error));
    }
    this.#client.on('close', () => {
      for (const listener of this.#lossListeners) listener();
    });
    this.#subscriber.on('message', (_channel: string, payload: string) => {
      for (const listener of this.#listeners) listener(payload);
    });
  }

  /**
   * Waits for the first connection. Throws `StoreAwayError` if none comes, `StoreRefusedError` if the server refuses
   * it, its certificate is not trusted, or only one side speaks TLS.
   */
  async open(): Promise<void> {
    const name = describeTarget(this.#options.target);
    const late = () =>
      new StoreAwayError(
        `${name} cannot be reached: ${this.#lastError ? inWords(this.#lastError) : 'no answer'}`,
        {
          cause: this.#lastError,
        },
      );
    try {
      await this.#within(late, (fail) => {
        const whenRefused = (error: Error) => {
          const cause = withoutArguments(error);
          if (REFUSALS.test(error.message))
            fail(new StoreRefusedError(`${name} refuses us: ${error.message}`, { cause }));
          else if (isTlsProblem(error))
            fail(new StoreRefusedError(`${name} cannot be used: ${connectionWords(error)}`, { cause }));
        };
        this.#client.on('error', whenRefused);
        this.#client.on('node error', whenRefused);
        // Behind Sentinels there is no connection yet that could close.
        const whenFailed = once(() => this.#checkTransport(name, fail));
        for (const event of ['close', 'error', 'node error']) this.#client.on(event, whenFailed);
        return this.#connect();
      });
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** An attempt failed, perhaps because one side speaks TLS and the other does not. */
  async #checkTransport(name: string, fail: (error: Error) => void): Promise<void> {
    if (this.#closing || this.#client.status === 'ready') return;
    const why = await wrongTransport(this.#options.target, this.#options.commandTimeoutMs);
    if (why !== undefined) fail(new StoreRefusedError(`${name} cannot be used: ${why}`));
  }

  /** Sends one command or script call about a part of the fleet. */
  async run<T>(part: Part, send: (client: RedisClient) => Promise<T>): Promise<T> {
    if (this.#client.status !== 'ready')
      throw this.#failed(part, this.#lastError ?? new Error('there is no connection'));
    let reply: T;
    this.#writes.hold();
    try {
      reply = await send(this.#client);
    } catch (error) {
      throw this.#failed(part, error);
    }
    if (this.#away.delete(this.#ownPart(part)) && this.#away.size === 0) this.#isBack();
    return reply;
  }

  /**
   * Sends several commands about one shard at once, as `pipeline` does; `undefined` is the reply of a command on a key
   * of another type.
   */
  async lenientPipeline(
    part: Part,
    build: (pipeline: ReturnType<RedisClient['pipeline']>) => void,
  ): Promise<unknown[]> {
    return this.#pipeline(part, build, (error) => {
      if (!isWrongType(error)) throw error;
      return undefined;
    });
  }

  /** Sends several commands about one shard at once; on a Cluster their keys are on one node. */
  async pipeline(
    part: Part,
    build: (pipeline: ReturnType<RedisClient['pipeline']>) => void,
  ): Promise<unknown[]> {
    return this.#pipeline(part, build, (error) => {
      throw error;
    });
  }

  #pipeline(
    part: Part,
    build: (pipeline: ReturnType<RedisClient['pipeline']>) => void,
    failed: (error: Error) => unknown,
  ): Promise<unknown[]> {
    return this.run(part, async (client) => {
      const pipeline = client.pipeline();
      build(pipeline);
      const answers = (await pipeline.exec()) ?? [];
      return answers.map(([error, reply]) => {
        return error ? failed(error) : reply;
      });
    });
  }

  /** Runs one command on every server that holds data. */
  async onEveryMaster<T>(send: (client: RedisClient) => Promise<T>): Promise<T[]> {
    return this.run('fleet', (client) =>
      Promise.all((client instanceof Cluster ? client.nodes('master') : [client]).map(send)),
    );
  }

  /** Calls back with every message of the bell. Returns a function that ends it. */
  onBell(listener: (payload: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls back when the connection for commands is lost. Returns a function that ends it. */
  onLost(listener: () => void): () => void {
    this.#lossListeners.add(listener);
    return () => this.#lossListeners.delete(listener);
  }

  /** Ends the connections. Commands in progress fail. Calling it twice is harmless. */
  close(): Promise<void> {
    this.#listeners.clear();
    this.#lossListeners.clear();
    this.#watch?.close();
    this.#askingSlots?.();
    this.#closing ??= Promise.all(
      [...new Set([this.#client, this.#subscriber])].map((client) => end(client, this.#options.clock)),
    ).then(() => {});
    return this.#closing;
  }

  async #connect(): Promise<void> {
    const subscribed = new Promise<void>((resolve) => {
      this.#subscriber.on('ready', () => void this.#subscribe().then(resolve));
    });
    const ready = new Promise<void>((resolve) => this.#client.once('ready', resolve));
    this.#watch?.start();
    // The first attempt may fail: the clients retry, and the deadline decides.
    for (const client of new Set([this.#client, this.#subscriber])) client.connect().catch(() => {});
    await Promise.all([ready, subscribed]);
  }

  /** The bell is an optimization: without it, changes wait for the next tick. */
  async #subscribe(): Promise<void> {
    try {
      await this.#subscriber.subscribe(this.#options.channel);
    } catch (error) {
      // A lost connection is subscribed again when it is back; a user without permission is logged once.
      const { message } = withoutArguments(error);
      if (this.#mayNotListen || !REFUSALS.test(message)) return;
      this.#mayNotListen = true;
      this.#options.logger?.warn(
        { why: message },
        'Redis refuses SUBSCRIBE: changes arrive up to half a second later',
      );
    }
  }

  async #within<T>(late: () => Error, work: (fail: (error: Error) => void) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const cancel = this.#options.clock.after(this.#options.openWithinMs, () => reject(late()));
      work(reject).then(resolve, reject).finally(cancel);
    });
  }

  #remember(error: Error): void {
    // A Cluster's "all nodes failed" is less useful than the error of the last node.
    const inner = 'lastNodeError' in error ? error.lastNodeError : undefined;
    this.#lastError = withoutArguments(inner instanceof Error ? inner : error);
  }

  /** Only parts of a Cluster fail on their own. */
  #ownPart(part: Part): Part {
    return this.#client.isCluster ? part : 'fleet';
  }

  #isAway(why: string): void {
    this.#options.logger?.warn({ why }, 'Redis is away');
    const client = this.#client;
    if (client instanceof Cluster)
      // There is no event for it: commands for a frozen master wait, although it has a successor.
      this.#askingSlots = this.#options.clock.every(ASK_SLOTS_EVERY_MS, () => client.refreshSlotsCache());
  }

  #isBack(): void {
    this.#askingSlots?.();
    this.#options.logger?.info({}, 'Redis is back');
  }

  /** The primary has moved: connections to another server, which may hang, or lose all its writes, are ended. */
  #follow(to: HostPort): void {
    for (const client of [this.#client, this.#subscriber]) {
      if (client instanceof Cluster || !client.stream) continue;
      const { remoteAddress, remotePort } = client.stream;
      if (remoteAddress !== to.host || remotePort !== to.port) client.stream.destroy();
    }
  }

  #failed(part: Part, error: unknown): Error {
    const cause = withoutArguments(error);
    if (isWrongType(cause)) return new WrongTypeError(cause.message, { cause });
    const { message } = cause;
    if (this.#away.size === 0 && !this.#closing) this.#isAway(message);
    this.#away.add(this.#ownPart(part));
    return new StoreAwayError(`Redis is away: ${message}`, { cause });
  }
}

/** A key of the fleet has another type. Redis itself is healthy. */
export class WrongTypeError extends Error {
  override name = 'WrongTypeError';
}

export const isWrongType = (error: Error): boolean => error.message.includes('WRONGTYPE');

/** An error of ioredis without the command's arguments, which may be a password, or an agent's data. */
function withoutArguments(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if ('command' in error) error.command = undefined;
  return error;
}

/** A server that hangs does not delay the end beyond this. */
const END_WITHIN_MS = 1_000;

/** Disconnects a client and waits until its sockets are closed. */
async function end(client: RedisClient, clock: Clock): Promise<void> {
  const wasOpen = client.status === 'ready' || client.status === 'connect';
  const ended = new Promise<void>((resolve) => client.once('end', resolve));
  client.disconnect();
  if (!wasOpen) return;
  await new Promise<void>((resolve) => {
    const cancel = clock.after(END_WITHIN_MS, resolve);
    void ended.then(() => {
      cancel();
      resolve();
    });
  });
}

/** An error of the library during a connection attempt, in words. */
function inWords(error: Error): string {
  return /^All sentinels are unreachable/.test(error.message)
    ? 'none of them answers'
    : connectionWords(error);
}

function once(work: () => Promise<void>): () => void {
  let begun = false;
  return () => {
    if (begun) return;
    begun = true;
    void work();
  };
}
