import { randomUUID } from 'node:crypto';
import type { Fleet } from '../../server/fleet/fleet.ts';
import { FLUSH_EVERY_MS, flushRounds } from '../../server/fleet/heartbeats.ts';
import type { LiveSession } from '../../server/fleet/sessions.ts';
import type { Applied } from '../../server/picture/fleet-view.ts';
import { NoView } from '../../server/picture/no-view.ts';
import type { Cancel, Clock } from '../../server/runtime/clock.ts';

import type { FleetStore } from '../../server/store/fleet-store.ts';
import type { CloseCode, HeartbeatTiming, HubMessage } from '../../shared/index.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { registerMessage, testFleet } from '../support/test-fleet.ts';
import type { World } from './world.ts';

/** A hub comes to its timers at least so often. */
const TURN_MS = 50;

/** A clock of one hub, which can be stopped as SIGSTOP stops a process: what becomes due waits. */
class StoppableClock implements Clock {
  stopped = false;
  #due: Array<() => void> = [];
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now = (): number => this.#clock.now();
  wall = (): number => this.#clock.wall();
  after = (ms: number, run: () => void): Cancel => this.#clock.after(ms, () => this.#run(run));
  every = (ms: number, run: () => void): Cancel => this.#clock.every(ms, () => this.#run(run));
  sleep = (ms: number): Promise<void> => new Promise((resolve) => void this.after(ms, resolve));

  #run(run: () => void): void {
    if (!this.stopped) run();
    // A timer that was missed many times fires once, as an interval of Node does.
    else if (!this.#due.includes(run)) this.#due.push(run);
  }

  /** Runs now, or where the process is stopped, when it goes on: what the kernel keeps for it. */
  deliver(run: () => void): void {
    if (this.stopped) this.#due.push(run);
    else run();
  }

  go(): void {
    this.stopped = false;
    for (const run of this.#due.splice(0)) run();
  }
}

/** A hub of the model: it can be killed, stopped, cut off from its store, and started again. */
export class ModelHub {
  readonly store: FaultyStore;
  readonly clock: StoppableClock;
  readonly fleet: Fleet;
  readonly #complain: (fault: string) => void;
  /** Heartbeats that are on their way to the store. */
  #writing = 0;
  /** The changes by which it called a node silent, each as its id and version. */
  readonly #silences = new Set<string>();
  alive = true;

  /** `complain` and not `throw`: what a listener throws ends in the hub's log, not in the test. */
  constructor(
    hubId: string,
    world: World,
    store: FleetStore,
    check: (applied: Applied) => void,
    complain: (fault: string) => void,
    keepsView = true,
  ) {
    this.#complain = complain;
    this.store = new FaultyStore(store);
    this.clock = new StoppableClock(world.clock);
    // A stopped process hears no bell either: it would look, and renew its lease.
    const { onBell } = this.store;
    this.store.onBell = (listener) => onBell((shard) => this.clock.deliver(() => listener(shard)));
    const { beat } = this.store;
    this.store.beat = async (...asked) => {
      this.#writing += 1;
      return beat(...asked).finally(() => {
        this.#writing -= 1;
      });
    };
    const { commit } = this.store;
    this.store.commit = async (change) => {
      const { reason, nodeId, seq } = change.event;
      const silence = reason === 'heartbeat_timeout' ? `${nodeId} ${seq}` : undefined;
      // Noted first: the event may be read before the answer is.
      if (silence !== undefined) this.#silences.add(silence);
      const outcome = await commit(change);
      if (silence !== undefined && outcome !== 'done') this.#silences.delete(silence);
      return outcome;
    };
    const view = keepsView ? {} : { view: new NoView(this.clock, store.shards) };
    this.fleet = testFleet(this.store, this.clock, hubId, world.timing, { pace: world.pace, ...view });
    const seqs = new Map<string, number>();
    this.fleet.view.listen({
      changed: (applied) => {
        this.#checkSeq(seqs, applied);
        check(applied);
      },
      // Whoever follows is told to resync: it forgets what it knew.
      reloaded: () => seqs.clear(),
    });
  }

  #checkSeq(seqs: Map<string, number>, { event }: Applied): void {
    const known = seqs.get(event.nodeId);
    if (known !== undefined && event.seq !== known + 1 && event.reason !== 'store_restored') {
      this.#complain(`${event.nodeId}: version ${event.seq} after ${known}`);
    }
    if (known !== undefined && event.seq <= known) this.#complain(`${event.nodeId}: seq went back`);
    seqs.set(event.nodeId, event.seq);
  }

