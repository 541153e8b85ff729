/** The workers of one group of hubs that share a port. */
export interface GroupStatus {
  /** Workers that should run. */
  wanted: number;
  /** Of them, those that listen. */
  running: number;
  /** Of those, the ones that are ready themselves. */
  ready: number;
  /** Whether the group as a whole is to get new clients. */
  open: boolean;
}

/** The group that a hub is a worker of: whichever of them is asked, it answers for all. */
export interface HubGroup {
  readonly status: GroupStatus;
  /** The figures of all workers as one, in Prometheus' text format. Rejects where they cannot be had. */
  metrics(): Promise<string>;
}
