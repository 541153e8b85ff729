import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { type Channel, type ChannelOwner, Handshakes } from '../../server/agents/channel.ts';
import { CutFrame, LeanChannel, readFrame, textFrame } from '../../server/agents/lean-channel.ts';
import { LIMITS } from '../../shared/index.ts';
import { closeFrame, frame, OPCODE } from '../support/raw-socket.ts';
import { soon } from '../support/soon.ts';
import { TestHubs } from '../support/test-hub.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

const LONGEST = 65_535;
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.constantFrom(0, 125, 126, 127, LONGEST, LONGEST + 1).map((length) => 'x'.repeat(length)),
);

/** The network socket of a server, without a network: what the server writes is kept. */
class Wire extends Duplex {
  readonly written: Buffer[] = [];

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk);
    done();
  }
}

/** What was told of a socket, in order. */
type Told = Array<[what: string, ...unknown[]]>;

/** Answers pings as an agent's connection does, and keeps what comes. */
class Owner implements ChannelOwner {
  readonly told: Told = [];
  readonly channel: Channel;

  constructor(open: (owner: ChannelOwner) => Channel) {
    this.channel = open(this);
  }

  pinged(): boolean {
    this.told.push(['ping']);
    return this.channel.isOpen;
  }

  ponged(): void {
    this.told.push(['pong']);
  }

  received(data: Buffer, isBinary: boolean): void {
    this.told.push([isBinary ? 'binary' : 'text', data.toString('hex')]);
  }

  closed(code: number, reason: Buffer): void {
    this.told.push(['close', code, reason.toString()]);
  }

  broken(error: Error): void {
    this.told.push(['error', error.message]);
  }
}

/** The same of ws itself. */
class Plain extends WebSocket {
  readonly told: Told = [];

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    const [first, second] = args;
    if (event === 'ping') {
      this.told.push(['ping']);
      if (this.readyState === WebSocket.OPEN) this.pong(first);
    } else if (event === 'pong') this.told.push(['pong']);
    else if (event === 'message')
      this.told.push([second ? 'binary' : 'text', Buffer.isBuffer(first) ? first.toString('hex') : first]);
    else if (event === 'close') this.told.push(['close', first, String(second)]);
    else if (event === 'error') this.told.push(['error', first instanceof Error ? first.message : first]);
    return super.emit(event, ...args);
  }
}

/** An agent as the tests see it, whichever reads its frames. */
interface Agent {
  told: Told;
  close(code: number, reason: string): void;
  terminate(): void;
}

type Kind = 'lean' | 'ws';

/** A socket after its handshake, and its wire. */
function opened(kind: Kind): { agent: Agent; wire: Wire } {
  const request = new IncomingMessage(new Socket());
  request.method = 'GET';
  request.headers = {
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  };
  const wire = new Wire();
  const agents: Agent[] = [];
  if (kind === 'lean') {
    new Handshakes().accept(request, wire, Buffer.alloc(0), ({ stream, head, frameOptions }) => {
      const owner = new Owner((of) => new LeanChannel(of, stream, head, frameOptions));
      const { told, channel } = owner;
      agents.push({
        told,
        close: (code, reason) => channel.close(code, reason),
        terminate: () => channel.terminate(),
      });
    });
  } else {
    const server = new WebSocketServer({
      noServer: true,
      WebSocket: Plain,
      autoPong: false,
      clientTracking: false,
      maxPayload: LIMITS.frameBytes,
      maxFragments: 16,
    });
    server.handleUpgrade(request, wire, Buffer.alloc(0), (plain) => {
      plain.on('error', () => {});
      agents.push(plain);
    });
  }
  const [agent] = agents;
  if (!agent) throw new Error('the handshake failed');
  wire.written.splice(0);
  return { agent, wire };
}

