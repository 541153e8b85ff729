import { randomUUID } from 'node:crypto';
import fc from 'fast-check';

/**
 * How a fuzz test runs: `FUZZ_RUNS` times as often as usual, or once more as a failure printed it
 * (`FUZZ_SEED` and `FUZZ_PATH`).
 */
export function fuzzing(runs: number): fc.Parameters<unknown> {
  const { FUZZ_RUNS: times = '1', FUZZ_SEED: seed, FUZZ_PATH: path } = process.env;
  return {
    numRuns: runs * Number(times),
    ...(seed !== undefined && { seed: Number(seed) }),
    ...(path !== undefined && { path }),
  };
}

/** Names that mean something to JavaScript or to the protocol, and text of every kind. */
const key = fc.oneof(
  fc.constantFrom(
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'type',
    'node',
    'stats',
    'hostname',
    'labels',
    '',
  ),
  fc.string({ unit: 'binary' }),
);

const scalar = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('\ud800', '\u0000', '\n', 'x'.repeat(300)),
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
);

/** Any JSON value, with the keys that hurt. */
export const anyJson = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 5 }).map(ownEntries),
  ),
})).value;

/** An object whose `__proto__` is a key of its own, as JSON.parse makes it. */
function ownEntries(entries: ReadonlyArray<[string, unknown]>): unknown {
  return Object.fromEntries(entries);
}

/** Valid messages of an agent, to be bent. */
const valid = fc.constantFrom<unknown>(
  {
    type: 'register',
    protocol: 1,
    instanceId: randomUUID(),
    heartbeat: { intervalMs: 20_000 },
    node: {
      nodeId: 'fuzzed',
      hostname: 'fuzzed',
      kind: 'gpu',
      labels: { zone: 'a' },
      roles: ['r'],
      pools: ['p'],
      capabilities: { gpus: [{ memoryMib: 1 }] },
      cpu: { cores: 4 },
      metadata: {},
      agent: { name: 'a', version: '1' },
    },
  },
  {
    type: 'stats',
    stats: {
      cpuPercent: 1,
      pools: [{ poolId: 'p', ready: true, slotsFree: 1 }],
      conditions: [{ type: 'disk', status: 'fail', message: 'full' }],
      metrics: { watts: 3 },
    },
  },
  { type: 'deregister', reason: 'because' },
);

/** A copy of a value in which one place, chosen by `where`, holds something else. */
function bend(value: unknown, where: number, put: unknown): unknown {
  if (typeof value !== 'object' || value === null) return put;
  const entries = Object.entries(value);
  const at = where % (entries.length + 1);
  if (at === entries.length) return Array.isArray(value) ? [...value, put] : { ...value, extra: put };
  const bent = entries.map(([name, child], index): [string, unknown] =>
    index === at ? [name, bend(child, Math.floor(where / (entries.length + 1)), put)] : [name, child],
  );
  return Array.isArray(value) ? bent.map(([, child]) => child) : Object.fromEntries(bent);
}

/** The text of a message: valid, bent, cut, or never one. */
export const messageText = fc.oneof(
  { weight: 1, arbitrary: valid.map((message) => JSON.stringify(message)) },
  {
    weight: 5,
    arbitrary: fc
      .tuple(valid, fc.nat(), anyJson)
      .map(([message, where, put]) => JSON.stringify(bend(message, where, put))),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(valid, fc.nat(400))
      .map(([message, length]) => JSON.stringify(message).slice(0, length)),
  },
  { weight: 2, arbitrary: anyJson.map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('[', '{"a":'), fc.integer({ min: 10, max: 5_000 }))
      .map(([open, depth]) => open.repeat(depth)),
  },
);
