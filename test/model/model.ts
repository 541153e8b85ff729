import fc from 'fast-check';
import { expect } from 'vitest';
import type { Applied } from '../../server/picture/fleet-view.ts';
import type { Cancel } from '../../server/runtime/clock.ts';
import { ModelAgent, ModelHub } from './model-fleet.ts';
import type { World } from './world.ts';

const HUBS = 3;
const AGENTS = 4;
export const SHARDS = 2;

/** A hub's clock and its Redis' are compared in whole milliseconds, a call apart. */
const CLOCKS_APART_MS = 5;
/** And further apart on a machine that has other things to do, where not the order but an amount is looked at. */
const BUSY_MS = 200;

const who = fc.nat(AGENTS - 1);
const which = fc.nat(HUBS - 1);

/** What may happen, roughly as often as it should. */
export const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(50, 300, 2_000, 12_000, 12_000, 33_000),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('start agent' as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('drop' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('goodbye' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('silence' as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('clone' as const), who, which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('close late' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('deregister' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), who, which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('kill hub' as const), which }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('start hub' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stop hub' as const), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('continue hub' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose answers' as const), which }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('heal' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('deafen' as const), who }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('crowd' as const), sessions: fc.constantFrom(0, 4, 8, 40) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose data' as const), shard: fc.nat(SHARDS - 1) }) },
);
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** The first hub always keeps a view, the second never, the third at every other start: they must get along. */
const keepsView = (index: number, started: number): boolean =>
  index === 0 || (index === 2 && started % 2 === 0);

class Model {
  readonly agents: ModelAgent[];
  readonly hubs: ModelHub[] = [];
  readonly faults: unknown[] = [];
  readonly #world: World;
  #started = 0;
  #lostAt = Number.NEGATIVE_INFINITY;
  #endActing: Cancel = () => {};

  constructor(world: World) {
    this.#world = world;
    this.agents = Array.from({ length: AGENTS }, (_, index) => new ModelAgent(`agent-${index}`, world));
  }

  async start(): Promise<void> {
    for (let index = 0; index < HUBS; index += 1) await this.startHub(index);
    for (const agent of this.agents) agent.restart();
    this.#endActing = this.#world.clock.every(this.#world.stretch(1_000), () => {
      for (const agent of this.agents) agent.act(this.hubs);
    });
  }

  async startHub(index: number): Promise<void> {
    if (this.hubs[index]?.alive) return;
    this.#started += 1;
    const hub = new ModelHub(
      `hub-${this.#started}`,
      this.#world,
      await this.#world.newStore(),
      (applied) => this.#check(applied),
      (fault) => void this.faults.push(fault),
      keepsView(index, this.#started),
    );
    this.hubs[index] = hub;
    await hub.fleet.start();
  }

  /**
   * Nobody whose heartbeats come to a hub that reaches the store is shown offline for want of them, and the end
   * of an earlier socket says nothing of the one that followed it.
   */
  #check({ event }: Applied): void {
    const agent = this.agents.find(({ id }) => id === event.nodeId);
    if (!agent) return;
    const at = Date.parse(event.at);
    const silentFor = agent.silentBefore(event);
    const { intervalMs } = this.#world.timing;
    const { timeoutMs } = agent.timingAt(at);
    if (event.reason === 'heartbeat_timeout' && silentFor < timeoutMs - CLOCKS_APART_MS) {
      this.faults.push(`${event.nodeId} is offline ${silentFor} ms after a heartbeat`);
    }
    const { reason } = event;
    const closed = reason === 'connection_lost' || reason === 'agent_stopped';
    // A hub that slept may put back an older session before the hub of the newer one puts back that.
    if (this.#world.clock.now() - this.#lostAt < intervalMs) return;
    if (closed && agent.up && agent.connected && agent.link && at > agent.link.since) {
      this.faults.push(`${event.nodeId} is ${String(event.to)} by a close although its newer socket is open`);
    }
  }

  async run(what: Step): Promise<void> {
    const hub = 'which' in what ? this.hubs[what.which] : undefined;
    const agent = 'who' in what ? this.agents[what.who] : undefined;
    switch (what.do) {
      case 'pass':
        return this.#world.pass(what.ms);
      case 'start agent':
        return agent?.restart();
      case 'drop':
        return agent?.disconnect(false);
      case 'goodbye':
        return agent?.disconnect(true);
      case 'silence':
        if (agent) agent.silent = true;
        return;
      case 'clone':
        if (agent?.up && hub?.takesBeats) void agent.connect(hub);
        return;
      case 'close late':
        return agent?.closeLate();
      case 'deregister':
        if (agent?.link?.hub.takesBeats) void agent.deregister();
        return;
      case 'remove':
        if (agent && hub?.takesBeats)
          void hub.fleet.removals.remove(agent.id, { reason: 'removed_by_operator' });
        return;
      case 'kill hub':
        if (hub?.alive) void hub.kill();
        return;
      case 'start hub':
        return this.startHub(what.which);
      case 'stop hub':
        if (hub?.alive) hub.clock.stopped = true;
        return;
      case 'continue hub':
        return hub?.clock.go();
      case 'cut':
        if (hub?.alive) hub.store.fault = 'away';
        return;
      case 'lose answers':
        if (hub?.alive) hub.store.fault = 'after';
        return;
      case 'heal':
        if (hub?.alive) hub.store.fault = 'none';
        return;
      case 'deafen':
        if (agent) agent.deaf = true;
        return;
      case 'crowd':
        return this.#crowd(what.sessions);
      case 'lose data':
        this.#lostAt = this.#world.clock.now();
        await this.#world.loseData(what.shard);
        // Which takes its time in the real world.
        this.#lostAt = this.#world.clock.now();
        return;
      default:
        what satisfies never;
    }
  }

  /** Another hub with so many sessions appears, changes, or goes. */
  async #crowd(sessions: number): Promise<void> {
    const store = await this.#world.newStore();
    const lease = { hubId: 'crowd', address: 'model', sessions, version: 'test' };
    if (sessions > 0) await store.renewLease(lease, this.#world.stretch(600_000));
    else await store.dropLease('crowd');
    await store.close();
  }

  /** What the store says of a session is never a shorter timeout than its agent knows. */
  async checkTimings(): Promise<void> {
    const store = await this.#world.newStore();
    for (const { id } of this.agents) await store.attach(store.shardOf(id));
    for (const agent of this.agents) {
      // As it was before the look: in real time it may be told a longer timing, and beat by it, right after it.
      const { timeoutMs } = agent.timingAt(this.#world.clock.now());
      const { beatStandsUntil, link } = agent;
      const stored = await store.read(agent.id);
      if (stored.kind !== 'node' || !link || !agent.connected || !link.hub.fleet.ready) continue;
      const { session, node } = stored.record;
      // What was lost is put back at the hub's next look, where it can look.
      const lately = this.#world.clock.now() - this.#lostAt < this.#world.timing.intervalMs;
      if (session !== link.session.session || lately || !link.hub.reachesStore) continue;
      if (node.heartbeat.timeoutMs < timeoutMs) {
        this.faults.push(`${agent.id} knows ${timeoutMs} ms, the store ${node.heartbeat.timeoutMs} ms`);
      }
      const beat = (await store.stats([{ id: agent.id, timeoutMs: node.heartbeat.timeoutMs }])).get(agent.id);
      // A registration that came between the two reads has the timing of the moment. Until it is answered, its agent waits
      // for that or tries again, as though its timeout were the shorter one (BACK-6).
      const since = await store.read(agent.id);
      if (since.kind !== 'node' || since.record.session !== session) continue;
      const until = beat && this.#world.clock.now() - beat.agoMs + node.heartbeat.timeoutMs;
      const short = beatStandsUntil - (until ?? Number.POSITIVE_INFINITY);
      if (short > BUSY_MS) this.faults.push(`${agent.id}: its heartbeat ends ${short} ms too early`);
    }
    await store.close();
  }

  /** All hubs run, all ways are open, and enough time passes for every timeout twice. */
  async heal(): Promise<void> {
    for (const [index, hub] of this.hubs.entries()) {
      if (hub.alive) {
        hub.store.fault = 'none';
        hub.clock.go();
      }
      await this.startHub(index);
    }
    await this.#crowd(0);
    // The longest timeout is 120 s, and a node may be given two of them.
    for (let passed = 0; passed < 4 && !(passed > 0 && (await this.#settled())); passed += 1)
      await this.#world.pass(100_000);
  }

  /** Nobody is waited for any more. */
  async #settled(): Promise<boolean> {
    const [hub] = this.hubs;
    return this.agents.every((agent) => {
      const status = hub?.fleet.view.get(agent.id)?.node.status;
      return status === undefined || (agent.up && !agent.silent ? status === 'online' : status === 'offline');
    });
  }

  /** Every view is what the store holds, live agents are online, each node has one live session. */
  async checkEnd(): Promise<void> {
    const store = await this.#world.newStore();
    for (let shard = 0; shard < SHARDS; shard += 1) await store.attach(shard);
    for (const agent of this.agents) {
      const stored = await store.read(agent.id);
      const node = stored.kind === 'node' ? stored.record.node : undefined;
      // The timing is told by no event: a hub hears of it with the next one.
      const told = node && { ...node, heartbeat: expect.anything() };
      for (const { fleet } of this.hubs) {
        if (fleet.view.keepsRecords) expect(fleet.view.get(agent.id)?.node).toEqual(told);
      }
      const sessions = this.hubs
        .map(({ fleet }) => fleet.sessions.get(agent.id))
        .filter((session) => session?.beatWaits === false);
      const speaking = sessions.filter(
        (session) => stored.kind === 'node' && session?.session === stored.record.session,
      );
      expect(speaking.length).toBeLessThanOrEqual(1);
      if (agent.up && !agent.silent) expect(node?.status).toBe('online');
      else expect([undefined, 'offline']).toContain(node?.status);
    }
    await store.close();
  }

  async end(): Promise<void> {
    this.#endActing();
    const stops = this.hubs.map((hub) => (hub.alive ? hub.end() : undefined));
    await this.#world.pass(10);
    await Promise.all(stops);
  }
}

/** `MODEL_SEED` and `MODEL_PATH` of a failure run it again. */
export function replay(): { seed?: number; path?: string } {
  const { MODEL_SEED: seed, MODEL_PATH: path } = process.env;
  return { ...(seed !== undefined && { seed: Number(seed) }), ...(path !== undefined && { path }) };
}

/** Lives through a history, and heals it; fails where any promise was broken. */
export async function live(world: World, steps: readonly Step[]): Promise<void> {
  const model = new Model(world);
  await model.start();
  for (const each of steps) {
    await model.run(each);
    await model.checkTimings();
  }
  await model.heal();
  await model.checkEnd();
  await model.end();
  expect(model.faults).toEqual([]);
}
