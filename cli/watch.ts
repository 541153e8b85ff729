import { Command } from 'commander';
import { printable } from '../shared/index.ts';
import { readerGone } from './lost-output.ts';
import { loadProxies } from './proxy.ts';
import { withSelectors } from './selectors.ts';
import { untilSignal } from './signals.ts';
import { runWatch } from './watch/run.ts';
import { readWatchSettings, type WatchFlags } from './watch/settings.ts';

const more = `
Environment:
  ROLLCALL_URL                     the hub, where --hub is not given
  ROLLCALL_TOKEN or ROLLCALL_TOKEN_FILE  what a hub with tokens lets dashboards in with (DASHBOARD_TOKEN where neither
                                   is set); never a flag, which others could see
  HTTP_PROXY, HTTPS_PROXY, NO_PROXY  the way to a hub that is not on this machine
  NO_COLOR                         no colours, on a terminal either

Shows the nodes that match now, then a line for each change: when, which node, from and to which status, and why.
It goes on when the hub restarts or is out of reach, and resumes where it was. What it could not see is told:
after a gap that the hub cannot bridge, it shows what is different now.

--json writes one object a line, by "type":
  snapshot    counts, nodes            the first picture
  change      event                    a change; its "left" means that the node no longer matches the filter
  difference  id, before, after        after a gap: what is different now (null: was not, or is not there)
  hub         state, since, hubs       whether the hub sees its store: "live" or "stale"
  connection  state, reason, resumed   "lost", "unreachable" or "back"; resumed: every change since then follows
  resync      reason                   the hub could not bridge a gap; differences follow
  hole        nodeId, known, got       a version never came; a resync follows

Exit codes: 0 ended by SIGINT, SIGTERM or a closed pipe, or --once is done; 2 wrong usage; 3 --once and the hub
is out of reach; 4 the hub refuses the token or the filter.

Examples:
  $ rollcall watch
  $ rollcall watch --hub https://hub.example --status offline,unreachable --label zone=eu-1
  $ rollcall watch --json --once | jq '.nodes[] | select(.status != "online") | .hostname'
`;

/** What a reader of the output may leave unread. */
const MOST_UNREAD_BYTES = 64 * 1024 * 1024;

/** `rollcall watch`: follows the fleet in the terminal until a signal ends it. */
export function watchCommand(): Command {
  const command = new Command('watch')
    .exitOverride()
    .description('follow the fleet in the terminal: who is there, then every change and why')
    .option(
      '--hub <url>',
      "the hub, http(s)://host:port; an agent's ws(s)://host/agent is understood (default: http://127.0.0.1:8080)",
    );
  return withSelectors(command)
    .option('--json', 'lines of JSON instead of text')
    .option('--once', 'show what is there now, and end')
    .addHelpText('after', more)
    .action(async (flags: WatchFlags) => {
      const settings = readWatchSettings(flags, process.env);
      const { stdout, stderr, env } = process;
      const complain = (message: string) => void stderr.write(`rollcall: ${printable(message)}\n`);
      const slow = new AbortController();
      const output = {
        write: (text: string) => {
          stdout.write(text);
          if (stdout.writableLength > MOST_UNREAD_BYTES) slow.abort();
        },
        columns: stdout.isTTY ? stdout.columns : undefined,
        colour: stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb',
      };
      const tooSlow = new Promise((resolve) => slow.signal.addEventListener('abort', resolve));
      const ended = Promise.race([untilSignal(), readerGone(), tooSlow]);
      const agent = (await loadProxies(env)).agentFor(settings.hubUrl);
      process.exitCode = await runWatch({ ...settings, agent }, output, ended, complain);
      if (!slow.signal.aborted) return;
      complain('whoever reads this output is too slow: more than 64 MiB waited');
      process.exitCode = 1;
    });
}
