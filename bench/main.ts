// The bench: `npm run bench [-- --only NAME,NAME --quick --out DIR]`, and `npm run bench:docs`. See bench/README.md.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { killChildren } from './harness/child.ts';
import { describeMachine } from './harness/machine.ts';
import { canPin, LOAD_CORE, pin } from './harness/processes.ts';
import { toMarkdown, toText } from './harness/report.ts';
import { type RowResult, type Run, runSchema } from './harness/results.ts';
import { shareOf } from './harness/rounds.ts';
import type { Row, Scale } from './harness/row.ts';
import { runRow, stopAll } from './harness/run-rows.ts';
import { PEERS } from './peers/catalogue.ts';
import { ROWS } from './rows/index.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const RESULTS = join(root, 'bench', 'results');
const PAGE = join(root, 'docs', 'BENCHMARKS.md');
/** What is running gets so long to end after Ctrl-C. */
const END_WITHIN_MS = 5_000;

/** What `--quick` promises, for all rows together and less the end of what runs. */
const QUICK_SECONDS = 285;

class WrongUse extends Error {}

interface Options {
  only?: string;
  quick?: boolean;
  tiny?: boolean;
  out: string;
  docs?: boolean;
}

const seconds = (total: number): string =>
  `${Math.floor(total / 60)}:${String(Math.round(total % 60)).padStart(2, '0')}`;

function chosen(only: string | undefined): Row[] {
  if (only === undefined) return [...ROWS];
  const names = only.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !ROWS.some((row) => row.name === name));
  if (unknown !== undefined) {
    throw new WrongUse(`there is no row "${unknown}"; there are ${ROWS.map(({ name }) => name).join(', ')}`);
  }
  return ROWS.filter(({ name }) => names.includes(name));
}

function stopOnSignals(): void {
  process.on('exit', killChildren);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      process.stderr.write('\nending what runs\n');
      setTimeout(() => process.exit(130), END_WITHIN_MS).unref();
      void stopAll().finally(() => process.exit(130));
    });
  }
}

/** Sockets of the largest row in one process, and what else it has open. */
const OPEN_FILES = 19_600;

/** What the machine must have, in words that can be acted on. */
function checkMachine(scale: Scale): void {
  if (!existsSync('/proc/self/stat')) throw new WrongUse('needs Linux: CPU and memory are read from /proc');
  if (spawnSync('redis-server', ['--version']).status !== 0)
    throw new WrongUse('redis-server is not installed (scripts/install-test-tools.sh installs it)');
  const { openFiles } = describeMachine();
  if (scale === 'full' && Number(openFiles) < OPEN_FILES)
    throw new WrongUse(`${openFiles} open files are too few: \`ulimit -n 20000\` first, or --quick`);
}

async function measure(options: Options): Promise<void> {
  const rows = chosen(options.only);
  const scale: Scale = options.tiny ? 'tiny' : options.quick ? 'quick' : 'full';
  checkMachine(scale);
  const flags = [
    ...(scale === 'full' ? [] : [`--${scale}`]),
    ...(options.only === undefined ? [] : ['--only', options.only]),
  ];
  const command = `npm run bench${flags.length > 0 ? ` -- ${flags.join(' ')}` : ''}`;
  stopOnSignals();
  if (canPin) pin(process.pid, LOAD_CORE);
  else process.stderr.write('taskset is missing: nothing is pinned, so servers disturb each other\n');
  const startedAt = new Date().toISOString();
  const from = performance.now();
  const elapsed = (): number => (performance.now() - from) / 1_000;
  let left = rows.reduce((sum, row) => sum + row.seconds[scale], 0);
  const results: RowResult[] = [];
  const leftOut: string[] = [];
  process.stderr.write(`${rows.length} rows, about ${seconds(left)} min\n`);
  for (const row of rows) {
    const say = (line: string): void =>
      void process.stderr.write(
        `[${seconds(elapsed())} of about ${seconds(elapsed() + left)}] ${row.name}: ${line}\n`,
      );
    const estimate = row.seconds[scale];
    const share = scale === 'quick' ? shareOf(estimate, left, QUICK_SECONDS - elapsed()) : undefined;
    left -= estimate;
    if (scale === 'quick' && share === undefined) {
      leftOut.push(row.name);
      say('left out: the five minutes are nearly over');
      continue;
    }
    say('begins');
    const result = await runRow(row, scale, { say }, share);
    results.push(result);
    process.stdout.write(`${toText(result)}\n`);
    write(options.out, {
      format: 1,
      startedAt,
      seconds: elapsed(),
      scale,
      command,
      machine: describeMachine(),
      peers: peerLines(),
      rows: results,
    });
  }
  if (leftOut.length > 0)
    process.stdout.write(
      `\nThis machine is too slow for all of --quick; left out: ${leftOut.join(', ')} (--only ${leftOut.join(',')})\n`,
    );
  const failed = results.filter((row) => row.failed !== undefined);
  const missed = results.flatMap(({ aims }) => aims).filter(({ verdict }) => verdict !== 'met');
  process.stdout.write(
    `\n${results.length} rows in ${seconds(elapsed())} min, ${failed.length} failed; ${missed.length} aims missed or unknown. ${join(options.out, 'run.json')} and run.md hold it all; npm run bench:docs makes docs/BENCHMARKS.md of it.\n`,
  );
  process.exitCode = failed.length > 0 ? 1 : 0;
}

const peerLines = (): Run['peers'] =>
  Object.values(PEERS).map(({ title, is, lacks }) => ({ title, is, lacks }));

/** Written after each row, so that a run that is stopped leaves what it has. */
function write(out: string, run: Run): void {
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'run.json'), `${JSON.stringify(run, undefined, 2)}\n`);
  writeFileSync(join(out, 'run.md'), toMarkdown(run));
}

function writeDocs(out: string): void {
  const path = join(out, 'run.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new WrongUse(`${path} is not there: npm run bench makes it`);
  }
  const run = runSchema.safeParse(JSON.parse(text));
  if (!run.success) throw new WrongUse(`${path} is of another version of the bench`);
  writeFileSync(PAGE, toMarkdown(run.data));
  process.stdout.write(`docs/BENCHMARKS.md is made of ${path}\n`);
}

const program = new Command('bench')
  .description('Measures Rollcall next to other ways to do the same, on this machine. See bench/README.md.')
  .option('--only <names>', 'these rows alone, separated by commas')
  .option(
    '--quick',
    'fewer agents and rounds, five minutes by the clock: what does not fit is left out and named',
  )
  .option('--tiny', 'a handful of agents: shows that the bench works; its numbers mean nothing')
  .option('--out <dir>', 'where run.json and run.md go', RESULTS)
  .option('--docs', 'measure nothing: make docs/BENCHMARKS.md of the run.json in --out')
  .addHelpText(
    'after',
    `\nRows, with about how long each takes in seconds (full, quick):\n${ROWS.map(
      ({ name, title, seconds: takes }) =>
        `  ${name.padEnd(12)} ${title.padEnd(36)} ${takes.full}, ${takes.quick}`,
    ).join('\n')}`,
  )
  .allowExcessArguments(false)
  .showHelpAfterError('(--help tells more)')
  .exitOverride();

try {
  program.parse();
  const options = program.opts<Options>();
  if (options.docs) writeDocs(options.out);
  else await measure(options);
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof WrongUse) {
    process.stderr.write(`bench: ${error.message}\n`);
    process.exitCode = 2;
  } else throw error;
}
