// A load process: started by the bench, pinned to a core, told by messages what to do.
import { answerOrders } from '../harness/answering.ts';
import { Dashboards } from './dashboards.ts';
import { AgentFleet } from './fleet.ts';
import { loadOrder, type Reading } from './orders.ts';
import { takePicture } from './picture.ts';

const octet = Number(process.env.BENCH_OCTET ?? 1);
const fleet = new AgentFleet(octet);
const dashboards = new Dashboards(octet);
let markedAt = performance.now();
let cpuAt = process.cpuUsage();

function mark(): void {
  fleet.counts.answered = 0;
  fleet.counts.late = 0;
  fleet.counts.latency.clear();
  fleet.lostCount = 0;
  fleet.changesSent = 0;
  dashboards.deliveries = 0;
  dashboards.deliveredBytes = 0;
  dashboards.latency.clear();
  markedAt = performance.now();
  cpuAt = process.cpuUsage();
}

function reading(): Reading {
  const { user, system } = process.cpuUsage(cpuAt);
  return {
    ms: performance.now() - markedAt,
    answered: fleet.counts.answered,
    late: fleet.counts.late,
    lost: fleet.lostCount,
    underWay: fleet.underWay,
    cpuMicros: user + system,
    latency: fleet.counts.latency.pack(),
    deliveries: dashboards.deliveries,
    deliveredBytes: dashboards.deliveredBytes,
    deliveryLatency: dashboards.latency.pack(),
    changesSent: fleet.changesSent,
  };
}

function carryOut(raw: unknown): unknown {
  const order = loadOrder.parse(raw);
  switch (order.do) {
    case 'connect':
      return fleet.connect(order);
    case 'reset':
      return fleet.reset(order.from, order.count);
    case 'drop':
      return fleet.drop();
    case 'saturate':
      return fleet.saturate(order.beat, order.p99Ms);
    case 'pace':
      return fleet.pace(order.beat, order.perSecond);
    case 'mark':
      return mark();
    case 'read':
      return reading();
    case 'rest':
      return fleet.rest();
    case 'last-ping':
      return fleet.lastPings(order.spacingMs);
    case 'ping-all':
      return fleet.lastPings(0).then(() => null);
    case 'herd':
      return fleet.herd(order.port);
    case 'jitter':
      return fleet.jitter(order.ports, order.ceilingMs);
    case 'returned':
      return fleet.returned();
    case 'change':
      return fleet.change(order.perSecond);
    case 'dashboards':
      return dashboards.connect(order);
    case 'seen': {
      const { seen } = dashboards;
      if (order.clear) dashboards.seen = [];
      return seen;
    }
    case 'seen-count':
      return dashboards.seen.length;
    case 'stalled':
      return dashboards.stalledOpen();
    case 'picture':
      return takePicture(order, octet);
    default:
      return order satisfies never;
  }
}

answerOrders(null, carryOut);
