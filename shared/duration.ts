import { z } from 'zod';

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const pattern = /^(\d{1,9})(ms|s|m|h|d)$/;

/**
 * Reads a duration such as `500ms`, `10s`, `3m`, `1h` or `2d`, to milliseconds. A bare number is refused:
 * nobody can tell whether it means seconds or milliseconds.
 */
export const durationSchema = z.string().transform((text, context): number => {
  const match = pattern.exec(text.trim());
  const unit = match?.[2];
  if (
    match?.[1] === undefined ||
    (unit !== 'ms' && unit !== 's' && unit !== 'm' && unit !== 'h' && unit !== 'd')
  ) {
    context.addIssue({
      code: 'custom',
      message: `"${text}" is not a duration: write it as 500ms, 10s or 3m`,
    });
    return z.NEVER;
  }
  return Number(match[1]) * unitMs[unit];
});

/** Milliseconds as people write them: `500ms`, `30s`, `3m`. */
export function formatDuration(ms: number): string {
  if (ms % unitMs.h === 0 && ms > 0) return `${ms / unitMs.h}h`;
  if (ms % unitMs.m === 0 && ms > 0) return `${ms / unitMs.m}m`;
  if (ms % unitMs.s === 0) return `${ms / unitMs.s}s`;
  return `${ms}ms`;
}
