import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** The built page, relative to the built hub and to its sources. */
const folders = [
  join(import.meta.dirname, '../../dashboard'),
  join(import.meta.dirname, '../../dist/dashboard'),
];

/** The folder of the built page, or undefined without a build. */
export function builtPage(): string | undefined {
  return folders.find((folder) => existsSync(join(folder, 'built')));
}

/** Programs that ask for JSON at `/` get it; every other client is a browser, or a person with curl. */
const wantsPage = ({ headers: { accept = '' } }: FastifyRequest): boolean => accept.includes('text/html');

/** Whether a request is for the page's own files, which hold no data and so need no token. */
export function isForPage(app: FastifyInstance, request: FastifyRequest): boolean {
  if (!app.hasDecorator('page') || (request.method !== 'GET' && request.method !== 'HEAD')) return false;
  const path = request.url.split('?', 1)[0] ?? '/';
  return path === '/' ? wantsPage(request) : path === '/favicon.svg' || path.startsWith('/assets/');
}

/** A Host header that is safe in a policy. */
const plainHost = /^[A-Za-z0-9.:[\]-]{1,255}$/;

/** Scripts, resources and connections come from this hub only. Older browsers do not count WebSockets as 'self'. */
function policy(host: string | undefined): string {
  const sockets = host !== undefined && plainHost.test(host) ? ` ws://${host} wss://${host}` : '';
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    `connect-src 'self'${sockets}`,
    "img-src 'self' data:",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

function withPageHeaders(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.headers({
    'Content-Security-Policy': policy(request.headers.host),
    'Cross-Origin-Opener-Policy': 'same-origin',
  });
}

/**
 * Answers a browser at `/` with the page, and returns whether it did: for programs, and without a built page, the
 * caller answers.
 */
export function sentPage(app: FastifyInstance, request: FastifyRequest, reply: FastifyReply): boolean {
  if (!app.hasDecorator('page')) return false;
  reply.header('Vary', 'Accept');
  if (!wantsPage(request)) return false;
  withPageHeaders(request, reply).sendFile('index.html');
  return true;
}

/** Serves the page's files from its folder, under `/assets/`; their names contain their content's hash. */
export function pageFiles(app: FastifyInstance, folder: string): void {
  app.decorate('page', folder);
  app.register(fastifyStatic, {
    root: folder,
    // One route a file: an unknown address gets the hub's own 404.
    wildcard: false,
    index: false,
    preCompressed: true,
    globIgnore: ['built', 'index.html*', '**/*.gz', '**/*.br'],
    cacheControl: false,
    setHeaders: (reply, path) => {
      const named = path.includes('/assets/');
      reply.header('Cache-Control', named ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  });
}
