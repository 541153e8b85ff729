import type { z } from 'zod';

/** What is wrong, for people: for a wrong key of a map zod has the reason one level deeper. */
export function issueMessage(issue: z.core.$ZodIssue): string {
  const [reason] = issue.code === 'invalid_key' ? issue.issues : [];
  return reason?.message ?? issue.message;
}