/** What a socket of this kind tells and answers where these bytes come, cut into chunks so. */
async function fed(kind: Kind, bytes: Buffer, cuts: readonly number[]) {
  const { agent, wire } = opened(kind);
  await turn();
  let at = 0;
  for (let step = 0; at < bytes.length; step += 1) {
    const next = Math.min(bytes.length, at + (cuts[step % cuts.length] ?? 1));
    // A copy: ws unmasks in place.
    if (!wire.destroyed) wire.push(Buffer.from(bytes.subarray(at, next)));
    at = next;
    if (step < 20) await turn();
  }
  wire.push(null);
  await turn();
  wire.destroy();
  for (let waited = 0; waited < 10; waited += 1) await turn();
  return { told: agent.told, answered: Buffer.concat(wire.written).toString('hex') };
}

describe('a socket that reads frames by itself', () => {
  const short = fc.string({ unit: 'grapheme', maxLength: 20 });
  const usual = fc.oneof(
    { weight: 4, arbitrary: fc.constant(frame(OPCODE.ping, '')) },
    { weight: 4, arbitrary: text.map((written) => frame(OPCODE.text, written)) },
    { weight: 2, arbitrary: short.map((written) => frame(OPCODE.ping, written)) },
  );
  const unusual = fc.oneof(
    short.map((written) => frame(OPCODE.pong, written)),
    short.map((written) => frame(OPCODE.binary, written)),
    // A message in fragments, with a ping amid it.
    fc
      .array(short, { minLength: 1, maxLength: 4 })
      .map((parts) =>
        Buffer.concat([
          frame(OPCODE.text, 'begun', { fin: false }),
          frame(OPCODE.ping),
          ...parts.map((part, index) =>
            frame(OPCODE.continuation, part, { fin: index === parts.length - 1 }),
          ),
        ]),
      ),
    fc.constantFrom(
      closeFrame(1000, 'bye'),
      closeFrame(),
      frame(OPCODE.ping, 'x'.repeat(126)),
      frame(OPCODE.ping, '', { masked: false }),
      frame(OPCODE.ping, '', { fin: false }),
      frame(OPCODE.text, 'xxxx', { masked: false }),
      frame(OPCODE.text, 'x', { reserved: 4 }),
      frame(OPCODE.text, 'x', { claimedLength: 2 }),
      frame(OPCODE.text, 'x', { claimedLength: 2 ** 40 }),
      frame(OPCODE.text, Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])),
      frame(3, '{}'),
    ),
  );
  const frames = fc
    .array(fc.oneof({ weight: 5, arbitrary: usual }, { weight: 1, arbitrary: unusual }), { maxLength: 8 })
    .map((several) => Buffer.concat(several));
  const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 70_000 })), {
    minLength: 1,
    maxLength: 6,
  });

  it('tells and answers what ws does, whatever comes, and however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(frames, cuts, async (bytes, steps) => {
        expect(await fed('lean', bytes, steps)).toEqual(await fed('ws', bytes, steps));
      }),
      { numRuns: 300 },
    );
  });

  it('closes as ws does, also amid a frame that has come in part', async () => {
    const closes = async (kind: Kind) => {
      const { agent, wire } = opened(kind);
      await turn();
      const begun = frame(OPCODE.text, 'x'.repeat(200));
      wire.push(Buffer.from(begun.subarray(0, 150)));
      await turn();
      agent.close(4408, 'registered elsewhere');
      await turn();
      wire.push(Buffer.from(begun.subarray(150)));
      wire.push(closeFrame(4408));
      wire.push(null);
      for (let waited = 0; waited < 10; waited += 1) await turn();
      return { told: agent.told, answered: Buffer.concat(wire.written).toString('hex') };
    };
    expect(await closes('lean')).toEqual(await closes('ws'));
  });

  it.each(['terminate', 'close'] as const)('%s of one that is gone does nothing', async (verb) => {
    const { agent, wire } = opened('lean');
    wire.destroy(new Error('reset'));
    await soon(() => agent.told.length > 0);
    expect(agent.told).toEqual([['close', 1006, '']]);
    if (verb === 'close') agent.close(1000, '');
    else agent.terminate();
    await pause(5);
    expect(agent.told).toHaveLength(1);
  });

  it('leaves its network socket to ws once it is ended by the hub', async () => {
    const { agent, wire } = opened('lean');
    agent.terminate();
    await soon(() => wire.destroyed && agent.told.length > 0);
    expect(agent.told).toEqual([['close', 1006, '']]);
  });
});

