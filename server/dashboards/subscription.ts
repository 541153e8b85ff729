import { promisify } from 'node:util';
import { gzip as gzipCallback } from 'node:zlib';
import {
  type Changes,
  type FleetNode,
  LIMITS,
  matcher,
  type Refusal,
  type Subscribe,
  type Subscribed,
} from '../../shared/index.ts';
import type { FleetReader } from '../fleet/ports.ts';
import { CursorCodec, subscriptionKey } from '../picture/cursor.ts';
import { isWithin, ReplayGap, replay, viewReaches } from '../picture/replay.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { LostDataError, type Position, StoreAwayError } from '../store/fleet-store.ts';
import type { DashboardConnection } from './connection.ts';
import type { FilterGroup, FilterGroups, GroupMember } from './filter-group.ts';
import { eventFor, pagedEvents, snapshotPages } from './pages.ts';
import type { DashboardSocket } from './socket-server.ts';

const gzip = promisify(gzipCallback);

/** The most events held for a member that catches up; beyond it they are read from the log instead. */
const HELD_EVENTS = 2_000;

/** What all subscriptions of a hub share. */
export interface SubscriptionContext {
  fleet: FleetReader;
  clock: Clock;
  log: Log;
  groups: FilterGroups;
}

/**
 * One dashboard's subscription, from its request to its end: first the snapshot or the changes since a cursor, then the
 * changes that the log got meanwhile, then those that the group holds, then the room.
 */
export class Subscription implements GroupMember {
  readonly #context: SubscriptionContext;
  readonly #socket: DashboardSocket;
  readonly #connection: DashboardConnection;
  readonly #request: Subscribe;
  readonly #codec: CursorCodec;
  #state: State = { kind: 'deciding' };
  #room: string | undefined;

  constructor(
    context: SubscriptionContext,
    socket: DashboardSocket,
    connection: DashboardConnection,
    request: Subscribe,
  ) {
    this.#context = context;
    this.#socket = socket;
    this.#connection = connection;
    this.#request = request;
    this.#codec = new CursorCodec(subscriptionKey(request.filter, request.fields));
  }

  get state(): State['kind'] {
    return this.#state.kind;
  }

