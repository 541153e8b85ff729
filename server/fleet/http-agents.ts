import {
  type Connection,
  type HeartbeatTiming,
  idSchema,
  type NodeStats,
  type Register,
  type Registered,
  type Unread,
} from '../../shared/index.ts';
import { decideClaim, type Verb } from '../rules/claim.ts';
import { decideReturn } from '../rules/liveness.ts';
import { ANONYMOUS, type Caller, type Principal } from '../rules/principal.ts';
import { lostNode } from '../rules/restore.ts';
import { instant, msOf } from '../runtime/clock.ts';
import type { NodeRecord } from '../store/fleet-store.ts';
import type { ConditionReports } from './condition-reports.ts';
import { type FleetCore, newestKnown } from './core.ts';
import { type BeatVerdict, HttpBeats } from './http-beats.ts';
import { isAway } from './node-writes.ts';
import type { Recovery } from './recovery.ts';
import type { Held, Registrar, Unwritten } from './registrar.ts';
import type { RemovalOutcome, Removals } from './removals.ts';
import { whyRefused } from './sessions.ts';

/** A heartbeat that came as a request. */
export interface HttpHeartbeat {
  id: string;
  /** The session of the registration; without it the heartbeat counts only for a node whose connection is HTTP. */
  session?: string;
  stats?: NodeStats;
  /** Conditions of the stats that cannot be read. */
  unread?: Unread;
  /** The same stats as JSON, if the caller has it already. */
  json?: string;
  /** Called only if the address is logged. */
  remoteAddress: () => string;
  /** Default: an anonymous caller. */
  principal?: Principal;
}

export type HttpHeartbeatOutcome =
  /** `nextInMs`: when the next heartbeat is due. */
  | { kind: 'taken'; node: NodeRecord['node']; nextInMs: number }
  /** No such node: register first. */
  | { kind: 'unknown' }
  /** The node has another session. */
  | { kind: 'superseded' }
  /** No session was named, and the node's agent holds a socket: only the socket proves life. */
  | { kind: 'not-http' }
  /** The node's agent has a stronger proof of identity. */
  | { kind: 'not-yours' }
  /** The store is out of reach. */
  | { kind: 'busy' };

/**
 * Agents without a socket: they register and beat by requests. The decisions are those for sockets, except that no
 * connection can be lost: silence alone expires these nodes.
 */
export class HttpAgents {
  /** Accepted heartbeats of this hub. */
  taken = 0;
  readonly #core: FleetCore;
  readonly #registrar: Registrar;
  readonly #removals: Removals;
  readonly #conditions: ConditionReports;
  readonly #recovery: Recovery;
  readonly #beats: HttpBeats;

  constructor(
    core: FleetCore,
    parts: { registrar: Registrar; removals: Removals; conditions: ConditionReports; recovery: Recovery },
  ) {
    this.#core = core;
    this.#registrar = parts.registrar;
    this.#removals = parts.removals;
    this.#conditions = parts.conditions;
    this.#recovery = parts.recovery;
    this.#beats = new HttpBeats(core.store);
  }

  /** Registers an agent; `timing` is its protocol's own if it cannot ask for one. */
  register(
    message: Register,
    caller: Caller,
    timing?: HeartbeatTiming,
  ): Promise<Registered | Unwritten | Held> {
    return this.#registrar.registerWithoutSocket(message, caller, timing);
  }

