import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { LIMITS } from '../../shared/index.ts';
import { type Access, bearer } from '../access.ts';
import type { Cancel } from '../clock.ts';
import { refuseUpgrade } from '../upgrades.ts';
import { AgentSocket, type AgentSocketContext, retryAfterMs } from './agent-socket.ts';

/** How often deadlines are looked at: one sweep over all sockets instead of a timer each. */
const SWEEP_MS = 1_000;
/** Agents are closed over this long at most when the hub shuts down, so that they do not come back at once. */
const DRAIN_SPREAD_MS = 3_000;
const DRAIN_STEP_MS = 50;
/** How long a closed agent has to answer before its socket is ended. */
const DRAIN_ANSWER_MS = 1_000;

/** The agents' door: admits sockets, sweeps their deadlines, and closes them when the hub shuts down. */
export class AgentGateway {
  readonly #context: AgentSocketContext;
  readonly #access: Access;
  readonly #sockets = new Set<AgentSocket>();
  readonly #wss = new WebSocketServer({
    noServer: true,
    WebSocket: AgentSocket,
    clientTracking: false,
    maxPayload: LIMITS.frameBytes,
    maxFragments: 16,
    autoPong: false,
    closeTimeout: 5_000,
    perMessageDeflate: false,
  });
  readonly #endSweep: Cancel;
  #draining: Promise<void> | undefined;

  constructor(context: Omit<AgentSocketContext, 'gone'>, access: Access) {
    this.#context = { ...context, gone: (agent) => this.#sockets.delete(agent) };
    this.#access = access;
    this.#endSweep = context.clock.every(SWEEP_MS, () => this.#sweep());
  }

  /** Sockets that are open, registered or not. */
  get size(): number {
    return this.#sockets.size;
  }

  /** Bytes that all agents together have not read yet. */
  get unreadBytes(): number {
    let bytes = 0;
    for (const agent of this.#sockets) bytes += agent.bufferedAmount;
    return bytes;
  }

  /** Admits an upgrade to an agent's socket, or refuses it before the handshake. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#draining || !this.#context.fleet.admits) {
      const seconds = String(Math.ceil(retryAfterMs() / 1_000));
      const why = this.#draining ? 'the hub is shutting down' : 'the hub cannot reach its store';
      refuseUpgrade(socket, 503, why, { 'Retry-After': seconds });
      return;
    }
    if (!this.#access.hostAllowed(request)) {
      refuseUpgrade(socket, 403, 'a hub without tokens answers to localhost only');
      return;
    }
    if (!this.#access.originAllowed(request)) {
      refuseUpgrade(socket, 403, 'this origin is not allowed');
      return;
    }
    const verdict = this.#access.agent(bearer(request));
    if (verdict === 'forbidden') {
      refuseUpgrade(socket, 403, 'this token may read, not register');
    } else if (verdict !== 'ok') {
      refuseUpgrade(socket, 401, `the token is ${verdict}`, { 'WWW-Authenticate': 'Bearer' });
    } else {
      const remoteAddress = this.#access.remoteAddress(request);
      this.#wss.handleUpgrade(request, socket, head, (agent) => this.#begin(agent, remoteAddress, socket));
    }
  }

  #begin(agent: AgentSocket, remoteAddress: string, socket: Duplex): void {
    agent.begin(this.#context, remoteAddress, socket);
    this.#sockets.add(agent);
  }

  #sweep(): void {
    const now = this.#context.clock.now();
    for (const agent of this.#sockets) agent.checkDeadline(now);
  }

  /** Closes every agent with 1012, spread over up to three seconds, and ends those that do not answer. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  async #drain(): Promise<void> {
    const all = [...this.#sockets];
    const steps = Math.min(DRAIN_SPREAD_MS / DRAIN_STEP_MS, Math.ceil(all.length / 20));
    const perStep = Math.ceil(all.length / Math.max(1, steps));
    for (let from = 0; from < all.length; from += perStep) {
      for (const agent of all.slice(from, from + perStep)) agent.drain();
      if (from + perStep < all.length) await this.#wait(DRAIN_STEP_MS);
    }
    for (let waited = 0; waited < DRAIN_ANSWER_MS && this.#sockets.size > 0; waited += DRAIN_STEP_MS) {
      await this.#wait(DRAIN_STEP_MS);
    }
    for (const agent of this.#sockets) agent.terminate();
    this.#endSweep();
    this.#wss.close();
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#context.clock.after(ms, resolve);
    });
  }
}
