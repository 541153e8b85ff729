import { systemClock } from '../../agent/session/clock.ts';
import { FleetClient, SUMMARIES } from '../../client/index.ts';
import { type NodeSummary, printable, printableLines } from '../../shared/index.ts';
import { DashboardJudge } from '../../simulate/dashboard-judge.ts';
import { SIMULATION_LABEL } from '../../simulate/machine.ts';
import { HubOutOfReachError, Simulation } from '../../simulate/simulation.ts';
import { summarize } from '../../simulate/summary.ts';
import { planText, progressText, summaryText } from './report.ts';
import type { SimulateSettings } from './settings.ts';

/** How `simulate` ends, as a process sees it. */
const SIMULATE_EXIT = { well: 0, wrong: 1, unreachable: 3 } as const;

/** How often progress is told on a terminal, where each line replaces the one before, and elsewhere. */
const TERMINAL_MS = 1_000;
const LINES_MS = 5_000;
/** A dashboard must have its first picture by then. */
const PICTURE_MS = 10_000;

export interface SimulateOutput {
  /** The summary. */
  write: (text: string) => void;
  /** Plan, progress and failures. */
  tell: (text: string) => void;
  /** Whether `tell` writes to a terminal. */
  terminal: boolean;
}

/** Runs a simulation until it is over or `signal` ends it, and tells what came of it. Resolves with the exit code. */
export async function runSimulate(
  { options, json, dashboard }: SimulateSettings,
  output: SimulateOutput,
  signal: AbortSignal,
): Promise<number> {
  output.tell(planText(options));
  const simulation = new Simulation(options, systemClock);
  const watched = dashboard && new Watched(simulation, dashboard);
  let stopTelling = (): void => {};
  try {
    await watched?.start(signal);
    stopTelling = tellProgress(simulation, output);
    await simulation.run(signal);
  } catch (error) {
    if (!(error instanceof HubOutOfReachError)) throw error;
    stopTelling();
    output.tell(`rollcall: ${printable(error.message)}\n`);
    return SIMULATE_EXIT.unreachable;
  } finally {
    stopTelling();
    watched?.stop();
  }
  const summary = summarize(simulation, watched?.judge.read());
  output.write(printableLines(json ? `${JSON.stringify(summary)}\n` : summaryText(summary)));
  return summary.wrong.length === 0 ? SIMULATE_EXIT.well : SIMULATE_EXIT.wrong;
}

function tellProgress(simulation: Simulation, { tell, terminal }: SimulateOutput): () => void {
  const timer = setInterval(
    () => {
      const line = printable(progressText(simulation.look()));
      tell(terminal ? `\r${line}\x1b[K` : `${line}\n`);
    },
    terminal ? TERMINAL_MS : LINES_MS,
  );
  let told = true;
  return () => {
    clearInterval(timer);
    if (told && terminal) tell('\r\x1b[K');
    told = false;
  };
}

/** A dashboard that follows the simulated nodes while they are simulated. */
class Watched {
  readonly judge: DashboardJudge;
  readonly #client: FleetClient<NodeSummary>;
  readonly #hubUrl: string;

  constructor(simulation: Simulation, { hubUrl, token }: NonNullable<SimulateSettings['dashboard']>) {
    this.judge = new DashboardJudge(simulation);
    this.#hubUrl = hubUrl;
    const filter = { labels: { [SIMULATION_LABEL]: simulation.options.prefix } };
    this.#client = new FleetClient({ hubUrl, token, nodes: SUMMARIES, filter });
  }

  /** Resolves with the first picture, or when `signal` ends the run; rejects with a `HubOutOfReachError`. */
  start(signal: AbortSignal): Promise<void> {
    const client = this.#client;
    client.on('change', ({ event }) => this.judge.change(event));
    client.on('resync', () => {
      this.judge.resyncs += 1;
    });
    return new Promise((resolve, reject) => {
      const fail = (why: string): void =>
        reject(new HubOutOfReachError(`no dashboard at ${this.#hubUrl}: ${why}`));
      const timer = setTimeout(() => fail('no answer in time'), PICTURE_MS);
      const settle = (run: () => void) => () => {
        clearTimeout(timer);
        run();
      };
      client.once('picture', settle(resolve));
      signal.addEventListener('abort', settle(resolve), { once: true });
      client.once('unreachable', (why) => settle(() => fail(why))());
      client.once('ended', (_code, why) =>
        settle(() =>
          fail(`${why}; set ROLLCALL_TOKEN or ROLLCALL_TOKEN_FILE to one of its DASHBOARD_TOKENS`),
        )(),
      );
      client.start();
    });
  }

  stop(): void {
    this.#client.stop();
  }
}
