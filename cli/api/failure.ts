/** How a command that asks a hub may end, for scripts. */
export const EXIT = { ok: 0, none: 1, usage: 2, unreachable: 3, refused: 4 } as const;

/** A command failed: one line for a person, an exit code for a script. */
export class CommandFailure extends Error {
  override name = 'CommandFailure';
  readonly exitCode: number;
  /** The field of the request that the hub does not take, where it named one. */
  readonly path: string | undefined;

  constructor(exitCode: number, message: string, path?: string) {
    super(message);
    this.exitCode = exitCode;
    this.path = path;
  }
}
