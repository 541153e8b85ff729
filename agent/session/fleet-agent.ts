import { EventEmitter } from 'node:events';
import {
  AGENT_PROTOCOL,
  CLOSE,
  FEATURES,
  type HeartbeatSet,
  type HeartbeatTiming,
  type NodeFacts,
  type NodeStats,
  type RegisterInput,
} from '../../shared/index.ts';
import type { AgentState, FleetAgentEvents, SessionEnd } from './agent-events.ts';
import {
  type AgentConfig,
  type AgentNode,
  checkInterval,
  checkNode,
  checkOptions,
  checkToken,
  type FleetAgentOptions,
} from './agent-options.ts';
import { BACKOFF, Backoff } from './backoff.ts';
import { Contest } from './contest.ts';
import { type Deferred, deferred } from './deferred.ts';
import { Deregistration, deregisterMessage } from './deregistration.ts';
import { logEnd } from './end-log.ts';
import { FleetAgentError } from './errors.ts';
import { Heartbeat, type HeartbeatListener } from './heartbeat.ts';
import { HubConnection, type HubConnectionListener } from './hub-connection.ts';
import type { HubError, HubMessage, Registered } from './hub-messages.ts';
import { HubUrls } from './hub-urls.ts';
import { shortSession } from './log.ts';
import {
  type Ceilings,
  ceilings,
  delayBefore,
  describeEnd,
  type Ended,
  likelyTimeoutMs,
  mayBeAlone,
  type NextStep,
  nextStep,
} from './next-step.ts';
import { Search, type SearchCause } from './search.ts';
import { onWake } from './sleep-watch.ts';
import { StatsReporter, StatsWriter } from './stats-reporter.ts';

/** What the agent is doing; each phase holds only what is valid in it. */
type Phase =
  | { name: 'idle' }
  | { name: 'waiting'; next: NextStep; cancel: () => void }
  | { name: 'connecting'; connection: HubConnection }
  | {
      name: 'live';
      connection: HubConnection;
      heartbeat: Heartbeat;
      sinceMs: number;
      search?: Search;
      olderHub?: true;
    };

/** A changed address is registered at most so often. */
const ADDRESS_EVERY_MS = 30_000;

/** However short the node's timeout, a connection attempt gets this long: TCP, TLS and a busy hub. */
const SHORTEST_HANDSHAKE_MS = 1_000;

/**
 * One node's agent: it registers with a hub, beats, and returns after every loss, for ever, until it is stopped
 * or its node is removed. It throws out of no timer and no socket, holds no queue (only the latest stats count),
 * and leaves neither timer nor socket behind once it is stopped.
 *
 *     const agent = new FleetAgent({ hubUrl: 'ws://127.0.0.1:8080/agent', node: { hostname: 'web-1' } });
 *     agent.on('state', ({ to, why }) => console.log(to, why));
 *     await agent.start();
 *     await agent.stop();
 */
export class FleetAgent extends EventEmitter<FleetAgentEvents> {
  readonly #config: AgentConfig;
  readonly #urls: HubUrls;
  readonly #backoff: Backoff;
  readonly #contest = new Contest();
  readonly #reporter: StatsReporter | undefined;
  readonly #statsWriter: StatsWriter;
  readonly #first: Deferred<Registered> = deferred();
  #node: NodeFacts;
  #token: string | undefined;
  #askedIntervalMs: number | undefined;
  /** The address that was found and registered, where none is set. */
  #address: string | undefined;
  #addressSaidMs = Number.NEGATIVE_INFINITY;
  #state: AgentState = 'not-started';
  #phase: Phase = { name: 'idle' };
  #hub = '';
  #reply: Registered | undefined;
  #timing: HeartbeatTiming | undefined;
  #unsentStats: NodeStats | undefined;
  #leaving: Deregistration | undefined;
  #stopping: Promise<void> | undefined;
  #unwatch: (() => void) | undefined;

