import { Command, Option } from 'commander';
import { z } from 'zod';
import {
  durationSchema,
  faultOf,
  IN_WORDS,
  isEmptyFilter,
  labelKeySchema,
  noneOf,
  printable,
  STATUSES,
} from '../shared/index.ts';
import { ApiClient, type Io, processIo } from './api/api-client.ts';
import { CommandFailure, EXIT } from './api/failure.ts';
import { type EventFlags, followEvents, readSince } from './api/follow.ts';
import { nodeNames } from './api/node-names.ts';
import { getNode, nodePath, readReference } from './api/node-reference.ts';
import { changeReport, fieldsOf, nodeTable } from './api/node-table.ts';
import { type FormatFlags, format, table, withFormat } from './api/print.ts';
import { type ListFlags, queryOf, readSort, selectNodes } from './api/select.ts';
import { readHubAccess } from './hub-access.ts';
import { loadProxies } from './proxy.ts';
import { collect, readFilter, type SelectorFlags, withSelectors } from './selectors.ts';
import { untilSignal } from './signals.ts';
import { UsageError } from './usage-error.ts';

const summarySchema = z.looseObject({
  total: z.number(),
  status: z.record(z.string(), z.number()),
  kind: z.record(z.string(), z.number()),
  location: z.record(z.string(), z.number()),
  labels: z.record(z.string(), z.record(z.string(), z.number())),
});
const NODE = 'an id, a host name, or the beginning of one';
const OUTPUTS = ['wide', 'json', 'yaml'];

type LsFlags = SelectorFlags &
  ListFlags &
  FormatFlags & { hub?: string; output?: string; headers: boolean; watch?: boolean };
type RmFlags = SelectorFlags & { hub?: string; yes?: boolean };

const withHub = (command: Command): Command =>
  command.exitOverride().option('--hub <url>', 'the hub (ROLLCALL_URL, default http://127.0.0.1:8080)');

const counts = (title: string, all: Readonly<Record<string, number>>): string[][] =>
  Object.entries(all)
    .sort(([, a], [, b]) => b - a)
    .map(([value, count]) => [title, value, String(count)]);

