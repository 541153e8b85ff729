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

/** What the sockets of agents need of the fleet. */
export interface SocketFleet {
  /** Whether any part of the store can be written to: while none can, new agents are sent away. */
  readonly admits: boolean;
  readonly slices: Slices;
  readonly stalls: StallWatch;
  readonly membership: Pick<Membership, 'addressesElsewhere' | 'leaseMs' | 'state'>;
  /** For how long no part of the store has answered while this hub listened: during a stall it hears nothing. */
  blindMs(now: number): number;
  register(message: Register, link: Link): Promise<RegisterOutcome>;
  update(session: LiveSession, message: Register): Promise<UpdateOutcome>;
  /** How long the node's next change is to wait, because it had too many: milliseconds, nearly always 0. */
  heldMs(nodeId: string): number;
  /** A sign of life, at a hub time that the caller has read already. */
  heartbeat(session: LiveSession, now: number): void;
  /** Live figures, which are a sign of life too. */
  report(session: LiveSession, read: ReadStats, now: number): void;
  /** The session's agent beats in this interval from now on, as it says. */
  acknowledged(session: LiveSession, intervalMs: number): void;
  deregister(session: LiveSession, detail?: string): Promise<RemovalOutcome>;
  /** The agent's socket closed, and not by this hub. */
  closed(session: LiveSession, how: Pick<Closing, 'goodbye' | 'code' | 'detail'>): Promise<void>;
  /** The session is over here; nothing is written. */
  forget(session: LiveSession): void;
}

/** What readers need of the fleet: dashboards, and the API's lists. */
export interface FleetReader {
  readonly view: FleetView;
  readonly store: FleetStore;
  readonly slices: Slices;
  readonly state: HubState;
  readonly stalls: StallWatch;
  readonly membership: Pick<Membership, 'listen'>;
  /** The store's time, as far as this hub can tell: milliseconds since the epoch. */
  now(): number;
  datedState(): HubState;
  node(id: string): Promise<FleetNode | undefined>;
  stats(nodes: readonly FleetNode[]): Promise<Map<string, LiveStats>>;
  history(request: { id?: string; limit: number }): Promise<FleetEvent[]>;
}

/** What the HTTP API needs of the fleet: readers' lists, agents without a socket, operators, health. */
export interface HttpFleet extends FleetReader {
  readonly hubId: string;
  readonly httpAgents: Pick<HttpAgents, 'register' | 'heartbeat' | 'deregister' | 'socketHolds'>;
  readonly operators: Operators;
  /** True while every shard of the store is in reach, which none is before the view has loaded it. */
  readonly ready: boolean;
  /** Milliseconds since any part of the store answered. */
  unheardMs(): number;
}
