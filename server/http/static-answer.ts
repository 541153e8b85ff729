import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** In order of preference. */
const ENCODINGS = ['br', 'gzip', 'identity'] as const;

/** Half the time of the best quality, and slightly larger. */
const BROTLI_QUALITY = 9;

const brotli = promisify(brotliCompress);
const zip = promisify(gzip);

/** The smallest encoding here that a client's `Accept-Encoding` allows. */
export function encodingFor(accepted: string | undefined): Encoding {
  if (accepted === undefined) return 'identity';
  const weights = new Map<string, number>();
  for (const part of accepted.toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim());
    const weight = parameters.find((text) => text.startsWith('q='));
    weights.set(name, weight === undefined ? 1 : Number(weight.slice(2)));
  }
  const takes = (encoding: Encoding) => weights.get(encoding) ?? weights.get('*') ?? 0;
  return ENCODINGS.find((encoding) => takes(encoding) > 0) ?? 'identity';
}

/** A document that is the same for every client while the hub runs: made, compressed and tagged once. */
export class StaticAnswer {
  readonly #type: string;
  readonly #text: () => string;
  #made: Promise<Made> | undefined;

  /** `text` is called at the first request. */
  constructor(type: string, text: () => string) {
    this.#type = type;
    this.#text = text;
  }

  async send(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    this.#made ??= make(this.#text());
    const { bodies, hash } = await this.#made;
    const encoding = encodingFor(request.headers['accept-encoding']?.toString());
    const tag = `"${hash}-${encoding}"`;
    reply.headers({ ETag: tag, Vary: 'Accept-Encoding', 'Cache-Control': 'no-cache' });
    if (namesTag(request.headers['if-none-match'], tag)) return reply.code(304).send();
    if (encoding !== 'identity') reply.header('Content-Encoding', encoding);
    return reply.type(this.#type).send(bodies[encoding]);
  }
}

async function make(text: string): Promise<Made> {
  const identity = Buffer.from(text);
  const [br, zipped] = await Promise.all([
    brotli(identity, { params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY } }),
    zip(identity),
  ]);
  const hash = createHash('sha256').update(identity).digest('base64url').slice(0, 22);
  return { bodies: { br, gzip: zipped, identity }, hash };
}

type Encoding = (typeof ENCODINGS)[number];

/** Whether `If-None-Match` names this entity tag; by the weak comparison of RFC 9110. */
function namesTag(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  const tags = header.split(',').map((text) => text.trim().replace(/^W\//, ''));
  return tags.includes(tag) || tags.includes('*');
}

interface Made {
  bodies: Readonly<Record<Encoding, Buffer>>;
  hash: string;
}
