/**
 * `stopped`: the agent was stopped before it had registered. `removed`: the hub said that this node was
 * removed (4404). `not_registered`: there is no session to deregister. `deregister_failed`: the session ended
 * otherwise, or the hub did not confirm in time. `invalid_options`: an option cannot be used.
 */
export type FleetAgentErrorCode =
  | 'stopped'
  | 'removed'
  | 'not_registered'
  | 'deregister_failed'
  | 'invalid_options';

/** Every error that a `FleetAgent` throws or rejects with. */
export class FleetAgentError extends Error {
  readonly code: FleetAgentErrorCode;

  constructor(code: FleetAgentErrorCode, message: string) {
    super(message);
    this.name = 'FleetAgentError';
    this.code = code;
  }
}
