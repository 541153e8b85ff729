import {
  type Changes,
  type DashboardEvent,
  type Filter,
  matcher,
  type Subscribe,
} from '../../shared/index.ts';
import { CursorCodec, subscriptionKey } from '../picture/cursor.ts';
import type { Applied, FleetView } from '../picture/fleet-view.ts';
import type { Cancel, Clock } from '../runtime/clock.ts';
import type { Position } from '../store/fleet-store.ts';
import { eventFor, pagedEvents } from './pages.ts';

/** After changes were sent, later ones wait for this long, so that a burst goes as one batch. */
export const BATCH_MS = 50;

/** One subscription in a group. */
export interface GroupMember {
  /** Changes that come while the member still catches up: it keeps them for later. */
  hold(changes: Changes): void;
  /** Called before each broadcast: a member at its limit of unread bytes ends itself. */
  takesMore(): boolean;
}

export interface GroupParts {
  view: FleetView;
  clock: Clock;
  /** Sends one packet to all members of the room; encoded once. */
  broadcast: (room: string, changes: Changes) => void;
}

/**
 * All subscriptions with the same filter and fields: each event is filtered, batched and encoded once for the group.
 * The first change after a quiet time is sent at once, later ones every 50 ms.
 */
export class FilterGroup {
  readonly room: string;
  readonly #parts: GroupParts;
  readonly #fields: Subscribe['fields'];
  readonly #matches: ReturnType<typeof matcher>;
  readonly #codec: CursorCodec;
  readonly #holding = new Set<GroupMember>();
  readonly #live = new Set<GroupMember>();
  readonly #endListening: () => void;
  #pending: DashboardEvent[] = [];
  /** The position of live members: everything up to here was sent. */
  #cursor: string;
  #flushWaits = false;
  #pause: Cancel | undefined;

  constructor(room: string, filter: Filter, fields: Subscribe['fields'], parts: GroupParts) {
    this.room = room;
    this.#parts = parts;
    this.#fields = fields;
    this.#matches = matcher(filter);
    this.#codec = new CursorCodec(subscriptionKey(filter, fields));
    this.#cursor = this.#codec.encode(parts.view.positions());
    this.#endListening = parts.view.listen({
      changed: (applied) => this.#changed(applied),
      // Every subscription has to resync.
      reloaded: () => this.#forget(),
    });
  }

  get size(): number {
    return this.#holding.size + this.#live.size;
  }

  /**
   * Begins to hold changes for a member, and returns the positions where they begin: the member has to get everything
   * up to there elsewhere, and gets everything after it here. A member that joins again begins anew.
   */
  join(member: GroupMember): Position[] {
    this.#holding.delete(member);
    this.#flush();
    this.#holding.add(member);
    const positions = this.#parts.view.positions();
    this.#cursor = this.#codec.encode(positions);
    return positions;
  }

  /** The member has everything that was held for it: from now on it is in the room. */
  goLive(member: GroupMember): void {
    this.#holding.delete(member);
    this.#live.add(member);
  }

  leave(member: GroupMember): void {
    this.#holding.delete(member);
    this.#live.delete(member);
  }

  close(): void {
    this.#endListening();
    this.#forget();
    this.#pause?.();
    this.#pause = undefined;
  }

  #forget(): void {
    this.#pending = [];
  }

  #changed({ event, before, after }: Applied): void {
    const matches = after !== undefined && this.#matches(after);
    if (!matches && !(before && this.#matches(before))) return;
    this.#pending.push(eventFor(this.#fields, event, !matches && after !== undefined));
    this.#schedule();
  }

  /** Events of one round of the event loop go together: the positions are right only once the view has applied all. */
  #schedule(): void {
    if (this.#pause || this.#flushWaits) return;
    this.#flushWaits = true;
    queueMicrotask(() => {
      this.#flushWaits = false;
      if (!this.#pause) this.#flush();
    });
  }

  #flush(): void {
    const events = this.#pending;
    if (events.length === 0) return;
    this.#pending = [];
    for (const member of this.#live) if (!member.takesMore()) this.leave(member);
    const reached = this.#codec.encode(this.#parts.view.positions());
    let sent = 0;
    for (const page of pagedEvents(events)) {
      sent += page.length;
      // The last packet alone completes everything up to the new positions.
      this.#send({ cursor: sent === events.length ? reached : this.#cursor, events: page });
    }
    this.#cursor = reached;
    this.#rest();
  }

  #send(changes: Changes): void {
    for (const member of this.#holding) member.hold(changes);
    if (this.#live.size > 0) this.#parts.broadcast(this.room, changes);
  }

  #rest(): void {
    this.#pause?.();
    this.#pause = this.#parts.clock.after(BATCH_MS, () => {
      this.#pause = undefined;
      this.#flush();
    });
  }
}

/** The groups that have members. */
export class FilterGroups {
  readonly #parts: GroupParts;
  readonly #groups = new Map<string, FilterGroup>();
  #rooms = 0;

  constructor(parts: GroupParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#groups.size;
  }

  /** The group of a filter, created if necessary. To be joined synchronously. */
  of(filter: Filter, fields: Subscribe['fields']): FilterGroup {
    const key = subscriptionKey(filter, fields);
    const known = this.#groups.get(key);
    if (known) return known;
    this.#rooms += 1;
    const group = new FilterGroup(`changes ${this.#rooms}`, filter, fields, this.#parts);
    this.#groups.set(key, group);
    return group;
  }

  /** Removes a member; a group without members ends. */
  leave(filter: Filter, fields: Subscribe['fields'], member: GroupMember): void {
    const key = subscriptionKey(filter, fields);
    const group = this.#groups.get(key);
    group?.leave(member);
    if (group?.size !== 0) return;
    group.close();
    this.#groups.delete(key);
  }

  close(): void {
    for (const group of this.#groups.values()) group.close();
    this.#groups.clear();
  }
}
