import { z } from 'zod';

/** One aim of a row: what was wanted, what was measured, and whether it holds. `unknown`: it could not be measured. */
const aimSchema = z.object({
  aim: z.string(),
  measured: z.string(),
  verdict: z.enum(['met', 'missed', 'unknown']),
});
export type Aim = z.output<typeof aimSchema>;

const tableSchema = z.object({
  caption: z.string().exactOptional(),
  head: z.array(z.string()),
  rows: z.array(z.array(z.string())),
});
export type Table = z.output<typeof tableSchema>;

/** What one row of the bench found. `numbers` are the samples behind the tables, by name. */
const rowResultSchema = z.object({
  name: z.string(),
  title: z.string(),
  how: z.string(),
  seconds: z.number(),
  tables: z.array(tableSchema),
  aims: z.array(aimSchema),
  notes: z.array(z.string()),
  numbers: z.record(z.string(), z.array(z.number())),
  failed: z.string().exactOptional(),
});
export type RowResult = z.output<typeof rowResultSchema>;

/** A whole run, as it is written to `run.json`. */
export const runSchema = z.object({
  format: z.literal(1),
  startedAt: z.string(),
  seconds: z.number(),
  scale: z.string(),
  command: z.string(),
  machine: z.object({
    cores: z.number(),
    cpu: z.string(),
    memoryGib: z.number(),
    kernel: z.string(),
    node: z.string(),
    redis: z.string(),
    mosquitto: z.string(),
    openFiles: z.string(),
    /** `net.core.somaxconn`: connections that the kernel lets wait for a server. */
    backlog: z.string(),
    pinned: z.boolean(),
  }),
  peers: z.array(z.object({ title: z.string(), is: z.string(), lacks: z.string() })),
  rows: z.array(rowResultSchema),
});
export type Run = z.output<typeof runSchema>;

/** An aim of the form "at most" (or "at least") a limit. A number that could not be measured is `unknown`, never met. */
export function judge(
  aim: string,
  value: number,
  limit: { atMost: number } | { atLeast: number },
  unit = '',
  digits = 2,
): Aim {
  if (!Number.isFinite(value)) return { aim, measured: 'not measured', verdict: 'unknown' };
  const met = 'atMost' in limit ? value <= limit.atMost : value >= limit.atLeast;
  return { aim, measured: `${value.toFixed(digits)}${unit}`, verdict: met ? 'met' : 'missed' };
}
