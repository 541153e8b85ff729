/** The clients that a hub serves. Hubs of all roles share a fleet, follow its log and expire silent nodes. */
export const ROLES = ['all', 'agents', 'dashboards'] as const;
export type Role = (typeof ROLES)[number];

/** Agents: their sockets, registrations and heartbeats. Readers: dashboards, the page, the API, operators. */
export type Served = 'agents' | 'readers';

/** Whether a hub of this role serves these clients. */
export function serves(role: Role, whom: Served): boolean {
  return role === 'all' || (role === 'agents') === (whom === 'agents');
}

/** The answer of a hub of the wrong role. */
export function notServed(role: Role): string {
  return `this hub serves ${role} only`;
}
