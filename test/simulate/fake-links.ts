import type { Ended } from '../../agent/session/next-step.ts';
import { type Register, registerSchema } from '../../shared/index.ts';
import type { AgentContext } from '../../simulate/agent-context.ts';
import { Disruptions } from '../../simulate/disruptions.ts';
import type { Dial, DialOptions, Link, LinkListener } from '../../simulate/link.ts';
import { SocketAgent } from '../../simulate/socket-agent.ts';
import { Tally } from '../../simulate/tally.ts';
import { Wheel } from '../../simulate/wheel.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** The frames that a client wrote: their opcodes, and texts unmasked. */
function framesOf(bytes: Buffer): Array<{ opcode: number; text: string }> {
  const frames: Array<{ opcode: number; text: string }> = [];
  for (let at = 0; at < bytes.length; ) {
    const short = (bytes[at + 1] ?? 0) & 0x7f;
    const length = short === 126 ? bytes.readUInt16BE(at + 2) : short;
    const mask = at + (short === 126 ? 4 : 2);
    const payload = bytes.subarray(mask + 4, mask + 4 + length);
    const text = Buffer.from(payload.map((byte, n) => byte ^ (bytes[mask + (n % 4)] ?? 0))).toString();
    frames.push({ opcode: (bytes[at] ?? 0) & 0x0f, text });
    at = mask + 4 + length;
  }
  return frames;
}

/** A link that goes nowhere: the test is the hub. */
export class FakeLink implements Link {
  readonly written: Array<{ opcode: number; text: string }> = [];
  goodbyeCode: number | undefined;
  wasReset = false;
  paused = false;

  constructor(
    readonly options: DialOptions,
    readonly listener: LinkListener,
  ) {}

  write(bytes: Buffer): void {
    this.written.push(...framesOf(bytes));
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  goodbye(code: number): void {
    this.goodbyeCode = code;
  }

  reset(): void {
    this.wasReset = true;
  }

  get pings(): number {
    return this.written.filter(({ opcode }) => opcode === 9).length;
  }

  get texts(): Array<{ type: string }> {
    return this.written
      .filter(({ opcode }) => opcode === 1)
      .map(({ text }): { type: string } => JSON.parse(text));
  }

  get register(): Register {
    return registerSchema.parse(this.texts[0]);
  }

  say(message: object): void {
    this.listener.text(JSON.stringify(message));
  }

  end(how: Ended): void {
    this.listener.ended(how);
  }
}

/** One agent over fake links, under a fake clock. Random numbers are 0.5, or what the test sets. */
export function oneAgent({ statsShare = 0, index = 0 } = {}) {
  const clock = new FakeClock();
  const wheel = new Wheel(clock);
  const links: FakeLink[] = [];
  const world = { random: 0.5 };
  const dial: Dial = (options, listener) => {
    const link = new FakeLink(options, listener);
    links.push(link);
    return link;
  };
  const context: AgentContext = {
    ...{ clock, wheel, statsShare, random: () => world.random },
    ...{ tally: new Tally(), disruptions: new Disruptions() },
    site: { prefix: 'sim', racks: 4 },
    hubUrls: ['ws://hub.test/agent'],
    statsBeats: [Buffer.from([0x89, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0])],
    storeAheadMs: Number.NEGATIVE_INFINITY,
  };
  const agent = new SocketAgent(context, { index, dial });
  wheel.start();
  const last = (): FakeLink => {
    const link = links.at(-1);
    if (!link) throw new Error('nothing was dialed');
    return link;
  };
  const accept = (heartbeat = { intervalMs: 1_000, timeoutMs: 3_000 }): void => {
    last().listener.opened();
    last().say({ type: 'registered', hubTime: new Date(clock.wallMs()).toISOString(), heartbeat });
  };
  return { agent, clock, context, links, last, accept, world };
}
