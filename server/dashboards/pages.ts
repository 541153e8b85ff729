import {
  type DashboardEvent,
  type FleetEvent,
  type FleetNode,
  type NodeSummary,
  type Subscribe,
  summarize,
} from '../../shared/index.ts';

/** About how large one packet to a dashboard may be, as JSON. */
export const PACKET_BYTES = 256 * 1024;
/** Events that one packet of changes carries at most. */
export const PACKET_EVENTS = 500;
/** What an event takes beside its node. */
const EVENT_ENVELOPE_BYTES = 512;

const sizes = new WeakMap<object, number>();

/** Bytes of a value as JSON. Records never change, so each is measured once however many dashboards get it. */
export function jsonSize(value: object): number {
  const known = sizes.get(value);
  if (known !== undefined) return known;
  const size = Buffer.byteLength(JSON.stringify(value));
  sizes.set(value, size);
  return size;
}

/** A node as a subscription wants it. */
export function nodeFor(fields: Subscribe['fields'], node: FleetNode): FleetNode | NodeSummary {
  return fields === 'summary' ? summarize(node) : node;
}

/** An event as a subscription wants it; `left` where its node does not match the filter any more. */
export function eventFor(fields: Subscribe['fields'], event: FleetEvent, left: boolean): DashboardEvent {
  return { ...event, node: nodeFor(fields, event.node), ...(left && { left: true }) };
}

/** Cuts items into pages that stay below both limits; an item that is too large alone gets a page of its own. */
export function* paged<T>(
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

/** Cuts events into what one packet of changes may carry. */
export function pagedEvents(events: readonly DashboardEvent[]): Generator<DashboardEvent[], void> {
  return paged(events, ({ node }) => jsonSize(node) + EVENT_ENVELOPE_BYTES, PACKET_EVENTS);
}

/** The pages of a snapshot: at least one, and each knows how many nodes come after it. */
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