/** A masked text frame whose payload shows the bytes of a ping on the wire, and where they stand. */
function frameThatHidesAPing(written: string): { bytes: Buffer; at: number } {
  const payload = Buffer.from(written);
  const head = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 0xff];
  const inPayload = 8;
  const mask = [0x89 ^ (payload[inPayload] ?? 0), 0x80 ^ (payload[inPayload + 1] ?? 0), 1, 2];
  const masked = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  const start = Buffer.from([0x81, 0x80 | (head[0] ?? 0), ...head.slice(1), ...mask]);
  return { bytes: Buffer.concat([start, masked]), at: start.length + inPayload };
}

describe('a frame', () => {
  it('in the middle of a message is not taken for a ping', async () => {
    const hub = await hubs.start();
    const raw = await hub.rawAgent();
    const node = { nodeId: 'raw', hostname: 'raw' };
    const instanceId = 'f7a9b5a4-3c0e-4d5e-9a53-0f9b7b3b8b11';
    const { bytes, at } = frameThatHidesAPing(
      JSON.stringify({ type: 'register', protocol: 1, instanceId, node }),
    );
    for (const part of [bytes.subarray(0, at), bytes.subarray(at, at + 6), bytes.subarray(at + 6)]) {
      raw.write(part);
      // Each part is to come alone; together they would prove less.
      await pause(30);
    }
    expect(JSON.parse(String((await raw.nextFrame()).payload))).toMatchObject({ type: 'registered' });
    raw.write(frame(OPCODE.ping));
    expect(await raw.nextFrame()).toMatchObject({ opcode: OPCODE.pong });
    await soon(() => hub.node('raw')?.status === 'online');
    raw.destroy();
  });

  it('is read as it was written, and left as it is', () => {
    const upTo64K = text.filter((written) => Buffer.byteLength(written) <= LONGEST);
    fc.assert(
      fc.property(upTo64K, fc.nat(9), (written, before) => {
        const bytes = Buffer.concat([Buffer.alloc(before), frame(OPCODE.text, written), Buffer.alloc(3)]);
        const copy = Buffer.from(bytes);
        const payload = Buffer.from(written);
        expect(readFrame(bytes, before)).toEqual({ kind: 'text', payload, end: bytes.length - 3 });
        expect(bytes.equals(copy)).toBe(true);
      }),
    );
  });

  it('that came in part says how much it needs', () => {
    const bytes = frame(OPCODE.text, 'x'.repeat(300));
    expect([0, 1, 2, 3, 4, 100].map((length) => readFrame(bytes.subarray(0, length + 1), 0))).toEqual(
      [2, 4, 4, bytes.length, bytes.length, bytes.length].map((need) => ({ need })),
    );
  });

  it('that comes byte by byte is put together, with what comes after it', () => {
    const bytes = frame(OPCODE.text, 'x'.repeat(5_000));
    const cut = new CutFrame(bytes.subarray(0, 4), bytes.length);
    for (let at = 4; at < bytes.length - 1; at += 1)
      expect(cut.with(bytes.subarray(at, at + 1))).toBeUndefined();
    const next = frame(OPCODE.ping);
    const whole = Buffer.concat([bytes, next]);
    expect(cut.with(Buffer.concat([bytes.subarray(-1), next]))?.equals(whole)).toBe(true);
  });

  it('of the hub is a whole one', () => {
    fc.assert(
      fc.property(text, (written) => {
        expect(textFrame(written).equals(frame(OPCODE.text, written, { masked: false }))).toBe(true);
      }),
    );
  });
});
