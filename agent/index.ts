/**
 * The agent of a Rollcall fleet: `FleetAgent` keeps one node registered with a hub, `createMachineAgent` makes one
 * of this very machine, and the telemetry behind it can be used alone.
 */

export type { HeartbeatTiming, NodeFacts, NodeStats } from '../shared/index.ts';
export type { AgentState, FleetAgentEvents, SessionEnd, StateChange } from './agent-events.ts';
export type { AgentNode, FleetAgentOptions } from './agent-options.ts';
export { type AgentClock, systemClock } from './clock.ts';
export { DOCUMENT_CONFIG, fromListenAddress } from './document-settings.ts';
export { FleetAgentError, type FleetAgentErrorCode } from './errors.ts';
export { FleetAgent } from './fleet-agent.ts';
export type { HubError, Registered } from './hub-messages.ts';
export { toAgentUrl } from './hub-urls.ts';
export { type AgentLogger, silentLogger } from './log.ts';
export { createMachineAgent, type MachineAgentOptions, machineNode } from './machine-agent.ts';
export type { NextStep } from './next-step.ts';
export { type AgentSettings, readAgentSettings, SettingsError, type SettingsSources } from './settings.ts';
export { createSimulatedAgent, type SimulatedAgentOptions } from './simulated-agent.ts';
export { driftingStats, simulatedNode } from './simulated-node.ts';
export type { StatsProvider } from './stats-reporter.ts';
export { type MachineFactsOptions, machineFacts } from './telemetry/facts.ts';
export { type Machine, thisMachine } from './telemetry/machine.ts';
export { MachineStats } from './telemetry/stats.ts';
