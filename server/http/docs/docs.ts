import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { stringify } from 'yaml';
import { VERSION } from '../../runtime/version.ts';
import { StaticAnswer } from '../static-answer.ts';

const description = `The fleet for programs, and for agents that hold no socket. Nodes are read from memory; a
reply that reports a write has waited until this hub shows it. Errors under /api/v1 are problem details (RFC 9457) with a
stable \`code\`; the compatible protocols keep the shapes of their own documents. Sockets are described at /asyncapi.json.`;

const token = (who: string) => ({ type: 'http', scheme: 'bearer', description: who }) as const;

/**
 * The sources that the pages of `/docs` may load; nothing from elsewhere, and no other page may show them in a frame.
 */
const policy = [
  "default-src 'self'",
  "img-src 'self' data:",
  "style-src 'self' 'unsafe-inline'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** `GET /openapi.json`, and the same as a page at `/docs`. Must be registered before the routes that it describes. */
export function docsRoutes(app: FastifyInstance): void {
  const json = new StaticAnswer('application/json; charset=utf-8', () => JSON.stringify(app.swagger()));
  const yaml = new StaticAnswer('application/yaml; charset=utf-8', () => stringify(app.swagger()));
  const sendJson = (request: FastifyRequest, reply: FastifyReply) => json.send(request, reply);
  /** The plugin would generate the whole document at each request. */
  const once: Readonly<Record<string, typeof sendJson>> = {
    '/docs/json': sendJson,
    '/docs/yaml': (request, reply) => yaml.send(request, reply),
  };
  void app.register(swagger, {
    // Undescribed routes are not part of the API: the page's files, and this documentation.
    transform: ({ url, route }) => ({ url, schema: route.config?.documented ?? { hide: true } }),
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Rollcall', version: VERSION, description, license: { name: 'MIT', identifier: 'MIT' } },
      tags: [
        { name: 'Nodes', description: 'The fleet as it is' },
        { name: 'Events', description: 'What changed' },
        { name: 'Agents', description: 'Registering and beating without a socket' },
        { name: 'Hub', description: 'Health, metrics, documentation' },
        { name: 'Compatible protocols', description: 'Agents that were written for other control planes' },
      ],
      components: {
        securitySchemes: {
          read: token('One of DASHBOARD_TOKENS or ADMIN_TOKENS'),
          agent: token('One of AGENT_TOKENS'),
          admin: token('One of ADMIN_TOKENS'),
        },
      },
    },
  });
  void app.register(async (scope) => {
    // The API's form is no secret, and a browser that opens the page has no token to send.
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, access: 'open' };
      route.handler = once[route.url] ?? route.handler;
    });
    // The page finds its files only from its folder's own address, and a proxy may have put that below another path.
    scope.addHook('onRequest', async (request, reply) => {
      const [path = '', query] = request.url.split('?', 2);
      if (path === '/docs') return reply.redirect('docs/');
      if (path === '/docs/static/index.html') return reply.redirect('../');
      if (path === '/docs/' && query !== undefined) return reply.redirect('./');
    });
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: policy,
      uiConfig: { docExpansion: 'list', tryItOutEnabled: false },
      theme: { title: 'Rollcall API' },
    });
    scope.get('/openapi.json', sendJson);
  });
}