  /** Whether it was this hub that called a node silent. */
  calledSilent({ nodeId, seq }: Applied['event']): boolean {
    return this.#silences.has(`${nodeId} ${seq}`);
  }

  get takesBeats(): boolean {
    return this.alive && !this.clock.stopped;
  }

  get reachesStore(): boolean {
    return this.takesBeats && this.store.fault === 'none';
  }

  /** Whether the last heartbeat of a session is in the store, as far as this hub can tell. */
  hasWritten({ beatWaits }: LiveSession): boolean {
    return !beatWaits && this.#writing === 0;
  }

  /** As SIGKILL: nothing more is written, the lease runs out by itself. */
  async kill(): Promise<void> {
    this.alive = false;
    this.store.fault = 'away';
    this.clock.go();
    await this.end();
  }

  async end(): Promise<void> {
    await this.fleet.stop();
    await this.store.close();
  }
}

interface ModelLink {
  hub: ModelHub;
  session: LiveSession;
  /** When it was registered. */
  since: number;
  ended: CloseCode | undefined;
}

/** An agent of the model. It beats, notices that its hub is gone, and comes back within the time that it has. */
export class ModelAgent {
  readonly id: string;
  readonly #world: World;
  readonly #clock: Clock;
  instanceId = randomUUID();
  /** Whether its machine runs, and whether it beats. */
  up = false;
  silent = false;
  /** It does not do as it is told until it registers again, as an old agent. */
  deaf = false;
  /** When the heartbeats came that a hub could write. */
  readonly #delivered: number[] = [];
  /** When the heartbeats came that a stopped hub will find when it goes on, if this socket lasts. */
  #inStoppedHub: number[] = [];
  link: ModelLink | undefined;
  #abandoned: ModelLink[] = [];
  #lastBeatAt = Number.NEGATIVE_INFINITY;
  #answeredAt = 0;
  /** What it was told of its heartbeat, and when: the newest last. */
  #told: Array<{ at: number; timing: HeartbeatTiming }> = [];
  #registering = false;

  constructor(id: string, world: World) {
    this.id = id;
    this.#world = world;
    this.#clock = world.clock;
  }

