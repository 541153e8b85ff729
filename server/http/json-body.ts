import type { FastifyInstance } from 'fastify';
import { parseJson } from '../../shared/index.ts';
import { Problem } from './problem.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Why the body could not be read, where its route takes it all the same. */
    unreadable: Problem | null;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Bodies are read as the frames of a socket are, so that the same text gets the same verdict. No body is none. */
export function jsonBodies(app: FastifyInstance): void {
  app.decorateRequest('unreadable', null);
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (body.length === 0) {
      done(null, undefined);
      return;
    }
    const value = readBody(body);
    if (!(value instanceof Problem)) {
      done(null, value);
    } else if (request.routeOptions.config.takesUnreadable) {
      request.unreadable = value;
      done(null, undefined);
    } else {
      done(value, undefined);
    }
  });
}

function readBody(body: string | Buffer): object | Problem {
  try {
    const value = parseJson(typeof body === 'string' ? body : utf8.decode(body));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
    return new Problem('bad_json', 'the body is not a JSON object');
  } catch (error) {
    const why = error instanceof SyntaxError ? error.message : 'it is not UTF-8';
    return new Problem('bad_json', `the body is not valid JSON: ${why}`);
  }
}