const exitCodes = `
Exit codes: 0 ok, 1 none found, 2 usage, 3 the hub cannot be reached, 4 refused.
ROLLCALL_URL names the hub. ROLLCALL_TOKEN or ROLLCALL_TOKEN_FILE has what is sent to it (DASHBOARD_TOKEN where
neither is set); never a flag, which others could see. HTTP_PROXY, HTTPS_PROXY and NO_PROXY are honoured.`;

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
    .option('--limit <count>', 'list at most this many nodes')
    .addOption(
      new Option('-o, --output <format>', 'wide adds labels, address, version, hub and the last heartbeat')
        .choices(OUTPUTS)
        .conflicts(['json', 'yaml']),
    )
    .option('--no-headers', 'without the line of titles')
    .addOption(
      new Option('-w, --watch', 'then a line for each change, until a signal ends it').conflicts([
        'sort',
        'limit',
      ]),
    )
    .action((flags: LsFlags) => listNodes(flags, io));

  withFormat(sub('get', 'one node with its live figures'))
    .argument('<node>', NODE, readReference)
    .action(async (node: string, flags: FormatFlags & { hub?: string }) => {
      const found = await getNode(client(flags), node);
      // Nobody wants a table of one nested thing.
      io.out(format({ ...flags, yaml: !flags.json }, found, () => ''));
    });

  withSelectors(sub('rm', "remove nodes; their agents' sockets are closed and stay away"))
    .argument('[nodes...]', NODE)
    .option('--yes', 'needed with selectors')
    .action((nodes: string[], flags: RmFlags) => removeNodes(nodes, flags, io));

  withFormat(sub('summary', 'counts by status, kind, location and labels'))
    .option('--by <label>', 'count by this label too; repeat it for several', collect)
    .action(async (flags: FormatFlags & { hub?: string; by?: string[] }) => {
      const query = new URLSearchParams();
      for (const label of flags.by ?? []) query.append('by', `label:${readLabelKey(label)}`);
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

  sub('events', 'what happened since a time or a cursor, and what happens from now on')
    .option(
      '--since <when>',
      'a duration back from now such as 1h, an instant, or the cursor of an earlier run',
      readSince,
    )
    .option('--node <node>', `only of this node: ${NODE}`, readReference)
    .option('--limit <count>', 'end after this many events')
    .option('--once', 'end with the newest event that there is now')
    .option('--json', 'one JSON object a line, each with its cursor')
    .action(async (flags: EventFlags & { hub?: string }) => {
      await followEvents(client(flags), flags, io, Promise.race([untilSignal(), io.readerGone()]));
    });

  sub('wait', 'wait until a node has a status')
    .argument('<node>', NODE, readReference)
    .requiredOption('--for <status>', `${STATUSES.join(', ')} or removed`)
    .option('--timeout <duration>', 'give up after this time; the hub may be away meanwhile', '60s')
    .action(async (node: string, flags: { hub?: string; for: string; timeout: string }) => {
      const timeout = durationSchema.safeParse(flags.timeout);
      if (!timeout.success)
        throw new CommandFailure(EXIT.usage, `--timeout: ${timeout.error.issues[0]?.message}`);
      const wanted = [...STATUSES, 'removed'];
      const asked = flags.for.toLowerCase();
      if (!wanted.includes(asked)) throw new UsageError(`--for: ${noneOf(flags.for, wanted)}`);
      const access = readHubAccess(flags.hub, io.env);
      const agent = (await loadProxies(io.env)).agentFor(access.hubUrl);
      // Loaded only here: it brings a client of sockets along.
      const { waitFor } = await import('./api/wait.ts');
      const came = await waitFor({ ...access, agent, node, wanted: asked, timeoutMs: timeout.data });
      const is = printable(`${node} is ${came}`);
      io.out(came === asked ? `${is}\n` : `${is}, not ${asked}\n`);
      io.exit(came === asked ? EXIT.ok : EXIT.none);
    });

  // For the scripts of `rollcall completion`.
  withHub(command.command('names', { hidden: true }))
    .argument('[beginning]')
    .action(async (beginning = '', flags: { hub?: string }) => {
      const names = await nodeNames(flags.hub, io.env, beginning);
      if (names.length > 0) io.out(`${names.join('\n')}\n`);
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
  $ rollcall nodes events --since 1h --node node-1 --once
  $ rollcall nodes events --json`,
  );
}

/** A label to count by. Throws `UsageError`. */
function readLabelKey(text: string): string {
  const read = labelKeySchema.safeParse(text.replace(/^label:/, ''), IN_WORDS);
  if (read.success) return read.data;
  throw new UsageError(`--by: ${faultOf(read.error.issues[0]).message}`);
}

async function listNodes(flags: LsFlags, io: Io): Promise<void> {
  const filter = readFilter(flags);
  readSort(flags.sort);
  const shape = { wide: flags.output === 'wide', headers: flags.headers, width: io.columns };
  const json = flags.json || flags.output === 'json';
  const yaml = flags.yaml || flags.output === 'yaml';
  if (flags.watch) {
    if (yaml) throw new UsageError('--watch prints a table or JSON, not YAML');
    // Loaded only here: it brings a client of sockets along.
    const { runWatch } = await import('./watch/run.ts');
    const output = { write: io.out, colour: false };
    const access = readHubAccess(flags.hub, io.env);
    const agent = (await loadProxies(io.env)).agentFor(access.hubUrl);
    const settings = { ...access, filter, agent, json: json ?? false, once: false };
    const ended = Promise.race([untilSignal(), io.readerGone()]);
    const complain = (message: string): void => io.err(`rollcall: ${printable(message)}\n`);
    const report = json ? undefined : changeReport(io, shape);
    io.exit(await runWatch(settings, output, ended, complain, report));
    return;
  }
  const fields = json || yaml ? ['summary'] : fieldsOf(shape.wide);
  const rows = await selectNodes(new ApiClient(flags.hub, io.env), filter, flags, fields);
  const people = (): string => (rows.length > 0 ? nodeTable(rows, Date.now(), shape) : 'No nodes.\n');
  io.out(format({ ...(json && { json }), ...(yaml && { yaml }) }, rows, people));
  io.exit(rows.length > 0 ? EXIT.ok : EXIT.none);
}

async function removeNodes(references: readonly string[], flags: RmFlags, io: Io): Promise<void> {
  const api = new ApiClient(flags.hub, io.env);
  const filter = readFilter(flags);
  const selecting = !isEmptyFilter(filter);
  if (selecting === references.length > 0) throw new UsageError('name nodes, or select them: one of the two');
  for (const one of references) readReference(one);
  const chosen = selecting ? (await selectNodes(api, filter)).map(({ id }) => id) : references;
  if (chosen.length === 0) {
    io.out('nothing to remove\n');
    return;
  }
  if (selecting && !flags.yes)
    throw new UsageError(`${chosen.length} nodes would be removed; say --yes to do so`);
  // Since they were selected some may have come back: the hub removes what still matches.
  const still = queryOf(filter).toString();
  let left = 0;
  for (const one of chosen) {
    try {
      const id = selecting ? one : (await getNode(api, one)).id;
      await api.delete(`${nodePath(id)}${still && `?${still}`}`, z.unknown());
      io.out(`${printable(id)} removed\n`);
    } catch (error) {
      if (!(error instanceof CommandFailure) || error.exitCode !== EXIT.none) throw error;
      left += 1;
      io.err(`rollcall: ${printable(error.message)}\n`);
    }
  }
  io.exit(selecting || left === 0 ? EXIT.ok : EXIT.none);
}