  /**
   * How long before this event the newest heartbeat had come through. One in the same millisecond may have come after
   * it, such as a registration just when the time was over. What lies in the socket of a stopped hub counts where that
   * hub itself called the node silent: no other can know of it.
   */
  silentBefore(event: Applied['event']): number {
    const at = Date.parse(event.at);
    const unread = this.link?.hub.calledSilent(event) ? this.#inStoppedHub : [];
    return at - Math.max(...[...this.#delivered, ...unread].filter((when) => when < at));
  }

  /** The timing that it knew at this moment. */
  timingAt(at: number): HeartbeatTiming {
    return this.#told.findLast((told) => told.at <= at)?.timing ?? this.#world.timing;
  }

  /** How long its heartbeat must stand at least, of the newest that came through. */
  get beatStandsUntil(): number {
    return Math.max(...this.#delivered) + this.#timing.timeoutMs;
  }

  get #timing(): HeartbeatTiming {
    return this.timingAt(this.#clock.now());
  }

  #hear(timing: HeartbeatTiming): void {
    this.#told.push({ at: this.#clock.now(), timing });
  }

  get connected(): boolean {
    return this.link !== undefined && this.link.ended === undefined && this.link.hub.alive;
  }

  /** What an agent does each second. */
  act(hubs: readonly ModelHub[]): void {
    if (!this.up || this.silent) return;
    if (this.link?.ended?.code === 4404) this.up = false;
    else if (this.connected && this.link && !this.#hubIsMute(this.link.hub, hubs)) this.#beat(this.link);
    else this.#reconnect(hubs);
  }

  #hubIsMute(hub: ModelHub, hubs: readonly ModelHub[]): boolean {
    if (!hub.clock.stopped) this.#answeredAt = this.#clock.now();
    const mute = this.#clock.now() - this.#answeredAt > 1.2 * this.#timing.intervalMs;
    // With nobody else to go to, it goes on beating where it is.
    return mute && hubs.some((other) => other.takesBeats && other.fleet.admits);
  }

  #beat({ hub, session }: ModelLink): void {
    if (this.#clock.now() - this.#lastBeatAt < this.#timing.intervalMs) return;
    const beatAt = this.#clock.now();
    this.#lastBeatAt = beatAt;
    // A stopped hub finds in its socket what came meanwhile: it may not judge before it has looked.
    const { stopped } = hub.clock;
    if (stopped && hub.store.fault === 'none') this.#inStoppedHub.push(beatAt);
    const writtenWithinMs = flushRounds(this.#world.timing.timeoutMs) * FLUSH_EVERY_MS + TURN_MS;
    // Where it goes on without its store, it cannot write what it finds.
    const lostIfCutOff = (): void => {
      if (!hub.reachesStore) this.#inStoppedHub = this.#inStoppedHub.filter((at) => at !== beatAt);
    };
    hub.clock.deliver(() => {
      hub.fleet.heartbeat(session);
      if (!stopped) return;
      lostIfCutOff();
      this.#clock.after(writtenWithinMs, lostIfCutOff);
    });
    if (stopped || !hub.reachesStore) return;
    // It waits in the hub before it is written: a socket or a hub that ends meanwhile takes it along.
    const noteDelivered = (): void => {
      if (!hub.reachesStore || this.link?.session !== session) return;
      // In real time a hub may come to its turns late, with the whole process.
      if (this.#world.exact || hub.hasWritten(session)) this.#delivered.push(beatAt);
      else this.#clock.after(TURN_MS, noteDelivered);
    };
    this.#clock.after(writtenWithinMs, noteDelivered);
  }

  #reconnect(hubs: readonly ModelHub[]): void {
    const open = hubs.filter((hub) => hub.takesBeats && hub.fleet.admits);
    const hub = open[Math.floor(this.#clock.now() / this.#world.stretch(1_000)) % Math.max(1, open.length)];
    if (hub && !this.#registering) void this.connect(hub);
  }

  async connect(hub: ModelHub): Promise<void> {
    this.#registering = true;
    const link: ModelLink | { ended: CloseCode | undefined } = { ended: undefined };
    const message = registerMessage({ nodeId: this.id }, { instanceId: this.instanceId });
    const end = (code: CloseCode): void => {
      link.ended = code;
    };
    const send = (sent: HubMessage): boolean => {
      if (this.link === link && !link.ended && !this.deaf && sent.type === 'heartbeat') this.#hear(sent);
      return 'hub' in link;
    };
    const outcome = await hub.fleet.registrar.register(message, {
      remoteAddress: 'model',
      end,
      understands: () => false,
      send,
    });
    this.#registering = false;
    if (outcome.kind !== 'registered') return;
    this.#lastBeatAt = this.#clock.now();
    this.#answeredAt = this.#clock.now();
    this.#delivered.push(outcome.session.lastBeatAt);
    if (this.link) this.#abandoned.push(this.link);
    this.#inStoppedHub = [];
    this.#hear(outcome.reply.heartbeat);
    this.link = Object.assign(link, { hub, session: outcome.session, since: this.#clock.now() });
  }

  /** A socket that it had before closes late, wherever that was. */
  closeLate(): void {
    const old = this.#abandoned.shift();
    if (!old?.hub.alive || old.ended) return;
    old.hub.clock.deliver(() => {
      if (old.hub.alive && !old.ended) void old.hub.fleet.closed(old.session, { goodbye: false, code: 1006 });
    });
  }

  /** Its socket closes; a hub that is dead or stopped does not notice. */
  disconnect(goodbye: boolean): void {
    const { link } = this;
    this.up = false;
    this.link = undefined;
    this.#inStoppedHub = [];
    if (!link?.hub.takesBeats || link.ended) return;
    void link.hub.fleet.closed(link.session, { goodbye, code: goodbye ? 1000 : 1006 });
  }

  /** Asks to be removed; where the hub cannot, its process ends all the same. */
  async deregister(): Promise<void> {
    const { link } = this;
    this.up = false;
    const outcome = await link?.hub.fleet.deregister(link.session);
    if (outcome === 'busy' || outcome === 'contended') this.disconnect(true);
    else if (link) link.hub.fleet.forget(link.session);
    if (this.link === link) this.link = undefined;
  }

  restart(): void {
    this.up = true;
    this.silent = false;
    this.deaf = false;
    if (this.link?.ended?.code === 4404) this.link = undefined;
  }
}
