import type { Command } from 'commander';

/** A command, as `rollcall --help` lists it, and how to load the whole of it. */
export interface CommandEntry {
  name: string;
  description: string;
  load(): Promise<Command>;
}

/** Every command of `rollcall`, in the order of its help. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'up',
    description: 'run a hub and an agent of this very machine',
    load: async () => (await import('./up.ts')).upCommand(),
  },
  {
    name: 'hub',
    description: 'run one hub, or several on one port; with Redis, any number of them share a fleet',
    load: async () => (await import('./hub.ts')).hubCommand(),
  },
  {
    name: 'agent',
    description: 'keep this machine registered with a hub, and report its figures',
    load: async () => (await import('./agent.ts')).agentCommand(),
  },
  {
    name: 'watch',
    description: 'follow the fleet in the terminal: who is there, then every change and why',
    load: async () => (await import('./watch.ts')).watchCommand(),
  },
  {
    name: 'nodes',
    description: 'list, inspect, remove and wait for nodes',
    load: async () => (await import('./nodes.ts')).nodesCommand(),
  },
  {
    name: 'hubs',
    description: 'list the hubs with their sessions',
    load: async () => (await import('./hubs.ts')).hubsCommand(),
  },
  {
    name: 'simulate',
    description: 'load a hub with simulated agents, and see how it copes',
    load: async () => (await import('./simulate.ts')).simulateCommand(),
  },
  {
    name: 'completion',
    description: 'print a script that completes commands, flags and their values',
    load: async () => (await import('./completion.ts')).completionCommand(loadAll),
  },
];

const loadAll = (): Promise<Command[]> => Promise.all(COMMANDS.map(({ load }) => load()));
