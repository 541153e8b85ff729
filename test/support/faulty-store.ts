import { type FleetStore, StoreAwayError } from '../../server/store/fleet-store.ts';

/** What is wrong with the way to the store. `after`: what was asked is done, but the answer is lost. */
export type Fault = 'none' | 'away' | 'after';

/** A store whose way can be cut: the store itself goes on, as a Redis behind a broken network does. */
export class FaultyStore implements FleetStore {
  fault: Fault = 'none';
  /** How long what goes either way takes, where it is far away. */
  oneWay: (() => Promise<void>) | undefined;
  /** How many calls of each verb got through. */
  readonly calls = new Map<string, number>();
  readonly #inner: FleetStore;

  constructor(inner: FleetStore) {
    this.#inner = inner;
  }

  get shards(): number {
    return this.#inner.shards;
  }

  async #pass<T>(verb: string, run: () => Promise<T>): Promise<T> {
    if (this.fault === 'away') throw new StoreAwayError('cut off');
    this.calls.set(verb, (this.calls.get(verb) ?? 0) + 1);
    await this.oneWay?.();
    const answer = await run();
    await this.oneWay?.();
    // Read again: the way may have been cut while the store worked.
    if (this.fault !== 'none') throw new StoreAwayError('the answer was lost');
    return answer;
  }

  shardOf = (id: string) => this.#inner.shardOf(id);
  open = () => this.#pass('open', () => this.#inner.open());
  close = () => this.#inner.close();
  attach = (shard: number) => this.#pass('attach', () => this.#inner.attach(shard));
  read = (id: string) => this.#pass('read', () => this.#inner.read(id));
  newChangeId = () => this.#inner.newChangeId();
  commit: FleetStore['commit'] = (change) => this.#pass('commit', () => this.#inner.commit(change));
  beat: FleetStore['beat'] = (...asked) => this.#pass('beat', () => this.#inner.beat(...asked));
  retime: FleetStore['retime'] = (shard, retimings) =>
    this.#pass('retime', () => this.#inner.retime(shard, retimings));
  stats: FleetStore['stats'] = (nodes) => this.#pass('stats', () => this.#inner.stats(nodes));
  snapshot: FleetStore['snapshot'] = (shard) => this.#pass('snapshot', () => this.#inner.snapshot(shard));
  tick: FleetStore['tick'] = (shard, request) => this.#pass('tick', () => this.#inner.tick(shard, request));
  onPutAside: FleetStore['onPutAside'] = (listener) => this.#inner.onPutAside(listener);
  onBell: FleetStore['onBell'] = (listener) =>
    this.#inner.onBell((shard) => this.fault === 'none' && listener(shard));
  replay: FleetStore['replay'] = (...asked) => this.#pass('replay', () => this.#inner.replay(...asked));
  locate: FleetStore['locate'] = (...asked) => this.#pass('locate', () => this.#inner.locate(...asked));
  history: FleetStore['history'] = (request) => this.#pass('history', () => this.#inner.history(request));
  restore: FleetStore['restore'] = (shard, lost) =>
    this.#pass('restore', () => this.#inner.restore(shard, lost));
  settleClock: FleetStore['settleClock'] = (...asked) =>
    this.#pass('settleClock', () => this.#inner.settleClock(...asked));
  settleLeases: FleetStore['settleLeases'] = (longestMs) =>
    this.#pass('settleLeases', () => this.#inner.settleLeases(longestMs));
  nodeCount = () => this.#pass('nodeCount', () => this.#inner.nodeCount());
  renewLease: FleetStore['renewLease'] = (...asked) =>
    this.#pass('renewLease', () => this.#inner.renewLease(...asked));
  dropLease: FleetStore['dropLease'] = (hubId) => this.#pass('dropLease', () => this.#inner.dropLease(hubId));
  leases: FleetStore['leases'] = () => this.#pass('leases', () => this.#inner.leases());
}
