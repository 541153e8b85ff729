import { useEffect, useState } from 'react';
import type { FleetEvent, FleetNode, LiveStats } from '../../shared/index.ts';
import { useTopic } from '../use-store.ts';

export type NodeLook =
  | { kind: 'loading' }
  | { kind: 'failed'; why: string }
  | { kind: 'none' }
  /** `gone`: it was removed since; this is the last that was known of it. */
  | { kind: 'found'; node: FleetNode; stats: LiveStats; gone: boolean };

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
      if (over) return;
      if (found) setLook({ kind: 'found', ...found, gone: false });
      else setLook((before) => (before.kind === 'found' ? { ...before, gone: true } : { kind: 'none' }));
    }, failed);
    store.history({ nodeId: id, limit: TIMELINE_EVENTS }).then((found) => {
      // The log may have lost what was read of it before.
      if (!over) setEvents((before) => (found.length === 0 && before !== undefined ? before : found));
    }, failed);
    return () => {
      over = true;
    };
  }, [store, id, seq, connected, storeLive]);

  return { look, events };
}
