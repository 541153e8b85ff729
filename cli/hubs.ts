import { Command } from 'commander';
import { z } from 'zod';
import { ApiClient, type Io, processIo } from './api/api-client.ts';
import { EXIT } from './api/failure.ts';
import { type FormatFlags, format, table, withFormat } from './api/print.ts';

const hubsSchema = z.looseObject({
  hubs: z.array(
    z.looseObject({ hubId: z.string(), address: z.string(), sessions: z.number(), version: z.string() }),
  ),
});

/** `rollcall hubs`: the hubs that hold a lease, and how many agents are connected to each. */
export function hubsCommand(io: Io = processIo): Command {
  const command = new Command('hubs')
    .exitOverride()
    .description('list the hubs with their sessions')
    .option('--hub <url>', 'the hub to ask (ROLLCALL_URL, default http://127.0.0.1:8080)');
  return withFormat(command)
    .addHelpText('after', '\nExamples:\n  $ rollcall hubs\n  $ rollcall hubs --json | jq length')
    .action(async (flags: FormatFlags & { hub?: string }) => {
      const { hubs } = await new ApiClient(flags.hub, io.env).get('/api/v1/summary', hubsSchema);
      const rows = hubs.map(({ hubId, address, sessions, version }) => [
        hubId,
        address,
        String(sessions),
        version,
      ]);
      io.out(format(flags, hubs, () => table(['HUB', 'ADDRESS', 'SESSIONS', 'VERSION'], rows)));
      io.exit(hubs.length > 0 ? EXIT.ok : EXIT.none);
    });
}
