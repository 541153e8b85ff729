import { beforeEach, describe, expect, test } from 'vitest';
import { describeReason } from '../../cli/watch/describe.ts';
import { jsonReport } from '../../cli/watch/json-report.ts';
import { TextReport } from '../../cli/watch/text-report.ts';
import { clockTime, sinceTime } from '../../cli/watch/times.ts';
import { reasonSchema } from '../../shared/index.ts';
import { eventOf, fleetNode, nodeRecord, someInstant } from '../support/fixtures.ts';

let text = '';
const output = {
  write: (more: string) => {
    text += more;
  },
  colour: false,
};
const report = () => new TextReport(output, () => someInstant);
const offline = eventOf(
  nodeRecord(fleetNode({ id: 'a', hostname: 'a', seq: 2, status: 'offline', reason: 'heartbeat_timeout' })),
  { from: 'online' },
);

beforeEach(() => {
  text = '';
});

describe('watch in words', () => {
  test('a snapshot is a table and a line of counts, each status with a symbol', () => {
    report().snapshot([
      fleetNode({ id: 'b', hostname: 'bee', status: 'offline' }),
      fleetNode({ id: 'a', hostname: 'ant', kind: 'gpu' }),
    ]);
    const lines = text.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^STATUS +HOSTNAME +ID +KIND/);
    expect(lines[1]).toMatch(/^● online +ant +a +gpu/);
    expect(lines[2]).toMatch(/^✕ offline +bee +b/);
    expect(lines.at(-1)).toBe('2 nodes: 1 online, 0 degraded, 0 unreachable, 1 offline');
    expect(text).not.toContain('\u001b');
  });

  test.each([40, 60, 80, 120])('[CLI-18] the table fits a terminal of %i columns', (columns) => {
    const id = '1f0e4c7a-9f3b-5d7e-8a10-1234567890ab';
    const node = fleetNode({ id, hostname: 'machine-1', kind: 'hypervisor', location: 'eu-central-1' });
    new TextReport({ ...output, columns }, () => someInstant).snapshot([node]);
    const table = text.split('\n').slice(0, 2);
    for (const line of table) expect(line.length).toBeLessThanOrEqual(columns);
    expect(table[1]).toMatch(/^● online +machine-1/);
    text = '';
    report().snapshot([node]);
    expect(text.split('\n')[1]).toContain(id);
  });

  test('a change is one line with time, node, statuses and the reason with its evidence', () => {
    const evidence = { lastHeartbeatAt: someInstant, hubId: 'hub-2', detail: 'no heartbeat for 30s' };
    report().change({ ...offline, evidence }, undefined);
    const at = clockTime(someInstant);
    expect(text).toBe(
      `${at}  a  ● online → ✕ offline  no heartbeat for 30s, last heartbeat ${at}, over hub-2\n`,
    );
  });

  test('every reason has words', () => {
    for (const reason of reasonSchema.options) expect(describeReason(reason, {})).toMatch(/\w/);
    expect(describeReason('connection_lost', { closeCode: 1006 })).toContain('1006');
  });

  test('what began over a day ago shows its date', () => {
    const noon = '2026-03-05T12:00:00.000Z';
    expect(sinceTime(noon, '2026-03-06T11:00:00.000Z')).toBe(clockTime(noon));
    expect(sinceTime(noon, '2026-03-07T12:00:00.000Z')).toBe('2026-03-05');
    expect(sinceTime('rubbish', noon)).toBe('--:--:--');
  });

  test('colour only where it is wanted', () => {
    new TextReport({ ...output, colour: true }, () => someInstant).change(offline, undefined);
    expect(text).toContain('\u001b[31m✕ offline');
  });

  test('[TERM-2] what comes from the fleet cannot steer the terminal', () => {
    const hostname = 'x\u001b]0;owned\u0007';
    report().snapshot([fleetNode({ id: 'a', hostname, location: '\u009b1m' })]);
    report().change({ ...offline, node: fleetNode({ id: 'a', hostname }) }, undefined);
    report().connection('lost', '\u001b[2J');
    report().resync('\u001b[2J');
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  });

  test('a gap is said, and what is different after it', () => {
    const teller = report();
    teller.differences([], 3);
    expect(text).toContain('3 nodes: nothing is different');
    teller.differences([{ id: 'a', before: fleetNode({ id: 'a' }), after: undefined }], 2);
    expect(text).toMatch(/a\.example \(a\) {2}● online → removed {2}is gone/);
  });

  test('the same failure to connect is said once', () => {
    const teller = report();
    for (let times = 0; times < 3; times += 1) teller.connection('unreachable', 'refused');
    expect(text.match(/refused/g)).toHaveLength(1);
  });

  test('stale and live are said when they change, not at the start', () => {
    const teller = report();
    const since = someInstant;
    teller.hub({ state: 'live', since });
    expect(text).toBe('');
    teller.hub({ state: 'stale', since });
    teller.hub({ state: 'stale', since });
    teller.hub({ state: 'live', since });
    expect(text.trim().split('\n')).toHaveLength(2);
  });
});

describe('watch --json', () => {
  test('every line is an object with a type', () => {
    const teller = jsonReport(output);
    teller.snapshot([fleetNode({ id: 'a' })]);
    teller.change(offline, undefined);
    teller.differences([{ id: 'a', before: undefined, after: fleetNode({ id: 'a' }) }], 1);
    teller.hub({ state: 'live', since: someInstant, hubs: 1 });
    teller.connection('lost', 'x');
    teller.back({ resumed: true });
    teller.resync('x');
    teller.hole({ nodeId: 'a', known: 1, got: 3 });
    const lines: unknown[] = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([
      { type: 'snapshot', counts: { online: 1 }, nodes: [{ id: 'a' }] },
      { type: 'change', event: { nodeId: 'a', to: 'offline' } },
      { type: 'difference', id: 'a', before: null, after: { id: 'a' } },
      { type: 'hub', state: 'live', hubs: 1 },
      { type: 'connection', state: 'lost', reason: 'x' },
      { type: 'connection', state: 'back', resumed: true },
      { type: 'resync', reason: 'x' },
      { type: 'hole', nodeId: 'a', known: 1, got: 3 },
    ]);
  });
});
