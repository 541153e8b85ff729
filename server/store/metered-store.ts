import type { Change, FleetStore, Position } from './fleet-store.ts';

/** Verbs of the store whose duration is measured. */
export type StoreVerb =
  | 'read'
  | 'commit'
  | 'beat'
  | 'retime'
  | 'stats'
  | 'snapshot'
  | 'tick'
  | 'replay'
  | 'history'
  | 'locate'
  | 'restore'
  | 'lease'
  | 'settle-clock';

/** Receives measurements of a store. Called on the hot path: it only counts. */
export interface StoreObserver {
  /** A call ended after this many milliseconds. */
  called(verb: StoreVerb, ms: number, failed: boolean): void;
  /** One call wrote this many heartbeats in this time. */
  flushed(beats: number, withStats: number, ms: number): void;
  /** A change of this hub was written. */
  committed(change: Change): void;
  /** A read of a shard's news ended. */
  ticked(shard: number): void;
}

/** Wraps a store and reports its calls to an observer; results and errors pass unchanged. */
export function meteredStore(
  store: FleetStore,
  observer: StoreObserver,
  now: () => number = () => performance.now(),
): FleetStore {
  const timed = <T>(
    verb: StoreVerb,
    run: () => Promise<T>,
    ended?: (answer: T, ms: number) => void,
  ): Promise<T> => {
    const from = now();
    const answer = run();
    // Beside the caller, which does not wait for it.
    answer.then(
      (value) => {
        const ms = now() - from;
        observer.called(verb, ms, false);
        ended?.(value, ms);
      },
      () => observer.called(verb, now() - from, true),
    );
    return answer;
  };
  return {
    shards: store.shards,
    shardOf: (id) => store.shardOf(id),
    open: () => store.open(),
    close: () => store.close(),
    attach: (shard) => store.attach(shard),
    read: (id) => timed('read', () => store.read(id)),
    newChangeId: () => store.newChangeId(),
    commit: (change) =>
      timed(
        'commit',
        () => store.commit(change),
        (outcome) => {
          if (outcome === 'done') observer.committed(change);
        },
      ),
    beat: (shard, beats, followed) =>
      timed(
        'beat',
        () => store.beat(shard, beats, followed),
        (_, ms) => {
          let withStats = 0;
          for (const { stats } of beats) if (stats !== undefined) withStats += 1;
          observer.flushed(beats.length, withStats, ms);
        },
      ),
    retime: (shard, retimings) => timed('retime', () => store.retime(shard, retimings)),
    stats: (nodes) => timed('stats', () => store.stats(nodes)),
    snapshot: (shard) => timed('snapshot', () => store.snapshot(shard)),
    tick: (shard, request) =>
      timed(
        'tick',
        () => store.tick(shard, request),
        () => observer.ticked(shard),
      ),
    onPutAside: (listener) => store.onPutAside(listener),
    onBell: (listener) => store.onBell(listener),
    replay: (shard: number, after: Position, upTo: Position, limit: number) =>
      timed('replay', () => store.replay(shard, after, upTo, limit)),
    locate: (shard, atMs) => timed('locate', () => store.locate(shard, atMs)),
    history: (request) => timed('history', () => store.history(request)),
    restore: (shard, lost) => timed('restore', () => store.restore(shard, lost)),
    settleClock: (shard, step) => timed('settle-clock', () => store.settleClock(shard, step)),
    settleLeases: (longestMs) => timed('lease', () => store.settleLeases(longestMs)),
    nodeCount: () => timed('read', () => store.nodeCount()),
    renewLease: (lease, ttlMs) => timed('lease', () => store.renewLease(lease, ttlMs)),
    dropLease: (hubId) => timed('lease', () => store.dropLease(hubId)),
    leases: () => timed('lease', () => store.leases()),
  };
}
