/**
 * The agent of a Rollcall fleet: `FleetAgent` keeps one node registered with a hub, `createMachineAgent` makes one
 * of this very machine, and the telemetry behind it can be used alone.
 */

export type { HeartbeatTiming, NodeFacts, NodeStats } from '../shared/index.ts';
export { type MachineFactsOptions, machineFacts } from './machine/facts.ts';
export type { Machine } from './machine/machine.ts';
export { MachineStats } from './machine/stats.ts';
export { createMachineAgent, type MachineAgentOptions } from './machine-agent.ts';
export type { AgentState, FleetAgentEvents, SessionEnd, StateChange } from './session/agent-events.ts';
export type { AgentNode, FleetAgentOptions } from './session/agent-options.ts';
export type { AgentClock } from './session/clock.ts';
export { FleetAgentError, type FleetAgentErrorCode } from './session/errors.ts';
export { FleetAgent } from './session/fleet-agent.ts';
export type { HubError, Registered } from './session/hub-messages.ts';
export type { AgentLogger } from './session/log.ts';
export type { NextStep } from './session/next-step.ts';
export type { StatsProvider } from './session/stats-reporter.ts';
