import { type Hub, startHub } from '../../server/hub.ts';
import { systemClock } from '../../server/runtime/clock.ts';
import { silentLog } from '../../server/runtime/log.ts';
import { readHubSettings } from '../../server/settings.ts';
import { MemoryFleet, MemoryStore } from '../../server/store/memory/memory-store.ts';
import type { NodeStats } from '../../shared/index.ts';
import { simulatedNode } from '../../simulate/simulated-node.ts';
import { registerAgent, registerMessage, sendStats, type TestAgent } from './test-fleet.ts';

/** A hub in this process with a fleet that has no sockets: for measurements and pictures. */
export interface FilledHub {
  hub: Hub;
  agents: TestAgent[];
  /** One message of stats from an agent; `failing` names a check that fails. */
  beat(agent: TestAgent, stats: NodeStats & { failing?: [type: string, message: string] }): void;
  /** Its socket broke. */
  lose(agent: TestAgent): Promise<void>;
  /** Its agent said goodbye. */
  leave(agent: TestAgent): Promise<void>;
}

/** Agents that register at a time. */
const AT_ONCE = 500;

/** Starts a hub and registers so many simulated nodes, whose heartbeats are not due for half an hour. */
export async function startFilledHub(
  count: number,
  settings: Readonly<Record<string, string>> = {},
): Promise<FilledHub> {
  const store = new MemoryStore(new MemoryFleet(systemClock, 4));
  const slow = { PORT: '0', HEARTBEAT_INTERVAL: '10m', HEARTBEAT_TIMEOUT: '30m' };
  const hub = await startHub(
    readHubSettings({ ...slow, ...settings }, () => ''),
    { log: silentLog, store },
  );
  const { fleet } = hub;
  const agents: TestAgent[] = [];
  for (let from = 0; from < count; from += AT_ONCE) {
    const batch = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, index) =>
      registerAgent(fleet, registerMessage({ ...simulatedNode(from + index + 1) })),
    );
    agents.push(...(await Promise.all(batch)));
  }
  return {
    hub,
    agents,
    beat: (agent, { failing, ...stats }) =>
      sendStats(fleet, agent.session, {
        ...stats,
        ...(failing && { conditions: [{ type: failing[0], status: 'fail', message: failing[1] }] }),
      }),
    lose: (agent) => fleet.closed(agent.session, { goodbye: false, code: 1006 }),
    leave: (agent) => fleet.closed(agent.session, { goodbye: true, code: 1000 }),
  };
}
