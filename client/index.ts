/**
 * The client of a Rollcall hub for dashboards and programs: `FleetClient` keeps the picture of a fleet and tells every
 * change of it. It runs in the browser and in Node.
 */

export {
  type Filter,
  type FleetEvent,
  type FleetNode,
  HubClock,
  type HubState,
  type LiveStats,
  type NodeSummary,
} from '../shared/index.ts';
export type { ConnectionOptions } from './connection.ts';
export type { Emitter } from './emitter.ts';
export {
  type ClientState,
  type EndCode,
  FleetClient,
  type FleetClientEvents,
  type FleetClientOptions,
} from './fleet-client.ts';
export { type ChangeEvent, type NodeForm, SUMMARIES, WHOLE_NODES } from './messages.ts';
export { type Applied, type Difference, differencesBetween, type Hole, Picture } from './picture.ts';
export type { NodeChange, SubscriptionOptions } from './subscription.ts';
