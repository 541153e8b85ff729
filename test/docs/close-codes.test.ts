import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { problemCodeSchema, statusOf } from '../../server/http/problem.ts';
import {
  agentErrorCodeSchema,
  CLOSE,
  LIMITS,
  reasonSchema,
  refusalCodeSchema,
  STATUSES,
} from '../../shared/index.ts';

const protocol = readFileSync('docs/PROTOCOL.md', 'utf8');
const http = readFileSync('docs/HTTP.md', 'utf8');

/** The cells of the table under a heading, without its head; backticks are taken off. */
function tableUnder(page: string, heading: string, column = 0): string[][] {
  const section = page.slice(page.indexOf(`\n${heading}\n`)).split(/\n#{2,3} /)[1] ?? '';
  const tables = section.split('\n\n').filter((block) => block.startsWith('|'));
  const rows = (tables[column] ?? '').trim().split('\n').slice(2);
  return rows.map((row) =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  );
}

it('the close codes of the protocol are those of the code', () => {
  expect(tableUnder(protocol, '### Close codes')).toEqual(
    Object.values(CLOSE).map(({ code, name, reason, agent }) => [String(code), name, reason, agent]),
  );
});

it('the error codes of the protocol are those of the code', () => {
  expect(tableUnder(protocol, '### Errors').map(([code]) => code)).toEqual(agentErrorCodeSchema.options);
});

it('the refusals of the protocol are those of the code', () => {
  const listed = /^A refusal is .*?\n\n/ms.exec(protocol)?.[0] ?? '';
  for (const code of refusalCodeSchema.options) expect(listed, code).toContain(`\`${code}\``);
});

it('the statuses and reasons of the protocol are those of the code', () => {
  const heading = '## Statuses and reasons';
  expect(tableUnder(protocol, heading).map(([status]) => status)).toEqual(STATUSES);
  expect(tableUnder(protocol, heading, 1).map(([reason]) => reason)).toEqual(reasonSchema.options);
});

it('the limits of the protocol are those of the code', () => {
  const limits = Object.fromEntries(
    tableUnder(protocol, '### Limits').map(([what = '', limit = '']) => [what, limit]),
  );
  const thousands = (number: number): string => number.toLocaleString('en-US');
  expect(limits).toMatchObject({
    'a message, in one frame or up to 16 fragments': `${LIMITS.frameBytes / 1024} KiB`,
    stats: `${LIMITS.statsBytes / 1024} KiB as JSON`,
    'register.node': `${LIMITS.nodeBytes / 1024} KiB as JSON`,
    'condition messages, deregister.reason': `${thousands(LIMITS.textLength)} characters`,
    'labels, roles, pools': `${LIMITS.labels} each`,
    conditions: String(LIMITS.conditions),
    metrics: String(LIMITS.metrics),
    'depth of capabilities, metadata and the like': `${LIMITS.jsonDepth} levels`,
    'frames, pings and pongs included': `${LIMITS.framesPerSecond} a second over a burst of ${LIMITS.framesBurst}`,
    'bad messages': `${LIMITS.errorsPerSecond} a second over a burst of ${LIMITS.errorsBurst}`,
    'time to register': `${LIMITS.registerWithinMs / 1_000} s`,
    'interval to ask for': `${LIMITS.longestIntervalMs / 60_000} min`,
  });
  expect([LIMITS.roles, LIMITS.pools]).toEqual([LIMITS.labels, LIMITS.labels]);
  expect(protocol).toContain(`${LIMITS.nameLength} characters`);
  expect(protocol).toContain(`more than ${thousands(LIMITS.resumeEvents)} events behind`);
  expect(protocol).toContain(`up to ${LIMITS.watchedIds} ids`);
  expect(protocol).toContain(`at most ${thousands(LIMITS.historyEvents)}`);
});

it('the problems of the API are those of the code', () => {
  expect(tableUnder(http, '## Problems').map(([code, status]) => [code, status])).toEqual(
    problemCodeSchema.options.map((code) => [code, String(statusOf(code))]),
  );
});

it('each dialect has its paths in the page on migrating', () => {
  const page = readFileSync('docs/MIGRATING.md', 'utf8');
  for (const dialect of ['connect', 'gpu-node', 'fleet-manager', 'game-host']) {
    const source = readFileSync(`server/http/compat/${dialect}.ts`, 'utf8');
    const paths = Array.from(
      source.matchAll(/app\.(?:get|post|delete)(?:<.*>)?\(\s*['`](?:\$\{service\}\/)?([^'`]+)['`]/g),
      ([, path = '']) => path,
    );
    expect(paths.length, dialect).toBeGreaterThan(1);
    for (const path of paths) expect(page, path).toContain(path);
  }
});
