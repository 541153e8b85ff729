/** The workers of one group of hubs that share a port. */
export interface GroupStatus {
  /** Workers that should run. */
  wanted: number;
  /** Workers that listen. */
  running: number;
  /** Workers that listen and are ready. */
  ready: number;
  /** Whether the group as a whole takes new clients. */
  open: boolean;
}

/** The group that a hub is a worker of: each worker answers for the group. */
export interface HubGroup {
  readonly status: GroupStatus;
  /** The sum of the figures of all workers, in Prometheus' text format. Rejects if they are not available. */
  metrics(): Promise<string>;
}
