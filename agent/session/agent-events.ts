import type { HeartbeatTiming } from '../../shared/index.ts';
import type { HubError, Registered } from './hub-messages.ts';
import type { NextStep } from './next-step.ts';

/**
 * The states of an agent. `registering` lasts until the first registration, however
 * many attempts it takes; `registered` until the first heartbeat was answered; `re-registering` from the loss of
 * a session until the next. `stopped` is final: nothing runs any more.
 */
export type AgentState =
  | 'not-started'
  | 'registering'
  | 'registered'
  | 'heartbeating'
  | 're-registering'
  | 'stopped';

export interface StateChange {
  from: AgentState;
  to: AgentState;
  /** A sentence for people. */
  why: string;
}

/** A session, or an attempt at one, ended by itself. */
export interface SessionEnd {
  /** The close code, where a WebSocket was open. 1006: no close frame. */
  code?: number;
  /** The HTTP status, where the hub answered the upgrade with one. */
  status?: number;
  /** A sentence for people. */
  reason: string;
  next: NextStep;
  /** Milliseconds until the next attempt; null: there is none. */
  retryInMs: number | null;
}

/** The events of a `FleetAgent` and what they carry. None needs a listener. */
export interface FleetAgentEvents {
  state: [change: StateChange];
  /** The hub's reply to each registration. `reply.session` is a secret between agent and hub. */
  registered: [reply: Registered];
  /** A ping was answered; its round trip in milliseconds. */
  heartbeat: [roundTripMs: number];
  /** A ping was not answered in time; the number of them in a row. */
  missed: [misses: number];
  /** The node's timing, at each registration that changes it and when the hub changes it. */
  timing: [timing: HeartbeatTiming];
  closed: [end: SessionEnd];
  /** The hub answered a message with an error. The session goes on. */
  hubError: [error: HubError];
  /** 4409: a newer session of this node took over; often a cloned machine. The agent tries again later. */
  superseded: [];
  /** 4404: this node was removed. The agent has stopped. */
  removed: [];
}
