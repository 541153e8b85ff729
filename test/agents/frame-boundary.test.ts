import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { FrameBoundary } from '../../server/agents/frame-boundary.ts';
import { frame, OPCODE } from '../support/raw-socket.ts';
import { soon } from '../support/soon.ts';
import { TestHubs } from '../support/test-hub.ts';

const hubs = new TestHubs();
afterEach(() => hubs.close());

/** A masked text frame whose payload shows the bytes of a ping on the wire, and where they stand. */
function frameThatHidesAPing(text: string): { bytes: Buffer; at: number } {
  const payload = Buffer.from(text);
  const head = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 0xff];
  const inPayload = 8;
  const mask = [0x89 ^ (payload[inPayload] ?? 0), 0x80 ^ (payload[inPayload + 1] ?? 0), 1, 2];
  const masked = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  const start = Buffer.from([0x81, 0x80 | (head[0] ?? 0), ...head.slice(1), ...mask]);
  return { bytes: Buffer.concat([start, masked]), at: start.length + inPayload };
}

describe('the boundary of messages', () => {
  it('is known after every chunk, however messages are cut into frames and frames into chunks', () => {
    const length = fc.oneof(fc.nat(20), fc.constantFrom(125, 126, 127, 65_535, 65_536));
    /** A message in one frame or more, with pings between them. */
    const message = fc
      .array(length, { minLength: 1, maxLength: 3 })
      .map((sizes) =>
        sizes.flatMap((size, index) => [
          ...(index > 0 ? [frame(OPCODE.ping)] : []),
          frame(index > 0 ? OPCODE.continuation : OPCODE.text, Buffer.alloc(size), {
            fin: index === sizes.length - 1,
          }),
        ]),
      )
      .map((frames) => Buffer.concat(frames));
    const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 70_000 })), {
      minLength: 1,
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), cuts, (messages, steps) => {
        const bytes = Buffer.concat(messages);
        const ends = new Set(messages.map((_, count) => Buffer.concat(messages.slice(0, count)).length));
        ends.add(bytes.length);
        const boundary = new FrameBoundary();
        const wrong: number[] = [];
        let at = 0;
        for (let step = 0; at < bytes.length; step += 1) {
          if (boundary.here !== ends.has(at)) wrong.push(at);
          const next = Math.min(bytes.length, at + (steps[step % steps.length] ?? 1));
          boundary.passed(bytes.subarray(at, next));
          at = next;
        }
        expect({ wrong, here: boundary.here }).toEqual({ wrong: [], here: true });
      }),
      { numRuns: 100 },
    );
  });

  it('keeps bytes in the middle of a message from being taken for a ping', async () => {
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
});
