import { randomUUID } from 'node:crypto';
import {
  agreeTiming,
  type Connection,
  type FleetNode,
  type HeartbeatTiming,
  type NodeStats,
  type Register,
  type Registered,
} from '../../shared/index.ts';
import { decideClaim } from '../rules/claim.ts';
import { type Identity, identify, namesSameNode } from '../rules/identity.ts';
import { type Closing, decideClose } from '../rules/liveness.ts';
import { type Caller, NOBODY } from '../rules/principal.ts';
import {
  decideDuplicate,
  decideRegistration,
  decideUpdate,
  type Registration,
} from '../rules/registration.ts';
import { decideRemoval, type RemovalAsk } from '../rules/removal.ts';
import { instant } from '../runtime/clock.ts';
import { shareFacts } from '../runtime/interning.ts';
import { Limited } from '../runtime/limited.ts';
import { shortSession } from '../runtime/log.ts';
import { type Change, LostDataError, StoreAwayError, type Stored } from '../store/fleet-store.ts';
import { ConditionReports } from './condition-reports.ts';
import { bestKnown, type FleetContext, newerRecord } from './context.ts';
import { HeldCloses } from './held-closes.ts';
import type { Refused } from './newcomers.ts';
import type { Decide, Settled } from './node-writes.ts';
import { endedBy, type Link, type LiveSession, supersededBy, vouchFor } from './sessions.ts';

/**
 * For this part of its timeout after a hub stood still, an agent that gave it up has time to return: one delay and one
 * attempt, a sixth of the timeout each, and as much again for a hub that has many to register.
 */
const RETURN_PART = 1 / 2;

/** What a close that is held back may take to be written after that. */
const WRITTEN_WITHIN_MS = 1_000;

/** Closes that wait for the store at most; beyond it the heartbeat's end tells. */
const WAITING_CLOSES = 100_000;

/**
 * Why nothing was written. `busy`: the store is out of reach. `contended`: too many others write this node now.
 * `not_your_node`: the agent that speaks for it showed more.
 */
export type Unwritten = 'busy' | 'contended' | 'not_your_node';
/** A registration that is one too many now: of its node, of new nodes, or of the fleet. */
export interface Held {
  kind: 'held';
  code: 'too_many_restarts' | Refused['code'];
  retryAfterMs: number;
}
export type RegisterOutcome =
  | { kind: 'registered'; session: LiveSession; reply: Registered }
  | { kind: Unwritten }
  | Held;
export type UpdateOutcome =
  /** `written`: something was different. */
  | { kind: 'updated'; reply: Registered; written: boolean }
  | { kind: 'identity-changed' }
  | { kind: Unwritten };
export type RemovalOutcome = 'removed' | 'nothing' | Unwritten;
export type OperatorsAsk = Extract<RemovalAsk, { reason: 'removed_by_operator' }>;