  /** Throws a `FleetAgentError` `invalid_options` that names what is wrong. Connects nowhere yet. */
  constructor(options: FleetAgentOptions) {
    super();
    const config = checkOptions(options);
    this.#config = config;
    this.#node = config.node;
    this.#token = config.token;
    this.#askedIntervalMs = config.askedIntervalMs;
    this.#urls = new HubUrls(config.hubUrls, config.random);
    this.#backoff = new Backoff(config.random);
    this.#statsWriter = new StatsWriter(config.logger);
    if (config.stats) {
      this.#reporter = new StatsReporter({
        provider: config.stats,
        timeoutMs: config.statsTimeoutMs,
        clock: config.clock,
        logger: config.logger,
        send: (stats) => void this.#sendStats(stats),
      });
    }
  }

  get state(): AgentState {
    return this.#state;
  }

  /** The node's id, from the first registration on; before it, the id that was asked for, if any. */
  get nodeId(): string | undefined {
    return this.#reply?.nodeId ?? this.#node.nodeId;
  }

  /** The hub's last reply. `session` in it is a secret between agent and hub. */
  get registered(): Registered | undefined {
    return this.#reply;
  }

  /** The UUID of this agent's start. */
  get instanceId(): string {
    return this.#config.instanceId;
  }

  /**
   * Begins, and resolves with the hub's reply to the first registration, however long that takes. It rejects
   * only when the agent ends before: `stopped` after `stop()`, `removed` where the hub said so. Who does not
   * await it loses nothing. Further calls return the same promise; a stopped agent cannot be started again.
   */
  start(): Promise<Registered> {
    if (this.#state === 'not-started' && this.#stopping === undefined) {
      this.#unwatch = onWake(this.#config.clock, (gap) => this.#woke(gap));
      this.#enter('registering', 'started');
      this.#connect();
    }
    return this.#first.promise;
  }

  /**
   * Ends the agent with a goodbye, so that the hub shows the node as offline at once (`agent_stopped`), and
   * resolves when nothing runs any more: after `stopTimeoutMs` the connection is cut. May be called twice.
   */
  stop(): Promise<void> {
    this.#stopping ??= Promise.resolve().then(() => this.#stop());
    return this.#stopping;
  }

  /**
   * Has the hub remove this node, and ends the agent. Resolves when the hub confirmed it. Rejects with
   * `not_registered` where there is no session now, and with `deregister_failed` where the session ended
   * otherwise or `deregisterTimeoutMs` passed; the agent is stopped in each case. `reason` is free text of at most
   * 1,024 characters for the node's history; a longer one throws.
   */
  deregister(reason?: string): Promise<void> {
    return this.#deregister(deregisterMessage(reason));
  }

  /**
   * Sends stats now, besides the provider's. False where there is no session: then they are kept, only the
   * latest, and sent after the next registration. What is wrong in them, or over 8 KiB, is dropped with a warning.
   */
  reportStats(stats: NodeStats): boolean {
    if (this.#stopping !== undefined) return false;
    if (this.#sendStats(stats)) return true;
    this.#unsentStats = stats;
    return false;
  }

  /**
   * Replaces what the agent says of its machine, now and at each later registration. The node must stay the
   * same one: its id cannot change. Throws `invalid_options` like the constructor.
   */
  update(node: AgentNode): void {
    this.reconfigure({ node });
  }

  /**
   * Takes up other settings while the agent runs: the node as `update` does, the interval to ask for with a registration,
   * the token from the next connection on. Throws `invalid_options`, and then changes nothing.
   */
  reconfigure({
    node,
    token,
    heartbeat,
  }: Pick<Partial<FleetAgentOptions>, 'node' | 'token' | 'heartbeat'>): void {
    const checked = node && checkNode(node);
    if (token !== undefined) checkToken(token);
    if (heartbeat !== undefined) checkInterval(heartbeat.intervalMs);
    if (checked) this.#node = checked;
    if (token !== undefined) this.#token = token;
    if (heartbeat !== undefined) this.#askedIntervalMs = heartbeat.intervalMs;
    if ((checked || heartbeat) && this.#phase.name === 'live') this.#registerHere();
  }

  /** What names this agent in logs. */
  get #ids(): { nodeId?: string; session?: string; hub?: string } {
    const { nodeId } = this;
    return {
      ...(nodeId !== undefined && { nodeId }),
      ...(this.#reply && { session: shortSession(this.#reply.session) }),
      ...(this.#hub !== '' && { hub: this.#hub }),
    };
  }

  #enter(to: AgentState, why: string): void {
    const from = this.#state;
    if (from === to) return;
    this.#state = to;
    this.emit('state', { from, to, why });
  }

  #connect(): void {
    const connection = this.#dial(this.#connectionListener);
    this.#hub = connection.host;
    this.#phase = { name: 'connecting', connection };
  }

  /** Begins an attempt at the next hub. */
  #dial(listener: HubConnectionListener): HubConnection {
    const { clock, handshakeTimeoutMs, registerTimeoutMs, stopTimeoutMs, logger } = this.#config;
    const { localAddress, agentFor } = this.#config;
    const token = this.#token;
    const url = this.#urls.next();
    const agent = agentFor?.(url);
    const fields = { ...this.#ids, hub: new URL(url).host, hostname: this.#node.hostname };
    logger.info(fields, 'Registering with the hub');
    // While the node may be shown online, a hub that hangs must not eat the time for trying another.
    const known = this.#reply !== undefined;
    // As long after one that was not answered: a hub that is slow would never be in time.
    const { ownMs } = ceilings(this.#knownTimeoutMs, this.#urls.size);
    const longestMs = known ? Math.max(SHORTEST_HANDSHAKE_MS, ownMs) : handshakeTimeoutMs;
    return new HubConnection(
      {
        url,
        ...(token !== undefined && { token }),
        ...(localAddress !== undefined && { localAddress }),
        ...(agent && { agent }),
        known,
        handshakeTimeoutMs: Math.min(handshakeTimeoutMs, longestMs),
        registerTimeoutMs,
        closeTimeoutMs: stopTimeoutMs,
        clock,
        logger,
      },
      listener,
    );
  }

  readonly #connectionListener: HubConnectionListener = {
    opened: () => this.#registerHere(),
    message: (message) => this.#onMessage(message),
    pong: () => this.#onPong(),
    ended: (how) => this.#ended(how),
  };

  #registerHere(): void {
    if (this.#phase.name === 'connecting' || this.#phase.name === 'live')
      this.#sendRegister(this.#phase.connection);
  }

  #sendRegister(connection: HubConnection): void {
    const { instanceId, clock } = this.#config;
    const askedIntervalMs = this.#askedIntervalMs;
    this.#address = this.#ownAddress(connection);
    this.#addressSaidMs = clock.nowMs();
    const register: RegisterInput = {
      type: 'register',
      protocol: AGENT_PROTOCOL,
      instanceId,
      ...(askedIntervalMs !== undefined && { heartbeat: { intervalMs: askedIntervalMs } }),
      features: [FEATURES.move, FEATURES.heartbeatSet],
      node: this.#address === undefined ? this.#node : { ...this.#node, address: this.#address },
    };
    if (connection.send(JSON.stringify(register))) this.#contest.asked(connection, clock.nowMs());
  }

  /** Nothing where the address is set, or cannot be told. */
  #ownAddress(connection: HubConnection): string | undefined {
    if (this.#node.address !== undefined) return undefined;
    try {
      return this.#config.addressOf?.(connection.localAddress);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#config.logger.warn({ ...this.#ids, reason }, "This machine's address cannot be read");
      return this.#address;
    }
  }

  /** The network may change under a connection that stays. */
  #checkAddress(): void {
    if (this.#phase.name !== 'live' || this.#config.addressOf === undefined) return;
    if (this.#config.clock.nowMs() - this.#addressSaidMs < ADDRESS_EVERY_MS) return;
    const address = this.#ownAddress(this.#phase.connection);
    if (address === this.#address) return;
    this.#config.logger.info({ ...this.#ids, address }, "This machine's address changed");
    this.#registerHere();
  }

  #onMessage(message: HubMessage): void {
    switch (message.type) {
      case 'registered':
        this.#onRegistered(message);
        break;
      case 'heartbeat':
        this.#retime(message);
        this.#acknowledge(message.intervalMs);
        break;
      case 'move':
        this.#search('move', message.withinMs * this.#config.random());
        break;
      case 'stay':
        this.#endSearch('move');
        break;
      case 'error':
        this.#onError(message);
        break;
      default:
        message satisfies never;
    }
  }

  #onRegistered(reply: Registered): void {
    this.#reply = reply;
    this.#retime(reply.heartbeat);
    if (this.#phase.name === 'connecting' || this.#phase.name === 'live')
      this.#contest.answered(this.#phase.connection);
    if (this.#phase.name === 'connecting') this.#goLive(this.#phase.connection, reply);
    this.#first.resolve(reply);
    this.emit('registered', reply);
    const stats = this.#unsentStats;
    this.#unsentStats = undefined;
    if (stats !== undefined) this.reportStats(stats);
  }

  #goLive(connection: HubConnection, reply: Registered): void {
    const { clock, logger } = this.#config;
    connection.settle();
    const sinceMs = clock.nowMs();
    const heartbeat = new Heartbeat(reply.heartbeat, this.#config, this.#heartbeatListener);
    this.#phase = { name: 'live', connection, heartbeat, sinceMs };
    const what = reply.reregistered
      ? 'Re-registered with the hub (reconnected after restart)'
      : 'Successfully registered with the hub (first time)';
    logger.info({ ...this.#ids, hostname: this.#node.hostname }, what);
    this.#enter('registered', reply.reregistered ? 're-registered' : 'registered for the first time');
  }

  /** Looks for another hub, and keeps this session until one took the node. */
  #search(cause: SearchCause, firstInMs: number): void {
    const phase = this.#phase;
    if (phase.name !== 'live' || this.#leaving) return;
    if (phase.search) {
      if (phase.search.isLast) phase.search.resume(cause);
      return;
    }
    const { clock, logger, random } = this.#config;
    const backoff = new Backoff(random);
    logger.warn({ ...this.#ids, cause }, 'Looking for another hub; this session goes on meanwhile');
    phase.search = new Search(cause, firstInMs, {
      clock,
      connect: (listener) => this.#dial(listener),
      register: (connection) => this.#sendRegister(connection),
      delayAfter: (how) => delayBefore(nextStep(how), how, backoff, this.#ceilings()),
      found: (connection, reply) => this.#found(connection, reply),
      over: () => delete phase.search,
    });
  }

  #endSearch(cause: SearchCause): void {
    const phase = this.#phase;
    if (phase.name !== 'live' || phase.search?.cause !== cause || phase.search.isLast) return;
    if (!phase.search.finish()) delete phase.search;
    this.#config.logger.info(this.#ids, 'The hub is well again: this session goes on');
  }

  /** Another hub took the node: the session there is this agent's now, and the old one is over. */
  #found(connection: HubConnection, reply: Registered): void {
    const phase = this.#phase;
    this.#leavePhase();
    if (phase.name === 'live') phase.connection.abandon();
    this.#goOnWith(connection);
    this.#onRegistered(reply);
  }

  /** An attempt that was begun beside the session is the agent's one connection now. */
  #goOnWith(connection: HubConnection): void {
    connection.hand(this.#connectionListener);
    this.#hub = connection.host;
    this.#phase = { name: 'connecting', connection };
  }

  #retime({ intervalMs, timeoutMs }: HeartbeatTiming): void {
    if (this.#timing?.intervalMs === intervalMs && this.#timing.timeoutMs === timeoutMs) return;
    const timing = { intervalMs, timeoutMs };
    this.#timing = timing;
    if (this.#phase.name === 'live') {
      this.#phase.heartbeat.retime(timing);
      this.#config.logger.info({ ...this.#ids, ...timing }, 'The hub changed the heartbeat timing');
    }
    this.emit('timing', timing);
  }

  #acknowledge(intervalMs: number): void {
    if (this.#phase.name !== 'live' || this.#phase.olderHub) return;
    const message: HeartbeatSet = { type: 'heartbeat_set', intervalMs };
    this.#phase.connection.send(JSON.stringify(message));
  }

  #onError(error: HubError): void {
    const { code, path, message: problem } = error;
    if (code === 'unknown_type' && this.#phase.name === 'live') {
      // A hub of version 0.1 does not know `heartbeat_set`, the only message that it may not know.
      this.#phase.olderHub = true;
      return;
    }
    const fields = { ...this.#ids, code, problem, ...(path !== undefined && { path }) };
    this.#config.logger.warn(fields, 'The hub reported an error');
    if (code === 'store_away' || code === 'contended') this.#leaving?.notYet();
    const phase = this.#phase;
    if (phase.name === 'connecting') {
      phase.connection.abandon();
      this.#ended({ kind: 'rejected', code, message: problem });
    }
    this.emit('hubError', error);
  }

  readonly #heartbeatListener: HeartbeatListener = {
    beat: () => {
      this.#ping();
      this.#config.logger.debug(this.#ids, 'Heartbeat sent');
      this.#reporter?.collect();
      this.#checkAddress();
    },
    missed: (misses) => {
      this.#ping();
      this.#config.logger.warn({ ...this.#ids, misses }, 'Heartbeat missed, will retry');
      this.emit('missed', misses);
    },
    lost: (misses) => this.#lost(misses),
  };

  /** The hub may be gone, or slow: it is left when another took the node, or its connection ends. */
  #lost(misses: number): void {
    if (this.#leaving) this.#cut({ kind: 'silent' });
    if (this.#phase.name !== 'live' || (this.#phase.search && !this.#phase.search.isLast)) return;
    const why = `Too many missed heartbeats (${misses}), attempting re-registration`;
    this.#config.logger.warn({ ...this.#ids, misses }, why);
    this.#search('silent', this.#backoff.next(this.#ceilings().ownMs));
    this.#enter('re-registering', describeEnd({ kind: 'silent' }));
    this.emit('missed', misses);
  }

  #ping(): void {
    if (this.#phase.name === 'live') this.#phase.connection.ping();
  }

  #onPong(): void {
    if (this.#phase.name !== 'live') return;
    const roundTripMs = this.#phase.heartbeat.pong();
    this.#endSearch('silent');
    const fields = { ...this.#ids, roundTripMs: Math.round(roundTripMs) };
    this.#config.logger.debug(fields, 'Heartbeat acknowledged');
    this.#enter('heartbeating', 'the hub answered a heartbeat');
    this.emit('heartbeat', roundTripMs);
  }

  /** False where there is no session to send them on, or it is being given up. */
  #sendStats(stats: NodeStats): boolean {
    if (this.#phase.name !== 'live' || this.#leaving) return false;
    const message = this.#statsWriter.write(stats);
    if (message === undefined) return true;
    if (!this.#phase.connection.send(message)) return false;
    this.#config.logger.debug(this.#ids, 'Stats sent');
    return true;
  }

  /** The most that it may wait: however long the outage, it must be back soon after it. */
  #ceilings(): Ceilings {
    const isUnanswered = this.#contest.isUnanswered(this.#config.clock.nowMs());
    return ceilings(likelyTimeoutMs(this.#knownTimeoutMs, isUnanswered), this.#urls.size);
  }

  get #knownTimeoutMs(): number | undefined {
    return this.#reply && this.#timing?.timeoutMs;
  }

  /** Cuts the connection, for the agent's own reasons. */
  #cut(how: Ended): void {
    const phase = this.#phase;
    if (phase.name === 'live') phase.search?.end();
    if (phase.name === 'connecting' || phase.name === 'live') phase.connection.abandon();
    this.#ended(how);
  }

  #ended(how: Ended): void {
    const nowMs = this.#config.clock.nowMs();
    const { lastedMs, attempt } = this.#leaveSession(how, nowMs);
    if (this.#leaving) {
      this.#leaving.sessionEnded(how);
      return;
    }
    if (attempt) {
      this.#goOnWith(attempt);
      this.#enter('re-registering', describeEnd(how));
      return;
    }
    const alone =
      mayBeAlone(how, lastedMs, this.#contest.isUnanswered(nowMs)) && this.#contest.mayReturn(nowMs);
    const next = alone ? 'reconnect' : nextStep(how);
    const retryInMs = delayBefore(next, how, this.#backoff, this.#ceilings());
    const end: SessionEnd = {
      ...(how.kind === 'closed' && { code: how.code }),
      ...(how.kind === 'refused' && { status: how.status }),
      reason: describeEnd(how),
      next,
      retryInMs,
    };
    logEnd(this.#config.logger, this.#ids, end, this.#reply !== undefined);
    if (retryInMs === null) this.#removed(end);
    else this.#retry(end, retryInMs);
  }

  /** How long the session lasted, and the attempt that goes on where it ended while another hub was looked for. */
  #leaveSession(how: Ended, nowMs: number): { lastedMs: number; attempt: HubConnection | undefined } {
    const phase = this.#phase;
    const goesOn = phase.name === 'live' && !this.#leaving && nextStep(how) !== 'stop';
    const attempt = goesOn ? phase.search?.handOver() : undefined;
    this.#leavePhase();
    return { lastedMs: phase.name === 'live' ? nowMs - phase.sinceMs : 0, attempt };
  }

  #retry(end: SessionEnd, retryInMs: number): void {
    const cancel = this.#config.clock.after(retryInMs, () => this.#connect());
    this.#phase = { name: 'waiting', next: end.next, cancel };
    if (this.#reply) this.#enter('re-registering', end.reason);
    this.emit('closed', end);
    if (end.code === CLOSE.superseded.code && end.next === 'back-off') this.emit('superseded');
  }

  #removed(end: SessionEnd): void {
    this.#first.reject(new FleetAgentError('removed', 'the hub said that this node was removed'));
    this.#stopping = Promise.resolve();
    this.#finish(end.reason);
    this.emit('closed', end);
    this.emit('removed');
  }

  /** Stops the timers of a phase, and remembers whether its session was worth something. */
  #leavePhase(): void {
    this.#reporter?.cancel();
    const phase = this.#phase;
    if (phase.name === 'live') {
      phase.heartbeat.stop();
      phase.search?.end();
      if (this.#config.clock.nowMs() - phase.sinceMs >= BACKOFF.stableMs) this.#backoff.reset();
    } else if (phase.name === 'waiting') {
      phase.cancel();
    }
    this.#phase = { name: 'idle' };
  }

  #woke(gap: 'slept' | 'unsure'): void {
    const phase = this.#phase;
    if (this.#stopping !== undefined) return;
    if (gap === 'unsure') {
      if (phase.name === 'live') phase.heartbeat.hurry();
      return;
    }
    if (phase.name === 'waiting') {
      // Who was told to wait, waits: only the agent's own backoff is cut short.
      if (phase.next !== 'reconnect' && phase.next !== 'reconnect-spread') return;
      this.#leavePhase();
      this.#connect();
    } else if (phase.name === 'connecting' || phase.name === 'live') {
      this.#config.logger.warn(this.#ids, 'This machine slept; reconnecting');
      this.#cut({ kind: 'slept' });
    }
  }

  async #deregister(message: string): Promise<void> {
    const { clock, deregisterTimeoutMs, logger } = this.#config;
    const phase = this.#phase;
    if (this.#leaving === undefined && (phase.name !== 'live' || this.#stopping !== undefined)) {
      await this.stop();
      throw new FleetAgentError('not_registered', 'there is no session to deregister');
    }
    if (phase.name === 'live') {
      phase.search?.end();
      delete phase.search;
    }
    this.#leaving ??= new Deregistration(clock, deregisterTimeoutMs, () => {
      if (phase.name === 'live') phase.connection.send(message);
    });
    try {
      await this.#leaving.done;
      logger.info(this.#ids, 'Deregistered from the hub');
    } finally {
      await this.stop();
    }
  }

  async #stop(): Promise<void> {
    const phase = this.#phase;
    this.#leavePhase();
    this.#first.reject(new FleetAgentError('stopped', 'the agent was stopped before it had registered'));
    this.#leaving?.fail('the agent was stopped');
    if (phase.name === 'connecting' || phase.name === 'live') {
      await phase.connection.close(1000, 'agent stopped');
    }
    this.#finish('stopped');
    this.#config.logger.info(this.#ids, 'Agent stopped');
  }

  #finish(why: string): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#enter('stopped', why);
  }
}
