/** A mistake in the command line or the settings: its message is printed as it is, exit 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