/** What agents ask of the fleet: to be registered, updated, noted as gone, and removed. */
export class Registrar {
  readonly #context: FleetContext;
  readonly #conditions: ConditionReports;
  /** The newest close of each node that could not be written. */
  readonly #waitingCloses = new Map<string, Closing>();
  readonly #held: HeldCloses;
  /** Registrations that were held back so far. */
  readonly held: Record<Held['code'], number> = {
    too_many_restarts: 0,
    too_many_new_nodes: 0,
    fleet_full: 0,
  };
  readonly #saysHeld: Record<Held['code'], Limited> = {
    too_many_restarts: new Limited(),
    too_many_new_nodes: new Limited(),
    fleet_full: new Limited(),
  };

  constructor(context: FleetContext, conditions: ConditionReports = new ConditionReports(context)) {
    this.#context = context;
    this.#conditions = conditions;
    this.#held = new HeldCloses(context.clock, (id, closing) => {
      this.#writeClose(id, closing).catch((error: unknown) => {
        context.log.error({ err: error, nodeId: id }, 'Could not write the end of a connection');
      });
    });
  }

  /** Closes that are held back are left to the heartbeats. */
  stop(): void {
    this.#held.end();
  }

  /** Registers an agent over its socket. The newest registration wins; an older session here is closed. */
  async register(message: Register, link: Link): Promise<RegisterOutcome> {
    const { clock, sessions, view } = this.#context;
    const paced = agreeTiming(this.#context.pacing.timing, message.heartbeat?.intervalMs);
    const identity = await this.#identify(message);
    if (!identity) return { kind: 'busy' };
    const heardMeanwhile = sessions.expect(identity.id);
    const connection = this.#connect(identity.id, 'websocket', link.remoteAddress);
    const claimed = await this.#claim(identity, message, connection, link, paced).catch((error: unknown) => {
      heardMeanwhile();
      throw error;
    });
    if (typeof claimed === 'string' || 'kind' in claimed) {
      heardMeanwhile();
      return typeof claimed === 'string' ? { kind: claimed } : claimed;
    }
    const { registration, change } = claimed;
    const { record, event } = change;
    const { id } = registration;
    const session: LiveSession = {
      nodeId: id,
      session: record.session,
      shard: this.#context.store.shardOf(id),
      connection,
      link,
      timing: registration.timing,
      told: registration.timing,
      askedIntervalMs: message.heartbeat?.intervalMs,
      record,
      lastBeatAt: clock.now(),
      beatWaits: false,
      waitingStats: undefined,
      doubts: 0,
      checkedAt: -1,
      conditionsInherited: record.node.conditions.length > 0,
      leaving: false,
      ended: false,
    };
    const older = sessions.attach(session);
    older?.link.end(supersededBy(record, older.record));
    const newest = heardMeanwhile();
    const ended = newest && endedBy(newest, session);
    if (ended) {
      this.forget(session);
      link.end(ended);
    }
    this.#tell(change);
    await view.waitFor(id, event.seq);
    const seen = view.get(id);
    if (seen?.session === session.session) vouchFor(session, seen.node);
    const reply = this.#reply(change, event.type === 'reregistered', session.told);
    return { kind: 'registered', session, reply };
  }

  /**
   * Registers an agent that beats over HTTP: no socket, so no live session here. An open socket of the node is
   * closed by whoever holds it, when that hub reads of the newer session in the log.
   */
  async registerWithoutSocket(
    message: Register,
    caller: Caller,
    timing?: HeartbeatTiming,
  ): Promise<Registered | Unwritten | Held> {
    const identity = await this.#identify(message);
    if (!identity) return 'busy';
    const claimed = await this.#claim(
      identity,
      message,
      this.#connect(identity.id, 'http', caller.remoteAddress),
      caller,
      timing,
    );
    if (typeof claimed === 'string' || 'kind' in claimed) return claimed;
    const { change } = claimed;
    this.#tell(change);
    await this.#context.view.waitFor(change.id, change.event.seq);
    return this.#reply(change, change.event.type === 'reregistered');
  }

  #connect(id: string, transport: Connection['transport'], remoteAddress: string): Connection {
    const { hubId, storeNow } = this.#context;
    return { hubId, transport, remoteAddress, since: instant(storeNow(id)) };
  }

  /** Writes a registration under a new session. */
  async #claim(
    identity: Identity,
    message: Register,
    connection: Connection,
    { principal = NOBODY, known = false }: Omit<Caller, 'remoteAddress'>,
    timing?: HeartbeatTiming,
  ) {
    const registration = this.#registration(identity, message, randomUUID(), {
      connection,
      principal,
      timing,
    });
    const { id, facts } = registration;
    const { agentsNeedTokens, budget, clock, log, newcomers } = this.#context;
    log.debug({ nodeId: id, hostname: facts.hostname }, 'Node registration request');
    const waitMs = budget.waitMs(id, clock.now());
    const restarts = { code: 'too_many_restarts', retryAfterMs: waitMs } as const;
    const claims = (stored: Stored): boolean =>
      decideClaim({ verb: 'register', by: principal.by, stored, agentsNeedTokens }) === 'granted';
    const stands = waitMs > 0 ? bestKnown(this.#context, id) : undefined;
    if (stands && claims(stands)) return this.#hold(registration, restarts);
    let asked = false;
    let refused: Omit<Held, 'kind'> | undefined;
    // The claim comes first: a weaker agent is told nothing else.
    const decide: Decide = (stored, stamp) => {
      if (!claims(stored)) return undefined;
      if (waitMs > 0) refused = restarts;
      // Asked once, also where another hub comes between.
      if (!refused && stored.kind !== 'node' && !asked) {
        asked = true;
        refused = newcomers.refusal(principal.name ?? principal.by, clock.now(), known);
      }
      return refused ? undefined : decideRegistration(stored, registration, stamp);
    };
    let settled = await this.#settle(id, decide);
    if (refused) return this.#hold(registration, refused);
    // What this hub knows may be a moment old: only the store itself refuses.
    if (settled?.kind === 'nothing') settled = await this.#settle(id, decide, () => undefined);
    if (settled?.kind !== 'done') return unwritten(settled);
    if (identity.duplicate !== undefined) await this.#flagDuplicate(identity.duplicate, id, claims);
    return { registration, change: settled.change };
  }

  /** Which node an agent speaks for; nothing where only the store could say, and it is out of reach. */
  async #identify({ node }: Register): Promise<Identity | undefined> {
    const { store, usable, doubt } = this.#context;
    const read = async (id: string): Promise<Stored> => {
      const known = bestKnown(this.#context, id);
      if (known && known.kind !== 'nothing') return known;
      if (!usable(id)) throw new StoreAwayError('the store is out of reach');
      return store.read(id).catch((error: unknown) => {
        doubt(id);
        throw error;
      });
    };
    try {
      return await identify(node, read);
    } catch (error) {
      if (!(error instanceof StoreAwayError) && !(error instanceof LostDataError)) throw error;
      return undefined;
    }
  }

  /** Two nodes stand by one host name: the other one says so too, until its status changes, where this agent may speak for it. */
  async #flagDuplicate(duplicate: string, id: string, claims: (stored: Stored) => boolean): Promise<void> {
    this.#context.log.warn(
      { nodeId: id, other: duplicate },
      'Two nodes have the same host name in two spellings; remove the one that is not used any more',
    );
    await this.#settle(duplicate, (stored, stamp) =>
      claims(stored) ? decideDuplicate(stored, id, stamp) : undefined,
    );
  }

  #hold({ id, connection }: Registration, why: Omit<Held, 'kind'>): Held {
    const { clock, log } = this.#context;
    this.held[why.code] += 1;
    const times = this.#saysHeld[why.code].due(clock.now());
    if (times > 0) {
      const { remoteAddress } = connection;
      log.warn({ reason: why.code, nodeId: id, remoteAddress, times }, 'Registrations are held back');
    }
    return { kind: 'held', ...why };
  }

  #tell({ id, record, event }: Change): void {
    this.#context.log.info(
      {
        nodeId: id,
        session: shortSession(record.session),
        hostname: record.node.hostname,
        reason: event.reason,
        ...(event.evidence.by !== undefined && { by: event.evidence.by }),
      },
      event.type === 'registered'
        ? 'Node registered successfully'
        : 'Node re-registered (reconnected after restart)',
    );
  }

  /** A second `register` on a live session: updates the node's facts and timing. */
  async update(session: LiveSession, message: Register): Promise<UpdateOutcome> {
    if (!namesSameNode(message.node, session.record.node)) return { kind: 'identity-changed' };
    const { pacing } = this.#context;
    const asked = message.heartbeat?.intervalMs;
    const fitting = pacing.fitting({ askedIntervalMs: asked });
    const { told } = session;
    // A longer timeout is written before its agent can be told of it, a shorter one when nothing can fail any more.
    const longer = fitting.timeoutMs > session.timing.timeoutMs;
    if (longer && !(await pacing.agree(session, fitting))) return { kind: 'busy' };
    const timing = fitting.intervalMs === told.intervalMs ? session.timing : fitting;
    const { connection, link } = session;
    const { principal = NOBODY } = link;
    const registration = this.#registration({ id: session.nodeId }, message, session.session, {
      connection,
      principal,
      timing,
    });
    const settled = await this.#settle(session.nodeId, (stored, stamp) =>
      decideUpdate(stored, registration, stamp),
    );
    if (settled?.kind !== 'done' && settled?.kind !== 'nothing') return { kind: unwritten(settled) };
    if (!longer && timing === fitting) await pacing.agree(session, fitting);
    const retimed = told.intervalMs !== fitting.intervalMs;
    session.told = fitting;
    session.askedIntervalMs = asked;
    if (settled.kind === 'nothing') {
      pacing.show(session);
      const reply = this.#reply({ record: session.record }, true, session.told);
      return { kind: 'updated', reply, written: retimed };
    }
    if (!session.ended) session.record = settled.change.record;
    this.#context.log.info({ nodeId: session.nodeId }, 'Node updated by its agent');
    await this.#context.view.waitFor(session.nodeId, settled.change.event.seq);
    return { kind: 'updated', reply: this.#reply(settled.change, true, session.told), written: true };
  }

  /** How long the node's next change is to wait, because it had so many: milliseconds, nearly always 0. */
  heldMs(nodeId: string): number {
    return this.#context.budget.waitMs(nodeId, this.#context.clock.now());
  }

  /** Live figures: a heartbeat, and where they bring conditions, perhaps a change of status. */
  stats(session: LiveSession, stats: NodeStats, now: number = this.#context.clock.now()): void {
    this.#context.heartbeats.note(session, now, stats);
    // What an earlier instance reported lasts until this one's first word on its health.
    const conditions = stats.conditions ?? (session.conditionsInherited ? [] : undefined);
    session.conditionsInherited = false;
    if (conditions) this.#conditions.report(session, conditions);
  }

  /**
   * The agent's socket closed, and not because of this hub. One without a goodbye while this hub stood still, or
   * right after, says that the agent gave the hub up: it is written where the agent does not return in time.
   */
  async closed(session: LiveSession, how: Pick<Closing, 'goodbye' | 'code' | 'detail'>): Promise<void> {
    this.forget(session);
    const { clock, stalls } = this.#context;
    const { lastBeatAt, timing } = session;
    const { timeoutMs } = timing;
    const closing = { ...how, session: session.session, lastBeatAt, timeoutMs };
    const heldMs = stalls.graceLeftMs(timeoutMs * RETURN_PART, clock.now());
    if (heldMs > 0 && !how.goodbye) this.#holdClose(session, closing, heldMs);
    else await this.#writeClose(session.nodeId, closing, session);
  }

  /** Until it is written, the node's heartbeat lasts: another hub would call its end a silence. */
  #holdClose(session: LiveSession, closing: Closing, heldMs: number): void {
    const until = this.#context.clock.now() + heldMs + WRITTEN_WITHIN_MS;
    this.#held.hold(session.nodeId, closing, heldMs);
    if (session.lastBeatAt + session.timing.timeoutMs < until) this.#context.heartbeats.owe(session, until);
  }

  /** The session is over here; nothing is written. */
  forget(session: LiveSession): void {
    this.#context.heartbeats.drop(session);
    this.#context.sessions.detach(session);
  }

  /** Writes the closes that waited while the shard was out of reach. Throws where it still is. */
  async writeWaitingCloses(shard: number): Promise<void> {
    const { store } = this.#context;
    const due = [...this.#waitingCloses].filter(([id]) => store.shardOf(id) === shard);
    await Promise.all(
      due.map(async ([id, closing]) => {
        await this.#commitClose(id, closing);
        if (this.#waitingCloses.get(id) === closing) this.#waitingCloses.delete(id);
      }),
    );
  }

  /** The agent asks to be removed. */
  async deregister(session: LiveSession, detail?: string): Promise<RemovalOutcome> {
    session.leaving = true;
    this.#context.heartbeats.drop(session);
    const ask = { reason: 'deregistered', session: session.session, ...(detail && { detail }) } as const;
    const outcome = await this.remove(session.nodeId, ask);
    session.leaving = outcome === 'removed' || outcome === 'nothing';
    return outcome;
  }

  /** Removes a node: its record goes, and whoever holds its socket closes it. */
  async remove(id: string, ask: RemovalAsk): Promise<RemovalOutcome> {
    return this.#removed(
      id,
      ask,
      await this.#settle(id, (stored, stamp) => decideRemoval(stored, ask, stamp)),
    );
  }

  /** Removes a node if it is still what the operator wants removed; else tells what it is now. */
  async removeOnly(id: string, ask: OperatorsAsk): Promise<RemovalOutcome | { left: FleetNode }> {
    const decide: Decide = (stored, stamp) => decideRemoval(stored, ask, stamp);
    let settled = await this.#settle(id, decide);
    // What this hub knows may be a moment old: only the store itself refuses.
    if (settled?.kind === 'nothing') settled = await this.#settle(id, decide, () => undefined);
    if (settled?.kind === 'nothing' && settled.stored.kind === 'node')
      return { left: settled.stored.record.node };
    return this.#removed(id, ask, settled);
  }

  async #removed(id: string, ask: RemovalAsk, settled: Settled | undefined): Promise<RemovalOutcome> {
    if (settled?.kind === 'nothing') return 'nothing';
    if (settled?.kind !== 'done') return unwritten(settled);
    const { event } = settled.change;
    this.#context.view.tombstones.wrote(this.#context.store.shardOf(id), event);
    const { reason } = ask;
    const said =
      reason === 'deregistered' ? { detail: ask.detail } : { by: ask.by, remoteAddress: ask.remoteAddress };
    this.#context.log.info({ nodeId: id, reason, ...said }, 'Node removed');
    await this.#context.view.waitFor(id, settled.change.event.seq);
    return 'removed';
  }

  async #writeClose(id: string, closing: Closing, session?: LiveSession): Promise<void> {
    try {
      if (!this.#context.usable(id)) throw new StoreAwayError('the store is out of reach');
      await this.#commitClose(id, closing, session);
    } catch (error) {
      if (!(error instanceof StoreAwayError) && !(error instanceof LostDataError)) throw error;
      this.#context.doubt(id);
      this.#waitingCloses.delete(id);
      if (this.#waitingCloses.size < WAITING_CLOSES) this.#waitingCloses.set(id, closing);
    }
  }

  async #commitClose(id: string, closing: Closing, session?: LiveSession): Promise<void> {
    const { writes, log, view, clock } = this.#context;
    const settled = await writes.settle(
      id,
      (stored, stamp) => decideClose(stored, closing, clock.now(), stamp),
      () => {
        const record = newerRecord(session?.record, view.get(id));
        return record && { kind: 'node', record, restored: false };
      },
    );
    if (settled.kind === 'contended')
      log.warn(
        { nodeId: id },
        'A close was not written: others write this node all the time; its heartbeat tells',
      );
    if (settled.kind !== 'done') return;
    const { to, reason } = settled.change.event;
    log.info(
      { nodeId: id, session: shortSession(closing.session), to, reason, code: closing.code },
      'Node connection ended',
    );
  }

  async #settle(
    id: string,
    decide: Decide,
    known = () => bestKnown(this.#context, id),
  ): Promise<Settled | undefined> {
    const { writes, usable, doubt } = this.#context;
    if (!usable(id)) return undefined;
    try {
      return await writes.settle(id, decide, known);
    } catch (error) {
      if (!(error instanceof StoreAwayError) && !(error instanceof LostDataError)) throw error;
      doubt(id);
      return undefined;
    }
  }

  #registration(
    { id, duplicate }: Identity,
    message: Register,
    session: string,
    by: Pick<Registration, 'connection' | 'principal'> & { timing: HeartbeatTiming | undefined },
  ): Registration {
    shareFacts(message.node);
    return {
      id,
      ...(duplicate !== undefined && { duplicate }),
      session,
      instanceId: message.instanceId,
      facts: message.node,
      timing: by.timing ?? agreeTiming(this.#context.timing, message.heartbeat?.intervalMs),
      connection: by.connection,
      principal: by.principal,
    };
  }

  #reply(
    { record }: Pick<Change, 'record'>,
    reregistered: boolean,
    timing: HeartbeatTiming = record.node.heartbeat,
  ): Registered {
    const { node, session } = record;
    return {
      type: 'registered',
      nodeId: node.id,
      session,
      reregistered,
      createdAt: node.createdAt,
      hubTime: instant(this.#context.storeNow(node.id)),
      heartbeat: timing,
      node,
    };
  }
}

/** Without an answer the store is away; a registration that changes nothing was refused; else others came between. */
function unwritten(settled: Settled | undefined): Unwritten {
  if (!settled) return 'busy';
  return settled.kind === 'nothing' ? 'not_your_node' : 'contended';
}
