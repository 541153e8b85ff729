import { Command } from 'commander';
import { z } from 'zod';
import { durationSchema, printable, STATUSES } from '../shared/index.ts';
import { ApiClient, type Io, processIo } from './api/api-client.ts';
import { CommandFailure, EXIT } from './api/failure.ts';
import { followEvents, nodePath, nodeSchema, waitFor } from './api/follow.ts';
import { type FormatFlags, format, table } from './api/print.ts';
import { collect, queryOf, type Row, type Selectors, selectNodes, withSelectors } from './api/select.ts';

const summarySchema = z.looseObject({
  total: z.number(),
  status: z.record(z.string(), z.number()),
  kind: z.record(z.string(), z.number()),
  location: z.record(z.string(), z.number()),
  labels: z.record(z.string(), z.record(z.string(), z.number())),
});
const withHub = (command: Command): Command =>
  command.exitOverride().option('--hub <url>', 'the hub (ROLLCALL_URL, default http://127.0.0.1:8080)');

const withFormat = (command: Command): Command =>
  command.option('--json', 'as JSON').option('--yaml', 'as YAML');

const showRows = (rows: readonly Row[]): string =>
  table(
    ['STATUS', 'ID', 'HOSTNAME', 'KIND', 'LOCATION', 'SINCE', 'REASON'],
    rows.map(({ status, id, hostname, kind, location, statusSince, reason }) => [
      status,
      id,
      hostname,
      kind ?? '-',
      location ?? '-',
      statusSince,
      reason,
    ]),
  );

const counts = (title: string, all: Readonly<Record<string, number>>): string[][] =>
  Object.entries(all)
    .sort(([, a], [, b]) => b - a)
    .map(([value, count]) => [title, value, String(count)]);

const exitCodes = `
Exit codes: 0 ok, 1 none found, 2 usage, 3 the hub cannot be reached, 4 refused.
ROLLCALL_URL names the hub, ROLLCALL_TOKEN is sent to it; never a flag, which others could see.`;

/** `rollcall nodes`: the fleet over the API, for people and scripts. */
export function nodesCommand(io: Io = processIo): Command {
  const command = new Command('nodes').exitOverride().description('list, inspect, remove and wait for nodes');
  const sub = (name: string, description: string): Command =>
    withHub(command.command(name)).description(description);
  const client = (flags: { hub?: string }): ApiClient => new ApiClient(flags.hub, io.env);

  withFormat(withSelectors(sub('ls', 'list nodes')))
    .option(
      '--sort <field>',
      'hostname, status, statusSince, createdAt, kind or location; - before it for descending',
    )
    .option('--limit <count>', 'at most so many')
    .action(async (flags: Selectors) => {
      const rows = await selectNodes(client(flags), flags);
      io.out(format(flags, rows, () => (rows.length > 0 ? showRows(rows) : 'No nodes.\n')));
      io.exit(rows.length > 0 ? EXIT.ok : EXIT.none);
    });

  withFormat(sub('get', 'one node with its live figures'))
    .argument('<id>')
    .action(async (id: string, flags: FormatFlags & { hub?: string }) => {
      const node = await client(flags).get(nodePath(id), nodeSchema);
      // Nobody wants a table of one nested thing.
      io.out(format({ ...flags, yaml: !flags.json }, node, () => ''));
    });

  withSelectors(sub('rm', "remove nodes; their agents' sockets are closed and stay away"))
    .argument('[ids...]')
    .option('--yes', 'needed with selectors')
    .action(async (ids: string[], flags: Selectors & { yes?: boolean }) => {
      const api = client(flags);
      const selecting = [...queryOf(flags)].length > 0;
      if (selecting === ids.length > 0)
        throw new CommandFailure(EXIT.usage, 'name nodes, or select them: one of the two');
      const chosen = selecting ? (await selectNodes(api, flags)).map(({ id }) => id) : ids;
      if (chosen.length === 0) {
        io.out('nothing to remove\n');
        return;
      }
      if (selecting && !flags.yes) {
        throw new CommandFailure(EXIT.usage, `${chosen.length} nodes would be removed; say --yes to do so`);
      }
      // Since they were selected some may have come back: the hub removes what still matches.
      const still = queryOf(flags).toString();
      let left = 0;
      for (const id of chosen) {
        try {
          await api.delete(`${nodePath(id)}${still && `?${still}`}`, z.unknown());
          io.out(`${printable(id)} removed\n`);
        } catch (error) {
          if (!(error instanceof CommandFailure) || error.exitCode !== EXIT.none) throw error;
          left += 1;
          io.err(`rollcall: ${printable(error.message)}\n`);
        }
      }
      io.exit(selecting || left === 0 ? EXIT.ok : EXIT.none);
    });

  withFormat(sub('summary', 'counts by status, kind, location and labels'))
    .option('--by <label>', 'count by this label too; repeat it for several', collect)
    .action(async (flags: FormatFlags & { hub?: string; by?: string[] }) => {
      const query = new URLSearchParams();
      for (const label of flags.by ?? []) query.append('by', `label:${label.replace(/^label:/, '')}`);
      const summary = await client(flags).get(`/api/v1/summary?${query}`, summarySchema);
      const { total, status, kind, location, labels } = summary;
      const rows = [
        ['total', '', String(total)],
        ...counts('status', status),
        ...counts('kind', kind),
        ...counts('location', location),
        ...Object.entries(labels).flatMap(([label, values]) => counts(label, values)),
      ];
      io.out(format(flags, summary, () => table(['BY', 'VALUE', 'NODES'], rows)));
      io.exit(total > 0 ? EXIT.ok : EXIT.none);
    });

  sub('events', 'what happened since a cursor; without one, what happens from now on')
    .option('--since <cursor>', 'where an earlier run ended')
    .option('--limit <count>', 'end after so many events')
    .option('--json', 'one JSON object a line')
    .action(async (flags: { hub?: string; since?: string; limit?: string; json?: boolean }) => {
      await followEvents(client(flags), flags, io);
    });

  sub('wait', 'wait until a node has a status')
    .argument('<id>')
    .requiredOption('--for <status>', `${STATUSES.join(', ')} or removed`)
    .option('--timeout <duration>', 'give up after so long', '60s')
    .action(async (id: string, flags: { hub?: string; for: string; timeout: string }) => {
      const timeout = durationSchema.safeParse(flags.timeout);
      if (!timeout.success)
        throw new CommandFailure(EXIT.usage, `--timeout: ${timeout.error.issues[0]?.message}`);
      const wanted: readonly string[] = [...STATUSES, 'removed'];
      if (!wanted.includes(flags.for))
        throw new CommandFailure(EXIT.usage, `--for is one of ${wanted.join(', ')}`);
      const came = await waitFor(client(flags), id, flags.for, timeout.data);
      const is = printable(`${id} is ${came}`);
      io.out(came === flags.for ? `${is}\n` : `${is}, not ${flags.for}\n`);
      io.exit(came === flags.for ? EXIT.ok : EXIT.none);
    });

  return command.addHelpText(
    'after',
    `${exitCodes}

Examples:
  $ rollcall nodes ls --status offline --label zone=a
  $ rollcall nodes ls --kind gpu --json | jq -r '.[].id'
  $ rollcall nodes get node-1
  $ rollcall nodes wait node-1 --for online --timeout 60s && deploy node-1
  $ rollcall nodes rm --status offline --yes
  $ rollcall nodes summary --by zone
  $ rollcall nodes events --json`,
  );
}