  /** Acknowledges the request and brings the dashboard up to the present. Resolves once it is live, or over. */
  async begin(ack: (answer: Subscribed | Refusal) => void): Promise<void> {
    const { fleet } = this.#context;
    if (!fleet.view.loaded) {
      this.end();
      ack({ ok: false, code: 'not_ready', message: 'the hub is still loading the fleet; try again' });
      return;
    }
    const since = await this.#resumePoint();
    await fleet.slices.forReader();
    // Without an await in between: the snapshot and its positions belong together.
    const from = since ?? fleet.view.positions();
    const nodes = this.#over ? [] : await fleet.view.find(this.#request.filter);
    if (this.#over) {
      ack({ ok: false, code: 'replaced', message: 'another subscribe or unsubscribe came meanwhile' });
      return;
    }
    this.#state = { kind: 'snapshotting' };
    ack({
      ok: true,
      cursor: this.#codec.encode(from),
      resumed: since !== undefined,
      total: nodes.length,
      hub: fleet.datedState(),
    });
    if (!since && !(await this.#sendSnapshot(nodes))) return;
    await this.#catchUp(from);
  }

  /** Ends sending. Calling it again does nothing. */
  end(): void {
    if (this.#state.kind === 'ended') return;
    const { filter, fields } = this.#request;
    this.#state = { kind: 'ended' };
    this.#context.groups.leave(filter, fields, this);
    if (this.#room !== undefined) void this.#socket.leave(this.#room);
  }

  /** The dashboard has to subscribe afresh: it may have missed something. Before the ack it has missed nothing. */
  resync(reason: string): void {
    if (this.#state.kind === 'ended' || this.#state.kind === 'deciding') return;
    this.end();
    this.#socket.emit('resync', { reason });
  }

  hold(changes: Changes): void {
    const state = this.#state;
    if (state.kind !== 'replaying') return;
    state.heldEvents += changes.events.length;
    if (state.heldEvents > HELD_EVENTS) state.held = [];
    else state.held.push(changes);
  }

  takesMore(): boolean {
    return this.#connection.takesMore();
  }

  /** The positions to resume from, or undefined if a snapshot is needed. */
  async #resumePoint(): Promise<Position[] | undefined> {
    const { fleet, log } = this.#context;
    if (this.#request.since === undefined) return undefined;
    const since = this.#codec.decode(this.#request.since, fleet.view.positions());
    if (!since || !(await this.#viewReaches(since))) return undefined;
    try {
      const near = await isWithin(
        fleet.store,
        since,
        fleet.view.positions(),
        LIMITS.resumeEvents,
        fleet.slices,
      );
      return near ? since : undefined;
    } catch (error) {
      if (!isExpected(error)) log.error({ err: error }, 'Could not look up where a dashboard left off');
      return undefined;
    }
  }

  /** The hub that issued the cursor may be ahead of this one. */
  async #viewReaches(since: readonly Position[]): Promise<boolean> {
    const { fleet, clock } = this.#context;
    return viewReaches(fleet.view, since, clock, () => this.#state.kind === 'ended');
  }

  /** False if the subscription ended before the last page. */
  async #sendSnapshot(nodes: readonly FleetNode[]): Promise<boolean> {
    for (const page of snapshotPages(nodes, this.#request.fields)) {
      if (!(await this.#ready())) return false;
      if (this.#request.gzip) {
        const zipped = await gzip(JSON.stringify(page.nodes));
        if (this.#over) return false;
        this.#socket.emit('snapshot', { gzip: zipped, remaining: page.remaining });
      } else {
        this.#socket.emit('snapshot', page);
      }
    }
    return true;
  }

  async #catchUp(from: Position[]): Promise<void> {
    const { groups } = this.#context;
    const { filter, fields } = this.#request;
    let reached = from;
    for (;;) {
      if (this.#over) return;
      const state: State = { kind: 'replaying', held: [], heldEvents: 0 };
      this.#state = state;
      const group = groups.of(filter, fields);
      const upTo = group.join(this);
      if (!(await this.#replay(reached, upTo)) || this.#over) return;
      if (state.heldEvents <= HELD_EVENTS) {
        this.#goLive(group, state.held);
        return;
      }
      // Too many changes came meanwhile to be held: they are read from the log as well.
      reached = upTo;
    }
  }

  /** Without an await in between: no change can come between the held ones and the room. */
  #goLive(group: FilterGroup, held: readonly Changes[]): void {
    for (const changes of held) this.#socket.emit('changes', changes);
    group.goLive(this);
    this.#room = group.room;
    void this.#socket.join(group.room);
    this.#state = { kind: 'live' };
  }

  /**
   * Sends the log's changes between two positions. A node that does not match goes as `left`: whether it matched before
   * is unknown by now. False if the subscription is over.
   */
  async #replay(from: Position[], upTo: Position[]): Promise<boolean> {
    const { fleet, log } = this.#context;
    const { filter, fields } = this.#request;
    const matches = matcher(filter);
    let cursor = this.#codec.encode(from);
    try {
      for await (const { entries, positions } of replay(fleet.store, from, upTo, fleet.slices)) {
        const events = entries.map(({ event }) => eventFor(fields, event, !matches(event.node)));
        const reached = this.#codec.encode(positions);
        let sent = 0;
        for (const page of pagedEvents(events)) {
          if (!(await this.#ready())) return false;
          sent += page.length;
          this.#socket.emit('changes', { cursor: sent === events.length ? reached : cursor, events: page });
        }
        cursor = reached;
      }
      return !this.#over;
    } catch (error) {
      if (!isExpected(error)) log.error({ err: error }, 'A replay failed');
      this.resync(error instanceof Error && isExpected(error) ? error.message : 'the hub failed');
      return false;
    }
  }

  get #over(): boolean {
    return this.#state.kind === 'ended';
  }

  /** Waits until the dashboard has taken most of the sent bytes, and for a slice. False if the subscription is over. */
  async #ready(): Promise<boolean> {
    if (this.#over || !(await this.#connection.drained())) return false;
    await this.#context.fleet.slices.forReader();
    return !this.#over;
  }
}

function isExpected(error: unknown): boolean {
  return error instanceof ReplayGap || error instanceof StoreAwayError || error instanceof LostDataError;
}

type State =
  /** Not acknowledged yet: the log is asked whether it still reaches back to the cursor. */
  | { kind: 'deciding' }
  | { kind: 'snapshotting' }
  | { kind: 'replaying'; held: Changes[]; heldEvents: number }
  | { kind: 'live' }
  | { kind: 'ended' };
