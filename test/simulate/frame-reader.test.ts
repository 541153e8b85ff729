import { describe, expect, it } from 'vitest';
import { FrameReader } from '../../simulate/frame-reader.ts';

function read(chunks: readonly Buffer[]): unknown[] {
  const heard: unknown[] = [];
  const reader = new FrameReader({
    text: (text) => heard.push({ text }),
    ping: (payload) => heard.push({ ping: payload.toString() }),
    pong: () => heard.push('pong'),
    close: (code, reason) => heard.push({ close: code, reason }),
    broken: (why) => heard.push({ broken: why }),
  });
  for (const chunk of chunks) reader.push(chunk);
  return heard;
}

/** A frame as a server sends it: without a mask. */
function frame(first: number, payload: string): Buffer {
  const body = Buffer.from(payload);
  if (body.length < 126) return Buffer.concat([Buffer.from([first, body.length]), body]);
  if (body.length < 65_536) {
    return Buffer.concat([Buffer.from([first, 126, body.length >> 8, body.length & 255]), body]);
  }
  const head = Buffer.alloc(10);
  head[0] = first;
  head[1] = 127;
  head.writeBigUInt64BE(BigInt(body.length), 2);
  return Buffer.concat([head, body]);
}

const closing = Buffer.from([0x88, 4, 0x03, 0xf4, 0x6f, 0x6b]);
const long = 'ü'.repeat(200);
const longest = 'x'.repeat(70_000);
const stream = Buffer.concat([
  frame(0x81, '{"a":1}'),
  frame(0x8a, ''),
  frame(0x81, long),
  frame(0x89, 'hi'),
  frame(0x01, 'in '),
  frame(0x8a, ''),
  frame(0x00, 'three '),
  frame(0x80, 'parts'),
  frame(0x81, longest),
  closing,
  frame(0x81, 'after the end'),
]);
const heard = [
  { text: '{"a":1}' },
  'pong',
  { text: long },
  { ping: 'hi' },
  'pong',
  { text: 'in three parts' },
  { text: longest },
  { close: 1012, reason: 'ok' },
];

describe('the frames of a hub', () => {
  it.each([1, 2, 3, 5, 7, 64, 1_000, 100_000])('are read in pieces of %i bytes', (size) => {
    const chunks = Array.from({ length: Math.ceil(stream.length / size) }, (_, n) =>
      stream.subarray(n * size, (n + 1) * size),
    );
    expect(read(chunks)).toEqual(heard);
  });

  it.each([
    ['an extension', Buffer.from([0xc1, 0])],
    ['masked', Buffer.from([0x81, 0x80])],
    ['type 3', Buffer.from([0x83, 0])],
    ['type 2', Buffer.from([0x82, 0])],
    ['out of order', frame(0x80, 'the end of nothing')],
    ['out of order', Buffer.concat([frame(0x01, 'one'), frame(0x81, 'two')])],
    ['too large', Buffer.from([0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0])],
    ['too large', Buffer.concat(Array.from({ length: 5 }, (_, n) => frame(n ? 0 : 1, longest)))],
  ])('that are %s break the connection, and nothing is read after them', (why, bytes) => {
    expect(read([bytes, frame(0x8a, '')])).toEqual([{ broken: expect.stringContaining(why) }]);
  });

  it('a close without a code is 1005', () => {
    expect(read([Buffer.from([0x88, 0])])).toEqual([{ close: 1005, reason: '' }]);
  });
});
