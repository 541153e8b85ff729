import { randomUUID } from 'node:crypto';
import { Fleet, type FleetOptions } from '../../server/fleet/fleet.ts';
import type { RegisterOutcome } from '../../server/fleet/registrar.ts';
import type { Link, LiveSession } from '../../server/fleet/sessions.ts';
import type { Clock } from '../../server/runtime/clock.ts';
import { silentLog } from '../../server/runtime/log.ts';
import type { FleetStore } from '../../server/store/fleet-store.ts';
import {
  type CloseCode,
  type Feature,
  type HeartbeatTiming,
  type HubMessage,
  type NodeStats,
  type Register,
  registerSchema,
} from '../../shared/index.ts';

export const TIMING = { intervalMs: 10_000, timeoutMs: 30_000 };

/** A hub's fleet over a store, without sockets; with a view of the whole fleet where no other is given. */
export function testFleet(
  store: FleetStore,
  clock: Clock,
  hubId = 'hub-a',
  timing = TIMING,
  more: Pick<FleetOptions, 'pace' | 'view' | 'maxNodes'> = {},
): Fleet {
  const parts = { hubId, address: '127.0.0.1:0', version: 'test', timing, store, clock, log: silentLog };
  return new Fleet({ ...parts, ...more });
}

/** A `register` message as the decoder gives it. */
export function registerMessage(
  node: { hostname?: string; nodeId?: string; [fact: string]: unknown } = {},
  extra: { instanceId?: string; heartbeat?: { intervalMs: number } } = {},
): Register {
  return registerSchema.parse({
    type: 'register',
    protocol: 1,
    instanceId: randomUUID(),
    ...extra,
    node: { hostname: node.nodeId ?? 'node-1', ...node },
  });
}

/** An agent's socket that only remembers how it was closed. */
export class TestLink implements Link {
  readonly remoteAddress = '192.0.2.1';
  readonly ended: CloseCode[] = [];
  /** What the agent was told after its registration. */
  readonly told: HeartbeatTiming[] = [];
  readonly end = (code: CloseCode): void => void this.ended.push(code);
  /** Whether it can be told now. */
  listens = true;
  /** What its agent announced. */
  readonly features: readonly Feature[];

  constructor(features: readonly Feature[] = []) {
    this.features = features;
  }

  readonly understands = (feature: Feature): boolean => this.features.includes(feature);
  readonly send = (message: HubMessage): boolean => {
    const { listens } = this;
    if (listens && message.type === 'heartbeat') {
      const { intervalMs, timeoutMs } = message;
      this.told.push({ intervalMs, timeoutMs });
    }
    return listens;
  };
}

export interface TestAgent {
  link: TestLink;
  session: LiveSession;
  reply: Extract<RegisterOutcome, { kind: 'registered' }>['reply'];
}

/** Registers an agent, and fails the test where it is refused. */
export async function registerAgent(
  fleet: Fleet,
  message: Register = registerMessage(),
  features: readonly Feature[] = [],
): Promise<TestAgent> {
  const link = new TestLink(features);
  const outcome = await fleet.registrar.register(message, link);
  if (outcome.kind !== 'registered') throw new Error(`the registration was answered ${outcome.kind}`);
  return { link, session: outcome.session, reply: outcome.reply };
}

/** Sends stats as a socket would. */
export function sendStats(fleet: Fleet, session: LiveSession, stats: NodeStats): void {
  fleet.report(session, { stats });
}
