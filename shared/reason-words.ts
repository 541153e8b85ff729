import type { Reason } from './node.ts';

/** Each reason as people read it, on the page and in a terminal. */
export const reasonWords: Readonly<Record<Reason, string>> = {
  registered: 'its agent registered',
  reconnected: 'its agent came back',
  superseded: 'another agent registered as this node while it still beat (a cloned machine?)',
  condition_failed: 'a check of its own fails',
  condition_cleared: 'its checks pass again',
  connection_lost: 'its connection broke without a goodbye',
  hub_lost: 'its hub is gone',
  agent_stopped: 'its agent stopped',
  heartbeat_timeout: 'no heartbeat in time',
  deregistered: 'deregistered by its agent',
  removed_by_operator: 'removed by an operator',
  store_restored: 'put back after the store had lost it',
  unknown: 'for a reason that this version does not know',
};

/** Reasons whose evidence says the same with figures. */
export const saidByDetail: ReadonlySet<Reason> = new Set(['heartbeat_timeout', 'hub_lost']);
/** Reasons for which it matters when the node was last heard of. */
export const silences: ReadonlySet<Reason> = new Set([
  'heartbeat_timeout',
  'hub_lost',
  'connection_lost',
  'agent_stopped',
]);

/** Reasons for which it matters with which code the socket closed. */
export const closings: ReadonlySet<Reason> = new Set(['connection_lost', 'agent_stopped']);
