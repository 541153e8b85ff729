import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Slices } from '../runtime/slices.ts';

/** The size of one piece; the next is made once the client took most of it. */
const PIECE_CHARACTERS = 64 * 1024;

/** Pieces of a JSON text, gathered until they are worth a write. Each is made in a slice for readers. */
async function* gathered(parts: AsyncIterable<string>, slices: Slices): AsyncGenerator<string, void> {
  let piece = '';
  for await (const part of parts) {
    piece += part;
    if (piece.length < PIECE_CHARACTERS) continue;
    yield piece;
    piece = '';
    await slices.forReader();
  }
  yield piece;
}

/**
 * Answers with a JSON text that may be long: it is made piece by piece, in slices between other work, and no faster
 * than the client reads. A short one is sent as a whole.
 */
export async function sendLong(
  reply: FastifyReply,
  slices: Slices,
  parts: AsyncIterable<string>,
): Promise<FastifyReply> {
  await slices.forReader();
  const pieces = gathered(parts, slices);
  const first = await pieces.next();
  const second = first.done ? first : await pieces.next();
  reply.type('application/json; charset=utf-8');
  const start = first.value ?? '';
  if (second.done) return reply.send(start);
  const rest = async function* (): AsyncGenerator<string, void> {
    yield start;
    yield second.value;
    yield* pieces;
  };
  return reply.send(Readable.from(rest(), { highWaterMark: 1 }));
}

/** `{"name":[…],…more}`: a list, and fields that are known once the list is written. */
export async function* listText(
  name: string,
  items: AsyncIterable<string> | Iterable<string>,
  more: () => object = () => ({}),
): AsyncGenerator<string, void> {
  let before = `{${JSON.stringify(name)}:[`;
  for await (const item of items) {
    yield before + item;
    before = ',';
  }
  if (before !== ',') yield before;
  const rest = JSON.stringify(more()).slice(1);
  yield rest === '}' ? ']}' : `],${rest}`;
}
