import { isUtf8 } from 'node:buffer';

/** The first byte of a text frame that is final and uses no extension (RFC 6455, section 5.2). */
const FINAL_TEXT = 0x81;
const MASKED = 0x80;
const MASK_BYTES = 4;
/** The length in the second byte, which stands for a length in the two bytes after it. */
const IN_TWO_BYTES = 126;

/**
 * The text of a chunk that is one message: a single frame, whole and alone. Nearly all that agents send beside
 * pings is, and needs no parser to be read. Nothing for any other chunk, also for one that breaks the protocol: ws
 * judges it. To be asked only between messages.
 */
export function wholeText(chunk: Buffer): Buffer | undefined {
  const second = chunk[1] ?? 0;
  if (chunk[0] !== FINAL_TEXT || second < MASKED) return undefined;
  const short = second - MASKED;
  if (short > IN_TWO_BYTES || (short === IN_TWO_BYTES && chunk.length < 4)) return undefined;
  const mask = short === IN_TWO_BYTES ? 4 : 2;
  const length = short === IN_TWO_BYTES ? chunk.readUInt16BE(2) : short;
  if (chunk.length !== mask + MASK_BYTES + length) return undefined;
  const text = unmasked(chunk, mask);
  return isUtf8(text) ? text : undefined;
}

/** A copy of what follows the mask; the chunk itself may still be needed. */
function unmasked(chunk: Buffer, mask: number): Buffer {
  const payload = Buffer.from(chunk.subarray(mask + MASK_BYTES));
  for (let at = 0; at < payload.length; at += 1)
    payload[at] = (payload[at] ?? 0) ^ (chunk[mask + (at % MASK_BYTES)] ?? 0);
  return payload;
}
