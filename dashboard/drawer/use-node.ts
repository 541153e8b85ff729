import { useEffect, useState } from 'react';
import type { FleetEvent, FleetNode, LiveStats } from '../../shared/index.ts';
import { useTopic } from '../use-store.ts';

export type NodeLook =
  | { kind: 'loading' }
  | { kind: 'failed'; why: string }
  | { kind: 'none' }
  | { kind: 'found'; node: FleetNode; stats: LiveStats };

const TIMELINE_EVENTS = 100;

/** The whole record of a node and its changes, asked for afresh with each of its changes and each connection. */
export function useNode(id: string): { look: NodeLook; events: FleetEvent[] | undefined } {
  const [store] = useTopic('fleet');
  const [{ standing }] = useTopic('standing');
  const [look, setLook] = useState<NodeLook>({ kind: 'loading' });
  const [events, setEvents] = useState<FleetEvent[]>();
  const seq = store.picture.nodes.get(id)?.seq;
  const connected = standing.link.kind === 'live';
  const storeLive = standing.hub?.state === 'live';

  // biome-ignore lint/correctness/useExhaustiveDependencies: each version of the node is asked for afresh
  useEffect(() => {
    if (!connected) return;
    let over = false;
    const failed = (error: unknown): void => {
      if (over) return;
      const why = error instanceof Error ? error.message : 'the hub does not answer';
      setLook((before) => (before.kind === 'found' ? before : { kind: 'failed', why }));
    };
    store.node(id).then((found) => {
      if (!over) setLook(found ? { kind: 'found', ...found } : { kind: 'none' });
    }, failed);
    store.history({ nodeId: id, limit: TIMELINE_EVENTS }).then((found) => {
      if (!over) setEvents(found);
    }, failed);
    return () => {
      over = true;
    };
  }, [store, id, seq, connected, storeLive]);

  return { look, events };
}
