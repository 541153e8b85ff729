/** A mistake of whoever typed the command or wrote its settings: its message is printed as it is, exit 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
