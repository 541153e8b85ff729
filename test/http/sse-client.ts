import { get, type IncomingMessage } from 'node:http';
import { until } from '../support/until.ts';

export interface SseEvent {
  id?: string;
  event: string;
  data: Record<string, unknown>;
}

/** A reader of server-sent events that writes down all it hears. */
export class SseClient {
  readonly events: SseEvent[] = [];
  status = 0;
  comments = 0;
  lastId: string | undefined;
  ended = false;
  #response: IncomingMessage | undefined;
  #rest = '';

  constructor(url: string, headers: Record<string, string> = {}) {
    const request = get(url, { headers: { accept: 'text/event-stream', ...headers } }, (response) => {
      this.#response = response;
      this.status = response.statusCode ?? 0;
      response.setEncoding('utf8');
      response.on('data', (text: string) => this.#take(text));
      response.on('close', () => {
        this.ended = true;
      });
    });
    request.on('error', () => {
      this.ended = true;
    });
  }

  async open(): Promise<this> {
    await until('the stream has an id', () => this.lastId !== undefined);
    return this;
  }

  pause(): void {
    this.#response?.pause();
  }

  close(): void {
    this.#response?.destroy();
  }

  #take(text: string): void {
    const blocks = (this.#rest + text).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    for (const block of blocks) this.#block(block.split('\n'));
  }

  #block(lines: string[]): void {
    const field = (name: string) =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
    const [id, event, data] = [field('id'), field('event'), field('data')];
    if (lines.some((line) => line.startsWith(':'))) this.comments += 1;
    if (id !== undefined) this.lastId = id;
    if (event !== undefined && data !== undefined) {
      this.events.push({ event, data: JSON.parse(data), ...(id !== undefined && { id }) });
    }
  }
}
