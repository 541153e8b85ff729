import { expect } from 'vitest';
import type { AgentClient } from '../support/agent-client.ts';
import type { TestHub } from '../support/test-hub.ts';

export interface Watched {
  hub: TestHub;
  /** A registered agent that has nothing to do with what the test does. */
  bystander: AgentClient;
}

export async function withBystander(hub: TestHub): Promise<Watched> {
  return { hub, bystander: await hub.agent({ nodeId: 'bystander' }) };
}

/** Whatever was done to the hub before: the bystander lives on, and a new agent is served. */
export async function expectUnharmed({ hub, bystander }: Watched): Promise<void> {
  await bystander.ping();
  expect(bystander.unread).toEqual([]);
  expect(hub.node('bystander')).toMatchObject({ status: 'online', seq: 1 });
  const fresh = await hub.connect();
  expect(await fresh.register({ nodeId: `fresh-${fresh.instanceId}` })).toMatchObject({
    node: { status: 'online' },
  });
  await fresh.ping();
  fresh.destroy();
}
