import { randomUUID } from 'node:crypto';
import {
  agreeTiming,
  type Connection,
  type HeartbeatTiming,
  type ReadStats,
  type Register,
  type Registered,
} from '../../shared/index.ts';
import { decideClaim } from '../rules/claim.ts';
import { type Identity, identify, namesSameNode } from '../rules/identity.ts';
import { ANONYMOUS, type Caller } from '../rules/principal.ts';
import {
  decideDuplicate,
  decideRegistration,
  decideUpdate,
  type Registration,
} from '../rules/registration.ts';
import { instant } from '../runtime/clock.ts';
import { shareFacts } from '../runtime/interning.ts';
import { Limited } from '../runtime/limited.ts';
import { shortSession } from '../runtime/log.ts';
import { type Change, StoreAwayError, type Stored } from '../store/fleet-store.ts';
import type { ChangeBudget } from './change-budget.ts';
import type { ConditionReports } from './condition-reports.ts';
import { type FleetCore, newestKnown } from './core.ts';
import type { Heartbeats } from './heartbeats.ts';
import type { Newcomers, Refused } from './newcomers.ts';
import { type Away, type Decide, isAway, type Settled } from './node-writes.ts';
import type { Pacing } from './pacing.ts';
import { endedBy, type Link, LiveSession, supersededBy } from './sessions.ts';

/**
 * Why nothing was written. `busy`: the store is out of reach. `contended`: other hubs keep writing this node.
 * `not_your_node`: the node's agent has a stronger proof of identity.
 */
export type Unwritten = 'busy' | 'contended' | 'not_your_node';

/** A registration beyond a limit: of its node, of new nodes, or of the fleet. */
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

