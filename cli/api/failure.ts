/** How a command that asks a hub may end, for scripts. */
export const EXIT = { ok: 0, none: 1, usage: 2, unreachable: 3, refused: 4 } as const;

/** A command failed: one line for a person, an exit code for a script. */
export class CommandFailure extends Error {
  override name = 'CommandFailure';
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}
