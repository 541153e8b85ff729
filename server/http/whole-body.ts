import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { Problem } from './problem.ts';

/** Bytes of a request's body. */
export const BODY_BYTES = 64 * 1024;
/** Each piece costs about as much as a frame, even a tiny one: 16 bytes of a whole body on average. */
const BODY_PIECES = BODY_BYTES / 16;
const FIRST_BYTES = 4 * 1024;

const LARGER = `the body is larger than ${BODY_BYTES} bytes`;
const IN_PIECES = `the body comes in more than ${BODY_PIECES} pieces: send larger ones`;
const tooLarge = (why: string): Problem => new Problem('too_large', why);

/**
 * Reads a body into one buffer of its size. A list of its pieces would take a hundred times the bytes of a body that
 * comes byte by byte (`Transfer-Encoding: chunked`).
 */
export function wholeBody(request: FastifyRequest, payload: IncomingMessage): Promise<Buffer> {
  const announced = Number(request.headers['content-length'] ?? Number.NaN);
  return new Promise((resolve, reject) => {
    if (announced > BODY_BYTES) {
      reject(tooLarge(LARGER));
      return;
    }
    let body = Buffer.alloc(Number.isNaN(announced) ? FIRST_BYTES : announced);
    let length = 0;
    let pieces = 0;
    const end = (problem?: Problem): void => {
      payload.off('data', more).off('end', whole).off('error', broken).off('close', broken);
      if (problem) reject(problem);
      else resolve(body.subarray(0, length));
    };
    const more = (piece: Buffer): void => {
      pieces += 1;
      const needed = length + piece.length;
      if (needed > BODY_BYTES || pieces > BODY_PIECES) {
        end(tooLarge(needed > BODY_BYTES ? LARGER : IN_PIECES));
        return;
      }
      if (needed > body.length) {
        const larger = Buffer.alloc(Math.min(BODY_BYTES, Math.max(needed, 2 * body.length)));
        body.copy(larger, 0, 0, length);
        body = larger;
      }
      piece.copy(body, length);
      length = needed;
    };
    const whole = (): void => end();
    const broken = (): void => end(new Problem('bad_json', 'the body ended before it was whole'));
    payload.on('data', more).on('end', whole).on('error', broken).on('close', broken);
    payload.resume();
  });
}
