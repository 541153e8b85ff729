import { HubClock } from '../../shared/index.ts';
import { FleetFollower } from './fleet-follower.ts';
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
  const follower = new FleetFollower({
    hubUrl,
    filter,
    ...(agent && { agent }),
    ...(token !== undefined && { token }),
  });
  const clock = new HubClock();
  const report =
    own ?? (json ? jsonReport(output) : new TextReport(output, () => new Date(clock.now()).toISOString()));
  let deadline: NodeJS.Timeout | undefined;
  try {
    return await new Promise<number>((resolve) => {
      follower.on('hub', ({ now }) => now !== undefined && clock.heard(now));
      tell(follower, report);
      follower.on('refused', (code, message) => {
        complain(refusal(hubUrl, code, message));
        resolve(WATCH_EXIT.refused);
      });
      follower.on('broken', (why) => {
        complain(`${hubUrl} ${why}`);
        resolve(WATCH_EXIT.unreachable);
      });
      if (once) {
        deadline = setTimeout(() => {
          complain(`cannot connect to ${hubUrl}: no whole picture within ${ONCE_WITHIN_MS / 1_000} s`);
          resolve(WATCH_EXIT.unreachable);
        }, ONCE_WITHIN_MS);
        follower.on('picture', () => resolve(WATCH_EXIT.done));
        follower.on('unreachable', (why) => {
          complain(`cannot connect to ${hubUrl}: ${why}`);
          resolve(WATCH_EXIT.unreachable);
        });
      }
      ended.then(
        () => resolve(WATCH_EXIT.done),
        () => resolve(WATCH_EXIT.done),
      );
      follower.start();
    });
  } finally {
    clearTimeout(deadline);
    follower.removeAllListeners();
    follower.stop();
  }
}

function refusal(hubUrl: string, code: string, message: string): string {
  const hint =
    code === 'unauthenticated'
      ? '; set ROLLCALL_TOKEN or ROLLCALL_TOKEN_FILE to one of its DASHBOARD_TOKENS'
      : '';
  return `${hubUrl} refuses this watch: ${message}${hint}`;
}

function tell(follower: FleetFollower, report: Report): void {
  let interrupted = false;
  follower.on('picture', ({ first, differences }) => {
    const nodes = [...follower.nodes.values()];
    if (first) report.snapshot(nodes);
    else report.differences(differences, nodes.length);
  });
  follower.on('change', (event, before) => report.change(event, before));
  follower.on('hub', (state) => report.hub(state));
  follower.on('hole', (hole) => report.hole(hole));
  follower.on('resync', (reason) => report.resync(reason));
  follower.on('lost', (why) => {
    interrupted = true;
    report.connection('lost', why);
  });
  follower.on('unreachable', (why) => {
    interrupted = true;
    report.connection('unreachable', why);
  });
  follower.on('subscribed', (how) => {
    if (interrupted) report.back(how);
    interrupted = false;
  });
}
