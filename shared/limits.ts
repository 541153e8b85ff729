/**
 * Every limit that both ends of a wire must agree on, each in one place. Sizes are in bytes, lengths in
 * UTF-16 characters, times in milliseconds unless the name says otherwise.
 */
export const LIMITS = {
  /** One text frame from an agent. A larger one is refused by the WebSocket layer (1009). */
  frameBytes: 64 * 1024,
  /** One `stats` object, as JSON. */
  statsBytes: 8 * 1024,
  /** The whole `node` of a registration, as JSON. */
  nodeBytes: 32 * 1024,
  /** Hostnames, ids, label keys and label values (the longest DNS name). */
  nameLength: 253,
  /** Free text: condition messages, agent names, deregistration reasons. */
  textLength: 1024,
  labels: 64,
  roles: 64,
  pools: 64,
  conditions: 32,
  metrics: 128,
  /** How deep free-form JSON (`capabilities`, `metadata` …) may nest. */
  jsonDepth: 32,
  /** Frames per second of one agent session, pings included, and the burst above it. */
  framesPerSecond: 100,
  framesBurst: 200,
  /** Bad messages that are answered before the session is ended: a refill per second over a burst. */
  errorsPerSecond: 1,
  errorsBurst: 20,
  /** Wrong fields of one message that are named; the others are counted. */
  namedFaults: 8,
  /** The longest heartbeat interval that an agent may ask for. */
  longestIntervalMs: 10 * 60_000,
  /** The longest interval that a message of an agent may name. */
  longestNamedIntervalMs: 86_400_000,
  /** The longest timeout of a node: beyond a day it is a mistake, and beyond 24 days more than a timer can wait. */
  longestTimeoutMs: 86_400_000,
  /** How long a socket may stay open without registering. */
  registerWithinMs: 10_000,
  /** Ids in one `watch`, and in a filter's `ids`. */
  watchedIds: 500,
  /** Values in one list of a filter. */
  filterValues: 64,
  /** How many events behind a resume may be; beyond it a snapshot is cheaper. */
  resumeEvents: 10_000,
  /** Events in one `history` answer. */
  historyEvents: 1_000,
  /** Characters of a dashboard's cursor: about ten for each of up to 1,024 shards. */
  cursorLength: 12_288,
  /** A filter, as JSON. */
  filterBytes: 32 * 1024,
} as const;

/** The version of the agent's wire that this build speaks (`register.protocol`). */
export const AGENT_PROTOCOL = 1;