/** Writes what agents send about themselves: registrations, updates, and reports of their health. */
export class Registrar {
  /** Registrations that were held back so far. */
  readonly held: Record<Held['code'], number> = {
    too_many_restarts: 0,
    too_many_new_nodes: 0,
    fleet_full: 0,
  };
  readonly #core: FleetCore;
  readonly #heartbeats: Heartbeats;
  readonly #pacing: Pacing;
  readonly #conditions: ConditionReports;
  readonly #newcomers: Newcomers;
  readonly #budget: ChangeBudget;
  readonly #heldLog: Record<Held['code'], Limited> = {
    too_many_restarts: new Limited(),
    too_many_new_nodes: new Limited(),
    fleet_full: new Limited(),
  };

  constructor(
    core: FleetCore,
    parts: {
      heartbeats: Heartbeats;
      pacing: Pacing;
      conditions: ConditionReports;
      newcomers: Newcomers;
      budget: ChangeBudget;
    },
  ) {
    this.#core = core;
    this.#heartbeats = parts.heartbeats;
    this.#pacing = parts.pacing;
    this.#conditions = parts.conditions;
    this.#newcomers = parts.newcomers;
    this.#budget = parts.budget;
  }

  /** Registers an agent over its socket. The newest registration wins; an older session here is closed. */
  async register(message: Register, link: Link): Promise<RegisterOutcome> {
    const { clock, sessions, shards, view } = this.#core;
    const timing = agreeTiming(this.#pacing.timing, message.heartbeat?.intervalMs);
    const identity = await this.#identify(message);
    if (!identity) return { kind: 'busy' };
    const newestMeanwhile = sessions.expect(identity.id);
    const connection = this.#connection(identity.id, 'websocket', link.remoteAddress);
    const claimed = await this.#claim(identity, message, connection, link, timing).catch((error: unknown) => {
      newestMeanwhile();
      throw error;
    });
    if (claimed.kind !== 'claimed') {
      newestMeanwhile();
      return claimed;
    }
    const { registration, change } = claimed;
    const { record, event } = change;
    const session = new LiveSession({
      ...{ record, link, connection, timing: registration.timing },
      shard: shards.of(registration.id).index,
      askedIntervalMs: message.heartbeat?.intervalMs,
      now: clock.now(),
    });
    const older = sessions.attach(session);
    older?.link.end(supersededBy(record, older.record));
    const newest = newestMeanwhile();
    const ended = newest && endedBy(newest, session);
    if (ended) {
      sessions.detach(session);
      link.end(ended);
    }
    this.#log(change);
    await view.waitFor(registration.id, event.seq);
    const seen = view.get(registration.id);
    if (seen?.session === session.session) session.confirmedByLog(seen.node);
    const reply = this.#reply(record, event.type === 'reregistered', session.sent);
    return { kind: 'registered', session, reply };
  }

  /**
   * Registers an agent that beats over HTTP: it has no socket, so there is no live session here. The hub that holds an
   * open socket of the node closes it when it follows the newer registration in the log.
   */
  async registerWithoutSocket(
    message: Register,
    caller: Caller,
    timing?: HeartbeatTiming,
  ): Promise<Registered | Unwritten | Held> {
    const identity = await this.#identify(message);
    if (!identity) return 'busy';
    const connection = this.#connection(identity.id, 'http', caller.remoteAddress);
    const claimed = await this.#claim(identity, message, connection, caller, timing);
    if (claimed.kind === 'held') return claimed;
    if (claimed.kind !== 'claimed') return claimed.kind;
    const { change } = claimed;
    this.#log(change);
    await this.#core.view.waitFor(change.id, change.event.seq);
    return this.#reply(change.record, change.event.type === 'reregistered');
  }

  /** A second `register` on a live session: updates the node's facts and timing. */
  async update(session: LiveSession, message: Register): Promise<UpdateOutcome> {
    if (!namesSameNode(message.node, session.record.node)) return { kind: 'identity-changed' };
    const pacing = this.#pacing;
    const asked = message.heartbeat?.intervalMs;
    const fitting = pacing.fitting({ askedIntervalMs: asked });
    const { sent, connection } = session;
    // A longer timeout is written before its agent can get it, a shorter one when nothing can fail any more.
    const longer = fitting.timeoutMs > session.timing.timeoutMs;
    if (longer && !(await pacing.agree(session, fitting))) return { kind: 'busy' };
    const timing = fitting.intervalMs === sent.intervalMs ? session.timing : fitting;
    const { principal = ANONYMOUS } = session.link;
    const registration = this.#registration({ id: session.nodeId }, message, session.session, {
      ...{ connection, principal, timing },
    });
    const settled = await this.#settle(session.nodeId, (stored, stamp) =>
      decideUpdate(stored, registration, stamp),
    );
    if (settled.kind !== 'done' && settled.kind !== 'nothing') return { kind: unwritten(settled) };
    if (!longer && timing === fitting) await pacing.agree(session, fitting);
    const retimed = sent.intervalMs !== fitting.intervalMs;
    session.sent = fitting;
    session.askedIntervalMs = asked;
    if (settled.kind === 'nothing') {
      pacing.show(session);
      return { kind: 'updated', reply: this.#reply(session.record, true, session.sent), written: retimed };
    }
    const { record, event } = settled.change;
    session.take(record);
    this.#core.log.info({ nodeId: session.nodeId }, 'Node updated by its agent');
    await this.#core.view.waitFor(session.nodeId, event.seq);
    return { kind: 'updated', reply: this.#reply(record, true, session.sent), written: true };
  }

  /** How long the node's next change has to wait: milliseconds, nearly always 0. */
  heldMs(nodeId: string): number {
    return this.#budget.waitMs(nodeId, this.#core.clock.now());
  }

  /** Live figures: a heartbeat, and with conditions perhaps a change of status. */
  report(session: LiveSession, { stats, unread }: ReadStats, now: number): void {
    this.#heartbeats.note(session, now, stats);
    if (unread === 'all') return;
    // Reports of an earlier instance count until the first report of this one.
    const conditions = stats.conditions ?? (session.conditionsInherited ? [] : undefined);
    session.conditionsInherited = false;
    if (conditions) this.#conditions.report(session, conditions, unread);
  }

  #connection(id: string, transport: Connection['transport'], remoteAddress: string): Connection {
    const { hubId, shards } = this.#core;
    return { hubId, transport, remoteAddress, since: instant(shards.of(id).storeNow()) };
  }

  /** Writes a registration under a new session. */
  async #claim(
    identity: Identity,
    message: Register,
    connection: Connection,
    { principal = ANONYMOUS, known = false }: Omit<Caller, 'remoteAddress'>,
    timing?: HeartbeatTiming,
  ): Promise<Claimed | { kind: Unwritten } | Held> {
    const by = { connection, principal, timing };
    const registration = this.#registration(identity, message, randomUUID(), by);
    const { id, facts } = registration;
    const { agentsNeedTokens, clock, log } = this.#core;
    log.debug({ nodeId: id, hostname: facts.hostname }, 'Node registration request');
    const waitMs = this.#budget.waitMs(id, clock.now());
    const restarts = { code: 'too_many_restarts', retryAfterMs: waitMs } as const;
    const claims = (stored: Stored): boolean =>
      decideClaim({ verb: 'register', by: principal.by, stored, agentsNeedTokens }) === 'granted';
    const stands = waitMs > 0 ? newestKnown(this.#core, id) : undefined;
    if (stands && claims(stands)) return this.#hold(registration, restarts);
    let asked = false;
    let refused: Omit<Held, 'kind'> | undefined;
    // The claim comes first: a weaker agent gets no other answer.
    const decide: Decide = (stored, stamp) => {
      if (!claims(stored)) return undefined;
      if (waitMs > 0) refused = restarts;
      // Counted once, also after a conflict with another hub.
      if (!refused && stored.kind !== 'node' && !asked) {
        asked = true;
        refused = this.#newcomers.refusal(principal.name ?? principal.by, clock.now(), known);
      }
      return refused ? undefined : decideRegistration(stored, registration, stamp);
    };
    let settled = await this.#settle(id, decide);
    if (refused) return this.#hold(registration, refused);
    // This hub's record may be slightly outdated: only the store itself refuses.
    if (settled.kind === 'nothing') settled = await this.#core.writes.trySettle(id, decide);
    if (settled.kind !== 'done') return { kind: unwritten(settled) };
    if (identity.duplicate !== undefined) await this.#flagDuplicate(identity.duplicate, id, claims);
    return { kind: 'claimed', registration, change: settled.change };
  }

  /** The node that an agent registers; undefined if only the store knows, and it is out of reach. */
  async #identify({ node }: Register): Promise<Identity | undefined> {
    const { store, shards } = this.#core;
    const read = async (id: string): Promise<Stored> => {
      const known = newestKnown(this.#core, id);
      if (known && known.kind !== 'nothing') return known;
      const shard = shards.of(id);
      if (!shard.usable) throw new StoreAwayError('the store is out of reach');
      return store.read(id).catch((error: unknown) => {
        shard.recheck();
        throw error;
      });
    };
    try {
      return await identify(node, read);
    } catch (error) {
      if (!isAway(error)) throw error;
      return undefined;
    }
  }

  /**
   * Two nodes have one host name: the other one gets the evidence too, until its status changes, if this agent may
   * claim it.
   */
  async #flagDuplicate(duplicate: string, id: string, claims: (stored: Stored) => boolean): Promise<void> {
    this.#core.log.warn(
      { nodeId: id, other: duplicate },
      'Two nodes have the same host name in two spellings; remove the one that is not used any more',
    );
    await this.#settle(duplicate, (stored, stamp) =>
      claims(stored) ? decideDuplicate(stored, id, stamp) : undefined,
    );
  }

  #hold({ id, connection }: Registration, why: Omit<Held, 'kind'>): Held {
    const { clock, log } = this.#core;
    this.held[why.code] += 1;
    const times = this.#heldLog[why.code].due(clock.now());
    if (times > 0) {
      const { remoteAddress } = connection;
      log.warn({ reason: why.code, nodeId: id, remoteAddress, times }, 'Registrations are held back');
    }
    return { kind: 'held', ...why };
  }

  #log({ id, record, event }: Change): void {
    this.#core.log.info(
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

  #settle(id: string, decide: Decide): Promise<Settled | Away> {
    return this.#core.writes.trySettle(id, decide, () => newestKnown(this.#core, id));
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
      timing: by.timing ?? agreeTiming(this.#core.timing, message.heartbeat?.intervalMs),
      connection: by.connection,
      principal: by.principal,
    };
  }

  #reply(
    { node, session }: Change['record'],
    reregistered: boolean,
    timing: HeartbeatTiming = node.heartbeat,
  ): Registered {
    return {
      type: 'registered',
      nodeId: node.id,
      session,
      reregistered,
      createdAt: node.createdAt,
      hubTime: instant(this.#core.shards.of(node.id).storeNow()),
      heartbeat: timing,
      node,
    };
  }
}

/** No answer: the store is away. A registration that changes nothing was refused. Otherwise other hubs interfered. */
export function unwritten({ kind }: Exclude<Settled | Away, { kind: 'done' }>): Unwritten {
  switch (kind) {
    case 'away':
      return 'busy';
    case 'nothing':
      return 'not_your_node';
    case 'contended':
    case 'still-beating':
      return 'contended';
    default:
      return kind satisfies never;
  }
}

/** A registration that was written. */
interface Claimed {
  kind: 'claimed';
  registration: Registration;
  change: Change;
}
