import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wholeText } from '../../server/agents/whole-text.ts';
import { frame, OPCODE } from '../support/raw-socket.ts';

const LONGEST = 65_535;
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.constantFrom(0, 125, 126, 127, LONGEST).map((length) => 'x'.repeat(length)),
);

describe('a chunk that is one message', () => {
  it('is read as it was written, and left as it is', () => {
    fc.assert(
      fc.property(text, (written) => {
        const bytes = frame(OPCODE.text, written);
        const before = Buffer.from(bytes);
        expect(wholeText(bytes)?.toString()).toBe(written);
        expect(bytes.equals(before)).toBe(true);
      }),
    );
  });

  it('is not one where a byte is missing, or more than one came', () => {
    fc.assert(
      fc.property(text, fc.nat(), (written, cut) => {
        const bytes = frame(OPCODE.text, written);
        expect(wholeText(bytes.subarray(0, cut % bytes.length))).toBeUndefined();
        expect(wholeText(Buffer.concat([bytes, frame(OPCODE.ping)]))).toBeUndefined();
        expect(wholeText(Buffer.concat([bytes, bytes]))).toBeUndefined();
      }),
    );
  });

  it.each([
    ['a fragment', frame(OPCODE.text, 'x', { fin: false })],
    ['the end of a message', frame(OPCODE.continuation, 'x')],
    ['a frame that is not masked', frame(OPCODE.text, 'xxxx', { masked: false })],
    ['a reserved bit', frame(OPCODE.text, 'x', { reserved: 4 })],
    ['binary data', frame(OPCODE.binary, 'x')],
    ['a ping', frame(OPCODE.ping)],
    ['a length in eight bytes', frame(OPCODE.text, 'x'.repeat(LONGEST + 1))],
    ['a length that is not its own', frame(OPCODE.text, 'x', { claimedLength: 2 })],
    ['no UTF-8', frame(OPCODE.text, Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]))],
    ['nothing', Buffer.alloc(0)],
  ])('%s is left to ws', (_name, bytes) => {
    expect(wholeText(bytes)).toBeUndefined();
  });
});
