import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { parseJson } from '../../shared/index.ts';
import { Problem } from './problem.ts';
import { wholeBody } from './whole-body.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Why the body is unreadable, if its route accepts that. */
    unreadable: Problem | null;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Bodies are parsed like the frames of a socket, so that the same text gets the same result. An empty body is none. */
export function jsonBodies(app: FastifyInstance): void {
  app.decorateRequest('unreadable', null);
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', async (request: FastifyRequest, payload: IncomingMessage) => {
    const body = await wholeBody(request, payload);
    if (body.length === 0) return undefined;
    const value = readBody(body, request.headers['content-encoding']);
    if (!(value instanceof Problem)) return value;
    if (!request.routeOptions.config.takesUnreadable) throw value;
    request.unreadable = value;
    return undefined;
  });
}

function readBody(body: Buffer, encoding: string | undefined): object | Problem {
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity')
    return new Problem('unsupported_media_type', 'send the body without Content-Encoding');
  try {
    const value = parseJson(utf8.decode(body));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
    return new Problem('bad_json', 'the body is not a JSON object');
  } catch (error) {
    const why = error instanceof SyntaxError ? error.message : 'it is not UTF-8';
    return new Problem('bad_json', `the body is not valid JSON: ${why}`);
  }
}
