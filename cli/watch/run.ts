import { differencesBetween, type EndCode, FleetClient, WHOLE_NODES } from '../../client/index.ts';
import type { FleetNode } from '../../shared/index.ts';
import { jsonReport } from './json-report.ts';
import type { Output, Report } from './report.ts';
import type { WatchSettings } from './settings.ts';
import { TextReport } from './text-report.ts';

/** How `watch` ends, as a process sees it. */
export const WATCH_EXIT = { done: 0, unreachable: 3, refused: 4 } as const;

/** How long `--once` waits for the whole picture. */
const ONCE_WITHIN_MS = 120_000;

/**
 * Follows the fleet and reports until `ended` settles, the hub refuses, or with `once` after the first
 * picture. Resolves with the exit code; `complain` gets the one line of a failure. `own` reports in
 * another way.
 */
export async function runWatch(
  settings: WatchSettings,
  output: Output,
  ended: Promise<unknown>,
  complain: (message: string) => void,
  own?: Report,
): Promise<number> {
  const { hubUrl, token, filter, json, once, agent } = settings;
  const client = new FleetClient({ hubUrl, token, agent, nodes: WHOLE_NODES, filter });
  const now = () => new Date(client.clock.now()).toISOString();
  const report = own ?? (json ? jsonReport(output) : new TextReport(output, now));
  let deadline: NodeJS.Timeout | undefined;
  try {
    return await new Promise<number>((resolve) => {
      reportTo(report, client);
      client.on('ended', (code, message) => {
        complain(code === 'too_much' ? `${hubUrl} ${message}` : refusal(hubUrl, code, message));
        resolve(code === 'too_much' ? WATCH_EXIT.unreachable : WATCH_EXIT.refused);
      });
      if (once) {
        deadline = setTimeout(() => {
          complain(`cannot connect to ${hubUrl}: no whole picture within ${ONCE_WITHIN_MS / 1_000} s`);
          resolve(WATCH_EXIT.unreachable);
        }, ONCE_WITHIN_MS);
        client.on('picture', () => resolve(WATCH_EXIT.done));
        client.on('unreachable', (why) => {
          complain(`cannot connect to ${hubUrl}: ${why}`);
          resolve(WATCH_EXIT.unreachable);
        });
      }
      ended.then(
        () => resolve(WATCH_EXIT.done),
        () => resolve(WATCH_EXIT.done),
      );
      client.start();
    });
  } finally {
    clearTimeout(deadline);
    client.stop();
  }
}

function refusal(hubUrl: string, code: EndCode, message: string): string {
  const hint =
    code === 'unauthenticated'
      ? '; set ROLLCALL_TOKEN or ROLLCALL_TOKEN_FILE to one of its DASHBOARD_TOKENS'
      : '';
  return `${hubUrl} refuses this watch: ${message}${hint}`;
}

function reportTo(report: Report, client: FleetClient<FleetNode>): void {
  let interrupted = false;
  client.on('picture', (picture, before) => {
    if (before) report.differences(differencesBetween(before, picture), picture.size);
    else report.snapshot([...picture.nodes.values()]);
  });
  client.on('change', ({ event, before }) => report.change(event, before));
  client.on('hub', (state) => report.hub(state));
  client.on('hole', (hole) => report.hole(hole));
  client.on('resync', (reason) => report.resync(reason));
  client.on('lost', (why) => {
    interrupted = true;
    report.connection('lost', why);
  });
  client.on('unreachable', (why) => {
    interrupted = true;
    report.connection('unreachable', why);
  });
  client.on('subscribed', (how) => {
    if (interrupted) report.back(how);
    interrupted = false;
  });
}
