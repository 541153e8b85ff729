import cluster from 'node:cluster';
import type { GroupStatus, HubGroup } from '../../server/edge/worker-group.ts';
import type { Hub } from '../../server/hub.ts';
import { type PrimaryMessage, primaryMessageSchema, type WorkerMessage } from './messages.ts';

/** How long a scrape waits for the primary, which itself waits less for the other workers. */
const SCRAPE_WITHIN_MS = 5_000;

/** How often the primary hears how many agents there are. */
const LOAD_EVERY_MS = 1_000;

/** A worker's end of the line to its primary: it knows the group by it, and is told by it to stop. */
export class PrimaryLink implements HubGroup {
  /** Resolves once the primary wants this worker to end, or is no more. */
  readonly told: Promise<'stop' | 'the primary died'>;
  status: GroupStatus;
  readonly #scrapes = new Map<number, (text: string) => void>();
  #lastScrape = 0;
  #reload: (() => void) | undefined;
  /** It was told amid its start. */
  #reloadWaits = false;
  #hub: Hub | undefined;

  constructor(wanted: number) {
    this.status = { wanted, running: 0, ready: 0, open: false };
    // Else Node would end this process at once when the line breaks, with heartbeats unwritten and agents untold.
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true;
    this.told = new Promise((resolve) => {
      process.once('disconnect', () => resolve('the primary died'));
      process.on('message', (message: unknown) => {
        const read = primaryMessageSchema.safeParse(message);
        if (!read.success) return;
        if (read.data.type === 'stop') resolve('stop');
        else void this.#take(read.data);
      });
    });
  }

  /** The hub listens: from now on the primary hears of it. */
  async begins(hub: Hub, reload: () => void): Promise<void> {
    this.#hub = hub;
    this.#reload = reload;
    if (this.#reloadWaits) reload();
    let { ready } = hub.fleet;
    hub.fleet.membership.listen(() => {
      if (ready === hub.fleet.ready) return;
      ready = hub.fleet.ready;
      void this.send({ type: 'ready', ready });
    });
    await this.send({ type: 'listening', url: hub.url, ready });
    setInterval(() => void this.send({ type: 'load', agents: hub.agents.size }), LOAD_EVERY_MS).unref();
  }

  /** Resolves once it is handed over, or cannot be: the primary may be gone. */
  send(message: WorkerMessage): Promise<void> {
    return new Promise((resolve) => {
      if (process.connected) process.send?.(message, undefined, {}, () => resolve());
      else resolve();
    });
  }

  metrics(): Promise<string> {
    this.#lastScrape += 1;
    const id = this.#lastScrape;
    return new Promise<string>((resolve, reject) => {
      const late = setTimeout(() => {
        this.#scrapes.delete(id);
        reject(new Error("the group's primary does not answer"));
      }, SCRAPE_WITHIN_MS);
      this.#scrapes.set(id, (text) => {
        clearTimeout(late);
        this.#scrapes.delete(id);
        resolve(text);
      });
      void this.send({ type: 'scrape', id });
    });
  }

  async #take(message: Exclude<PrimaryMessage, { type: 'stop' }>): Promise<void> {
    switch (message.type) {
      case 'group':
        this.status = message.status;
        break;
      case 'reload':
        this.#reloadWaits = true;
        this.#reload?.();
        break;
      case 'move':
        this.#hub?.agents.moveAway(message.agents);
        break;
      case 'collect':
        if (this.#hub) {
          await this.send({ type: 'figures', id: message.id, figures: await this.#hub.metrics.figures() });
        }
        break;
      case 'scraped':
        this.#scrapes.get(message.id)?.(message.text);
        break;
      default:
        message satisfies never;
    }
  }
}