  /**
   * Takes a heartbeat: it is written at once, with the changes that follow from it. An id that no node can have is
   * unknown. Never throws for an absent store.
   */
  async heartbeat(heartbeat: HttpHeartbeat): Promise<HttpHeartbeatOutcome> {
    const { id } = heartbeat;
    const shard = this.#core.shards.of(id);
    if (!shard.usable) return { kind: 'busy' };
    try {
      const known = newestKnown(this.#core, id);
      let record = known?.kind === 'node' ? known.record : undefined;
      // This hub's record may be slightly outdated: it suffices to accept, but only the store itself refuses, and only
      // the store has the timing of a socket's session.
      if (!record || this.#refusal(record, heartbeat) || record.node.connection?.transport === 'websocket')
        record = await this.#read(id);
      for (let attempt = 0; ; attempt += 1) {
        if (!record) return { kind: 'unknown' };
        const refused = this.#refusal(record, heartbeat);
        if (refused) return refused;
        const verdict = await this.#write(record, heartbeat);
        if (verdict.kind === 'taken') {
          const now = verdict.returned ? await this.#return(record, heartbeat) : record;
          return this.#taken(now, heartbeat);
        }
        if (attempt > 0) return { kind: 'superseded' };
        if (whyRefused(verdict.by, record) === 'lost') await this.#restore(record);
        record = await this.#read(id);
      }
    } catch (error) {
      if (!isAway(error)) throw error;
      shard.recheck();
      return { kind: 'busy' };
    }
  }

  /** The node's agent ends and removes its node. Not if the agent holds a socket: then it deregisters there. */
  async deregister(id: string, principal: Principal = ANONYMOUS): Promise<RemovalOutcome | 'not-http'> {
    const known = newestKnown(this.#core, id);
    let record = known?.kind === 'node' ? known.record : await this.#read(id);
    // This hub's record may be slightly outdated: only the store itself refuses.
    if (record && !this.#grants('deregister', record, principal)) record = await this.#read(id);
    if (!record) return 'nothing';
    if (!this.#grants('deregister', record, principal)) return 'not_your_node';
    if (record.node.connection?.transport !== 'http') return 'not-http';
    return this.#removals.remove(id, { reason: 'deregistered', session: record.session });
  }

  /**
   * Whether a socket's session holds this id: a session that beat within one interval is not displaced. `not_your_node`
   * comes first. Throws `StoreAwayError`.
   */
  async socketHolds(
    id: string,
    principal: Principal = ANONYMOUS,
  ): Promise<'held' | 'free' | 'not_your_node'> {
    const { store } = this.#core;
    const known = newestKnown(this.#core, id);
    // The registration itself checks the claim to the node.
    if (known?.kind === 'node' && known.record.node.connection?.transport !== 'websocket') return 'free';
    // From the store: the hub that holds the socket may have changed its timing without an event.
    const record = await this.#read(id);
    if (record?.node.connection?.transport !== 'websocket') return 'free';
    if (!this.#grants('register', record, principal)) return 'not_your_node';
    const { intervalMs, timeoutMs } = record.node.heartbeat;
    const beat = (await store.stats([{ id, timeoutMs }])).get(id);
    return beat !== undefined && beat.agoMs <= intervalMs ? 'held' : 'free';
  }

  #grants(verb: Verb, record: NodeRecord, { by }: Principal): boolean {
    const { agentsNeedTokens } = this.#core;
    const stored = { kind: 'node', record, restored: false } as const;
    return decideClaim({ verb, by, stored, agentsNeedTokens }) === 'granted';
  }

  /** Why this record does not accept the heartbeat, or undefined. */
  #refusal(record: NodeRecord, heartbeat: HttpHeartbeat): Refusal | undefined {
    if (!this.#grants('beat', record, heartbeat.principal ?? ANONYMOUS)) return { kind: 'not-yours' };
    if (heartbeat.session !== undefined)
      return heartbeat.session === record.session ? undefined : { kind: 'superseded' };
    return record.node.connection?.transport === 'http' ? undefined : { kind: 'not-http' };
  }

  async #read(id: string): Promise<NodeRecord | undefined> {
    if (!idSchema.safeParse(id).success) return undefined;
    const stored = await this.#core.store.read(id);
    return stored.kind === 'node' ? stored.record : undefined;
  }

  #write({ session, node }: NodeRecord, { id, stats, json }: HttpHeartbeat): Promise<BeatVerdict> {
    const { timeoutMs } = node.heartbeat;
    return this.#beats.write({
      id,
      session,
      ttlMs: timeoutMs,
      ...(stats && { stats: json ?? JSON.stringify(stats) }),
    });
  }

  /** The store lost the registration that this hub knows: it is restored, as a socket's would be. */
  async #restore(record: NodeRecord): Promise<void> {
    const { store, log } = this.#core;
    log.warn({ nodeId: record.node.id }, 'The store lost the session of a node that beats; putting it back');
    const lost = lostNode(record, this.#core.shards.of(record.node.id).storeNow());
    await this.#recovery.restore(store.shardOf(record.node.id), [lost]);
  }

  #taken(record: NodeRecord, { stats, unread }: HttpHeartbeat): HttpHeartbeatOutcome {
    this.taken += 1;
    this.#report(record, stats, unread);
    return { kind: 'taken', node: record.node, nextInMs: record.node.heartbeat.intervalMs };
  }

  /** The node was unreachable or offline, and beats: it is back. Any accepted heartbeat proves it. */
  async #return(record: NodeRecord, heartbeat: HttpHeartbeat): Promise<NodeRecord> {
    const { writes, shards, hubId, log, view } = this.#core;
    const { id } = heartbeat;
    const connection: Connection = {
      hubId,
      transport: 'http',
      remoteAddress: heartbeat.remoteAddress(),
      since: instant(shards.of(id).storeNow()),
    };
    const settled = await writes.settle(id, (stored, stamp) => {
      const since = stored.kind === 'node' ? msOf(stored.record.node.statusSince) : 0;
      const at = Math.max(stamp.now, since);
      return decideReturn(stored, { session: record.session, at, connection }, stamp);
    });
    if (settled.kind !== 'done') return record;
    const { change } = settled;
    log.info({ nodeId: id, to: change.event.to }, 'Node is back: its heartbeats resumed');
    await view.waitFor(id, change.event.seq);
    return change.record;
  }

  #report(record: NodeRecord, stats: NodeStats | undefined, unread: Unread | undefined): void {
    if (!stats || unread === 'all') return;
    const { node, session, sessionSeq } = record;
    // Reports of an earlier instance count until the first report of this one.
    const inherited = node.conditions.length > 0 && node.seq === sessionSeq;
    const conditions = stats.conditions ?? (inherited ? [] : undefined);
    const reporter = { nodeId: node.id, session, record, ended: false };
    if (conditions) this.#conditions.report(reporter, conditions, unread);
  }
}

type Refusal = Extract<HttpHeartbeatOutcome, { kind: 'superseded' | 'not-http' | 'not-yours' }>;
