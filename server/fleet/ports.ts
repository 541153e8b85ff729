import type { FleetEvent, FleetNode, HubState, LiveStats, ReadStats, Register } from '../../shared/index.ts';
import type { FleetView } from '../picture/fleet-view.ts';
import type { Closing } from '../rules/liveness.ts';
import type { Slices } from '../runtime/slices.ts';
import type { StallWatch } from '../runtime/stall-watch.ts';
import type { FleetStore } from '../store/fleet-store.ts';
import type { HttpAgents } from './http-agents.ts';
import type { Membership } from './membership.ts';
import type { Operators } from './operators.ts';
import type { RegisterOutcome, UpdateOutcome } from './registrar.ts';
import type { RemovalOutcome } from './removals.ts';
import type { Link, LiveSession } from './sessions.ts';

/** The fleet's interface for the sockets of agents. */
export interface SocketFleet {
  /** Whether any part of the store can be written to: otherwise new agents are refused. */
  readonly admits: boolean;
  readonly slices: Slices;
  readonly stalls: StallWatch;
  readonly membership: Pick<Membership, 'addressesElsewhere' | 'leaseMs' | 'state'>;
  /** The time without an answer from any part of the store while this hub ran: during a stall it gets none. */
  blindMs(now: number): number;
  register(message: Register, link: Link): Promise<RegisterOutcome>;
  update(session: LiveSession, message: Register): Promise<UpdateOutcome>;
  /** How long the node's next change has to wait: milliseconds, nearly always 0. */
  heldMs(nodeId: string): number;
  /** A sign of life, at a hub time that the caller has read already. */
  heartbeat(session: LiveSession, now: number): void;
  /** Live figures, which are a sign of life too. */
  report(session: LiveSession, read: ReadStats, now: number): void;
  /** The session's agent acknowledges this interval. */
  acknowledged(session: LiveSession, intervalMs: number): void;
  deregister(session: LiveSession, detail?: string): Promise<RemovalOutcome>;
  /** The agent closed its socket, not this hub. */
  closed(session: LiveSession, how: Pick<Closing, 'goodbye' | 'code' | 'detail'>): Promise<void>;
  /** The session is over here; nothing is written. */
  forget(session: LiveSession): void;
}

/** The fleet's interface for readers: dashboards, and the API's lists. */
export interface FleetReader {
  readonly view: FleetView;
  readonly store: FleetStore;
  readonly slices: Slices;
  readonly state: HubState;
  readonly stalls: StallWatch;
  readonly membership: Pick<Membership, 'listen'>;
  /** The store's time as estimated by this hub: milliseconds since the epoch. */
  now(): number;
  datedState(): HubState;
  node(id: string): Promise<FleetNode | undefined>;
  stats(nodes: readonly FleetNode[]): Promise<Map<string, LiveStats>>;
  history(request: { id?: string; limit: number }): Promise<FleetEvent[]>;
}

/** The fleet's interface for the HTTP API: readers' lists, agents without a socket, operators, health. */
export interface HttpFleet extends FleetReader {
  readonly hubId: string;
  readonly httpAgents: Pick<HttpAgents, 'register' | 'heartbeat' | 'deregister' | 'socketHolds'>;
  readonly operators: Operators;
  /** True while every shard of the store is in reach; false before the view is loaded. */
  readonly ready: boolean;
  /** Milliseconds since any part of the store answered. */
  unheardMs(): number;
}
