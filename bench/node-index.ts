/**
 * What a page of nodes costs at a fleet's size: `tsx bench/node-index.ts [nodes…]`. Prints the median and the
 * worst of 50 runs in milliseconds of CPU, and what a change of one node costs in microseconds.
 */
import { NodeIndex, type PageRequest } from '../server/picture/node-index.ts';
import { type Filter, type FleetNode, filterSchema } from '../shared/index.ts';

const RUNS = 50;
const pick = <T>(list: readonly [T, ...T[]], n: number): T => list[n % list.length] ?? list[0];

function node(n: number): FleetNode {
  const at = new Date(1_760_000_000_000 + n * 1_000).toISOString();
  return {
    id: `node-${n}`,
    seq: 1,
    hostname: `host-${((n * 7_919) % 1_000_003).toString(36)}.rack-${n % 400}.example`,
    kind: pick(['hypervisor', 'gpu', 'edge', 'game'], n),
    location: `site-${n % 50}`,
    address: `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`,
    labels: { zone: `zone-${n % 12}`, rack: `rack-${n % 400}` },
    roles: [],
    pools: [`pool-${n % 20}`],
    status: n % 37 === 0 ? 'offline' : n % 11 === 0 ? 'degraded' : 'online',
    reason: 'registered',
    statusSince: at,
    conditions: [],
    evidence: {},
    heartbeat: { intervalMs: 10_000, timeoutMs: 30_000 },
    connection: null,
    createdAt: at,
    registeredAt: at,
  };
}

const filters: Record<string, Filter> = {
  'no filter': {},
  'status=online': { status: ['online'] },
  'status=offline': { status: ['offline'] },
  'status=online kind=gpu': { status: ['online'], kind: ['gpu'] },
  'label zone, rack': { labels: { zone: 'zone-3', rack: 'rack-15' } },
  'status=online q=rack-39': { status: ['online'], q: 'rack-39' },
  'q=no-such-node': { q: 'no-such-node' },
};

/** CPU milliseconds, so that what else the machine does is not counted. */
const time = (run: () => void): number => {
  const from = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1_000;
};

const sizes = process.argv.slice(2).map(Number);
for (const size of sizes.length > 0 ? sizes : [1_000, 10_000, 100_000]) {
  const index = new NodeIndex();
  for (let n = 0; n < size; n += 1) index.put(node(n));
  for (const _ of index.preparing({ sort: 'hostname', filter: { q: 'x' } }));
  for (const [name, filter] of Object.entries(filters)) {
    const request: PageRequest = {
      filter: filterSchema.parse(filter),
      sort: 'hostname',
      descending: false,
      limit: 100,
    };
    const first = time(() => index.page(request));
    const second = index.page(request).end;
    const times = Array.from({ length: RUNS }, (_, run) =>
      time(() => index.page(run % 2 === 0 || !second ? request : { ...request, after: second })),
    ).sort((a, b) => a - b);
    const median = times[RUNS / 2]?.toFixed(2);
    console.log(
      `${size} nodes  ${name.padEnd(26)} median ${median} ms  worst ${times.at(-1)?.toFixed(2)} ms  first ${first.toFixed(1)} ms`,
    );
  }
  const changes = time(() => {
    for (let n = 0; n < 10_000; n += 1) index.put({ ...node(n % size), status: 'unreachable', seq: 2 });
  });
  console.log(`${size} nodes  a change costs ${(changes / 10).toFixed(1)} us`);
}
