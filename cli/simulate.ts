import { Command } from 'commander';
import { PROFILES } from '../simulate/profiles/index.ts';
import { untilSignal } from './signals.ts';
import { openFileLimit } from './simulate/open-files.ts';
import { runSimulate } from './simulate/run.ts';
import { readSimulateSettings, type SimulateFlags } from './simulate/settings.ts';

const more = `
Profiles, and the numbers that each takes (defaults in brackets):
  steady           all agents beat, and nothing else happens
  flapping         a --share (10%) of the agents loses its socket about --every (10s), and is back after --away (3s)
  rolling-restart  --every (5s) the next --share (5%) says goodbye, and starts again after --away (2s)
  rack-loss        --every (20s) the next rack vanishes at once, and comes back after --away (5s)
  mass-reconnect   --every (20s) a --share (100%) of all sockets breaks at once; the agents come back with backoff
  slow-network     a --share (100%) has --latency (200ms) and up to --jitter (200ms) each way, and frames in pieces

The agents do what rollcall agent does: the same registration, heartbeats, backoff, and answers to close codes and 503.
They register as <prefix>-1, <prefix>-2 … with the labels simulation=<prefix>, zone and rack, so a second run finds
the same nodes. At the end they say goodbye, and their nodes stay, offline; --deregister removes them.

Environment:
  AGENT_TOKEN or AGENT_TOKEN_FILE  what the hub lets agents in with; never a flag, which others could see
  ROLLCALL_TOKEN or ROLLCALL_TOKEN_FILE  the same for --watch-dashboard (DASHBOARD_TOKEN where neither is set)
  ROLLCALL_URL                     the hub, where --hub is not given
  NODE_EXTRA_CA_CERTS              a certificate authority of your own, for wss://

One agent is one open file: ulimit -n bounds how many one process holds; for more, start several with another --prefix
each. From one source address there are about 28,000 ports to one hub: --from takes more addresses.

Plan and progress go to stderr, the summary to stdout. SIGINT and SIGTERM end the run with its summary.
Exit codes: 0 all is well; 1 something went wrong, and the summary says what; 2 wrong usage; 3 the hub lets no agent in.

Examples:
  $ rollcall simulate --agents 1000
  $ rollcall simulate --agents 5000 --profile rack-loss --duration 2m --rate 500/s --watch-dashboard
  $ AGENT_TOKEN_FILE=token rollcall simulate --hub wss://hub.example --yes --agents 10000 --profile mass-reconnect
  $ rollcall simulate --agents 15000 --from 127.0.0.2-127.0.0.9 --json | jq .wrong
`;

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

/** `rollcall simulate`: many agents from one process, to try one's own hub, proxy and Redis under load. */
export function simulateCommand(): Command {
  return new Command('simulate')
    .exitOverride()
    .description('load a hub with simulated agents, and see how it copes')
    .option(
      '--hub <url>',
      'the hub, ws(s)://host:port/agent or http(s)://host; a comma list, or repeat it (default: ws://127.0.0.1:8080/agent)',
      collect,
    )
    .option('--agents <count>', 'how many (default: 100)')
    .option('--profile <name>', `${[...PROFILES.keys()].join(', ')} (default: steady)`)
    .option('--duration <duration>', 'how long the profile runs once all have connected (default: 60s)')
    .option('--rate <count>', 'agents that connect in a second, such as 500/s (default: 200/s)')
    .option('--interval <duration>', "the heartbeat interval to ask for (default, and at least: the hub's)")
    .option('--stats <share>', 'the share of heartbeats that carry stats (default: 1)')
    .option('--prefix <prefix>', 'what ids begin with (default: sim)')
    .option('--racks <count>', 'racks over which the agents are spread (default: 20)')
    .option('--seed <number>', 'the same number makes the same things happen (default: random)')
    .option('--from <addresses>', 'source addresses, a comma list or a range such as 127.0.0.2-127.0.0.9')
    .option('--every <duration>', 'from one event of the profile to the next')
    .option('--away <duration>', 'how long agents are kept away')
    .option('--share <share>', 'the share of the agents that it happens to, such as 0.1 or 10%')
    .option('--latency <duration>', 'of a slow network, each way')
    .option('--jitter <duration>', 'up to this much more, at random')
    .option('--watch-dashboard', 'also follow the nodes as a dashboard does, and count its false alarms')
    .option('--deregister', 'remove the nodes at the end')
    .option('--json', 'the summary as JSON')
    .option('--yes', 'the hub may be on another machine')
    .addHelpText('after', more)
    .action(async (flags: SimulateFlags) => {
      const settings = readSimulateSettings(flags, process.env, openFileLimit());
      const { stdout, stderr } = process;
      const ending = new AbortController();
      void untilSignal().then(() => ending.abort());
      const output = {
        write: (text: string) => void stdout.write(text),
        tell: (text: string) => void stderr.write(text),
        terminal: stderr.isTTY === true,
      };
      process.exitCode = await runSimulate(settings, output, ending.signal);
    });
}
