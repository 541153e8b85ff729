import { z } from 'zod';
import {
  durationSchema,
  exactNumberOrText,
  LIMITS,
  splitList,
  surveyJson,
  textSchema,
} from '../../shared/index.ts';

/** The schemas of single settings: each takes what flags, environment and YAML may hold, and says what is wrong. */

const nameSchema = textSchema(LIMITS.nameLength).min(1, 'must not be empty');

/** Text. A bare number or boolean of a file is the characters that it was written with (`rack: 42`). */
export const nameSettingSchema = z.string('must be text').pipe(nameSchema);

/** An agent's duration: as everywhere (`10s`, `500ms`), and a bare number is seconds. */
export const intervalSettingSchema = z
  .string('must be a duration such as 10s')
  .transform((value) => (/^\d+$/.test(value.trim()) ? `${value.trim()}s` : value))
  .pipe(durationSchema)
  .refine((ms) => ms > 0 && ms <= LIMITS.longestIntervalMs, 'must be from 1ms to 10m')
  .describe('1ms to 10m; a bare number is seconds');

export const portSettingSchema = z
  .string('must be a port number')
  .transform((value) => (/^\d{1,5}$/.test(value.trim()) ? Number(value) : Number.NaN))
  .refine((port) => port >= 1 && port <= 65_535, 'must be a port from 1 to 65535')
  .describe('1 to 65,535');

/** Failures in a row before the agent registers again (MAX_HEARTBEAT_FAILURES). */
export const failuresSettingSchema = z
  .string('must be a whole number')
  .transform((value) => (/^\d{1,2}$/.test(value.trim()) ? Number(value) : Number.NaN))
  .refine((count) => count >= 1 && count <= 10, 'must be a whole number from 1 to 10')
  .describe('1 to 10');

/** A flag of the command line, or a word. */
export const flagSettingSchema = z
  .union(
    [
      z.boolean(),
      z
        .string()
        .toLowerCase()
        .pipe(z.enum(['true', 'false', '1', '0'])),
    ],
    {
      error: 'must be true or false',
    },
  )
  .transform((flag) => flag === true || flag === 'true' || flag === '1')
  .describe('`true` or `false`');

/** A comma list, or a YAML list. */
export const listSettingSchema = z
  .union([z.string().transform(splitList), z.array(z.unknown())], { error: 'must be a comma list' })
  .pipe(z.array(nameSettingSchema).max(64, 'has more than 64 entries'))
  .describe('a comma list of at most 64');

/** `zone=a,rack=b`, a list of such pairs, or a YAML map. */
export const pairsSettingSchema = z
  .union([z.string().transform(splitList), z.array(z.string()), z.record(z.string(), z.unknown())], {
    error: 'must be key=value pairs',
  })
  .transform((value, context): Record<string, unknown> => {
    if (!Array.isArray(value)) return value;
    const pairs: Array<[string, string]> = [];
    for (const pair of value) {
      const at = pair.indexOf('=');
      if (at > 0) pairs.push([pair.slice(0, at).trim(), pair.slice(at + 1).trim()]);
      else
        context.addIssue({
          code: 'custom',
          message: `"${pair}" is not key=value (a comma in a value is written \\,)`,
        });
    }
    return Object.fromEntries(pairs);
  });

/** Any JSON, or a comma list of words: `["dht22","mqtt"]` and `dht22,mqtt` are the same. */
export const jsonOrListSettingSchema = z.unknown().transform((value, context): unknown => {
  if (typeof value !== 'string') return value;
  return looksLikeJson(value) ? parseJson(value, context) : splitList(value);
});

/**
 * A JSON object, or `key=value` pairs whose numbers are numbers: `{"maxServers":20}` and `maxServers=20`. What a number
 * would not give back stays text: `release=1.10`.
 */
export const objectSettingSchema = z
  .unknown()
  .transform((value, context): unknown => {
    if (typeof value !== 'string') return value;
    if (looksLikeJson(value)) return parseJson(value, context);
    const pairs = pairsSettingSchema.safeParse(value);
    if (pairs.success)
      return mapValues(pairs.data, (value) => (typeof value === 'string' ? exactNumberOrText(value) : value));
    context.addIssue({ code: 'custom', message: 'must be a JSON object or key=value pairs' });
    return z.NEVER;
  })
  .pipe(z.record(z.string(), z.unknown(), { error: 'must be a JSON object or key=value pairs' }));

const looksLikeJson = (text: string): boolean => /^\s*[[{"]/.test(text);

function parseJson(text: string, context: z.RefinementCtx): unknown {
  try {
    const value: unknown = JSON.parse(text);
    const { faults } = surveyJson(value);
    if (faults.length === 0) return value;
    for (const { why, path } of faults) context.addIssue({ code: 'custom', message: why, path });
  } catch {
    context.addIssue({ code: 'custom', message: 'is not valid JSON' });
  }
  return z.NEVER;
}

function mapValues(
  values: Record<string, unknown>,
  map: (value: unknown) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, map(value)]));
}
