import {
  type DashboardEvent,
  type FleetEvent,
  type FleetNode,
  type NodeSummary,
  type Subscribe,
  summarize,
} from '../../shared/index.ts';

/** The size of one packet to a dashboard as JSON, roughly. */
export const PACKET_BYTES = 256 * 1024;
/** The most events in one packet of changes. */
const PACKET_EVENTS = 500;
/** Bytes of an event beside its node. */
const EVENT_ENVELOPE_BYTES = 512;

const sizes = new WeakMap<object, number>();

/** Bytes of a value as JSON. Records never change, so each is measured once for all dashboards. */
export function jsonSize(value: object): number {
  const known = sizes.get(value);
  if (known !== undefined) return known;
  const size = Buffer.byteLength(JSON.stringify(value));
  sizes.set(value, size);
  return size;
}

/** A node with the fields of a subscription. */
function nodeFor(fields: Subscribe['fields'], node: FleetNode): FleetNode | NodeSummary {
  return fields === 'summary' ? summarize(node) : node;
}

/** An event with the fields of a subscription; `left` if its node no longer matches the filter. */
export function eventFor(fields: Subscribe['fields'], event: FleetEvent, left: boolean): DashboardEvent {
  return { ...event, node: nodeFor(fields, event.node), ...(left && { left: true }) };
}

/** Splits items into pages below both limits; an item that alone is too large gets a page of its own. */
function* paged<T>(
  items: Iterable<T>,
  sizeOf: (item: T) => number,
  maxItems: number = Number.POSITIVE_INFINITY,
): Generator<T[], void> {
  let page: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = sizeOf(item);
    if (page.length > 0 && (bytes + size > PACKET_BYTES || page.length >= maxItems)) {
      yield page;
      page = [];
      bytes = 0;
    }
    page.push(item);
    bytes += size;
  }
  if (page.length > 0) yield page;
}

/** Splits events into packets of changes. */
export function pagedEvents(events: readonly DashboardEvent[]): Generator<DashboardEvent[], void> {
  return paged(events, ({ node }) => jsonSize(node) + EVENT_ENVELOPE_BYTES, PACKET_EVENTS);
}

/** The pages of a snapshot: at least one, each with the number of nodes that follow it. */
export function* snapshotPages(
  nodes: readonly FleetNode[],
  fields: Subscribe['fields'],
): Generator<{ nodes: Array<FleetNode | NodeSummary>; remaining: number }, void> {
  let remaining = nodes.length;
  if (remaining === 0) yield { nodes: [], remaining };
  function* rows(): Generator<FleetNode | NodeSummary, void> {
    for (const node of nodes) yield nodeFor(fields, node);
  }
  for (const page of paged(rows(), jsonSize)) {
    remaining -= page.length;
    yield { nodes: page, remaining };
  }
}
