/** How a command that asks a hub may end, for scripts. */
export const EXIT = { ok: 0, none: 1, usage: 2, unreachable: 3, refused: 4 } as const;

/** A hub of another role: it will never answer this. */
const MISDIRECTED = 421;

/** A command failed: one line for a person, an exit code for a script. */
export class CommandFailure extends Error {
  override name = 'CommandFailure';
  readonly exitCode: number;
  /** The field of the request that the hub does not take, where it named one. */
  readonly path: string | undefined;
  /** The status of the hub's answer, where it answered. */
  readonly status: number | undefined;

  constructor(exitCode: number, message: string, { path, status }: { path?: string; status?: number } = {}) {
    super(message);
    this.exitCode = exitCode;
    this.path = path;
    this.status = status;
  }

  /** Whether the hub may answer otherwise a little later: it is away, restarts, or has lost its store. */
  get mayPass(): boolean {
    return this.exitCode === EXIT.unreachable && this.status !== MISDIRECTED;
  }
}
