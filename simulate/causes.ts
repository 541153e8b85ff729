import type { Ended } from '../agent/session/next-step.ts';
import { CLOSE } from '../shared/index.ts';

/** Why a session or an attempt ended, in as few words as there are kinds of it. */
export function causeOf(how: Ended): string {
  switch (how.kind) {
    case 'closed':
      return String(how.code);
    case 'refused':
      return `HTTP ${how.status}`;
    case 'failed':
      return how.message;
    case 'rejected':
      return how.code;
    case 'unanswered':
      return 'no answer to the registration';
    case 'silent':
      return 'pongs missing';
    case 'slept':
      return 'slept';
    default:
      return how satisfies never;
  }
}

/** The same, where the hub itself turned an attempt away. */
export function refusalOf(how: Ended): string | undefined {
  const byHub =
    how.kind === 'refused' ||
    how.kind === 'rejected' ||
    (how.kind === 'closed' && (how.code === CLOSE.busy.code || how.code >= 4_000));
  return byHub ? causeOf(how) : undefined;
}
