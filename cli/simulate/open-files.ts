import { z } from 'zod';

const schema = z.object({ userLimits: z.object({ open_files: z.object({ soft: z.number() }) }) });

/** How many files this process may open (`ulimit -n`); undefined where the system does not say, or sets no limit. */
export function openFileLimit(): number | undefined {
  return schema.safeParse(process.report?.getReport()).data?.userLimits.open_files.soft;
}
