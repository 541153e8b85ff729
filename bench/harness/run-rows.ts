import type { RowResult } from './results.ts';
import { TimeLimit } from './rounds.ts';
import type { Bench, Findings, Row, Scale } from './row.ts';
import { Stage } from './stage.ts';

/** How many times its estimate a row may take before it is given up. */
const PATIENCE = 4;
const LEAST_SECONDS = 300;

/** The part of the bench that talks. */
export interface Progress {
  say(line: string): void;
}

/** Stages that are open, so that a bench which is stopped can end what runs. */
const open = new Set<Stage>();

async function closeStages(): Promise<void> {
  await Promise.all([...open].map((stage) => stage.close()));
}

let stopping = false;

/** Ends everything that runs, and lets nothing begin any more. */
export async function stopAll(): Promise<void> {
  stopping = true;
  await closeStages();
}

async function withStage<T>(use: (stage: Stage) => Promise<T>): Promise<T> {
  if (stopping) throw new Error('the bench is being stopped');
  const stage = new Stage();
  open.add(stage);
  try {
    return await use(stage);
  } finally {
    await stage.close();
    open.delete(stage);
  }
}

async function within<T>(seconds: number, work: Promise<T>): Promise<T> {
  let late: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(new Error(`it took longer than ${seconds} s`)), seconds * 1_000);
  });
  // A row that is late goes on until its processes are gone, and fails then; nobody waits for that.
  work.catch(() => {});
  return Promise.race([work, deadline]).finally(() => clearTimeout(late));
}

/** Runs one row, within so many seconds where any are given. One that fails says so, and ends all that it started. */
export async function runRow(
  row: Row,
  scale: Scale,
  progress: Progress,
  seconds?: number,
): Promise<RowResult> {
  const startedAt = performance.now();
  const limit = new TimeLimit(seconds);
  const { name, title, how } = row;
  const bound = Math.max(LEAST_SECONDS, PATIENCE * row.seconds[scale]);
  let over = false;
  const outcome = await withStage((stage) => {
    const bench: Bench = {
      scale,
      stage,
      part: async (use) => {
        if (over) throw new Error('this row was given up');
        return withStage(use);
      },
      rounds: (most) => limit.rounds(most),
      say: (line) => {
        if (!over) progress.say(line);
      },
    };
    return within(bound, row.run(bench));
  }).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
  over = true;
  // Parts have stages of their own, which a row that was given up still holds.
  if (outcome instanceof Error) await closeStages();
  const took = (performance.now() - startedAt) / 1_000;
  const nothing: Findings = { tables: [], aims: [], notes: [], numbers: {} };
  if (outcome instanceof Error)
    return { name, title, how, seconds: took, ...nothing, failed: outcome.message };
  return { name, title, how, seconds: took, ...outcome, notes: [...outcome.notes, ...limit.notes] };
}
