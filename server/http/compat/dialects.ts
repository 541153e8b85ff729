import type { FastifyInstance } from 'fastify';
import type { Access } from '../../edge/access.ts';
import type { DialectName, DialectTiming, OpenDialects } from '../../edge/dialects.ts';
import { notServed } from '../../edge/serves.ts';
import type { HttpFleet } from '../../fleet/ports.ts';
import { type DialectFace, describe } from '../operation.ts';
import { connectRoutes } from './connect.ts';
import { answer, type Dialect } from './dialect.ts';
import { fleetManagerRoutes } from './fleet-manager.ts';
import { gameHostRoutes } from './game-host.ts';
import { gpuNodeRoutes } from './gpu-node.ts';

export interface DialectOptions {
  /** The dialects that are on; the paths of others are 404. */
  enabled: readonly DialectName[];
  open: OpenDialects;
  timing: DialectTiming;
}

const faces: Record<
  DialectName,
  { routes: (app: FastifyInstance, dialect: Dialect) => void; error: DialectFace['error'] }
> = {
  connect: connectRoutes,
  'gpu-node': gpuNodeRoutes,
  'fleet-manager': fleetManagerRoutes,
  'game-host': gameHostRoutes,
};

/** The routes of every dialect that is on. */
export function dialectRoutes(
  app: FastifyInstance,
  { fleet, access, enabled, open, timing }: DialectOptions & { fleet: HttpFleet; access: Access },
): void {
  for (const name of enabled) {
    const { routes, error } = faces[name];
    const face: DialectFace = { name, error, opensTo: (address) => open.get(name)?.has(address) ?? false };
    routes(app, {
      fleet,
      access,
      timing: timing[name],
      route: (operation) => {
        const wrongRole = answer(
          'This hub serves others only',
          error(421, 'not_served', notServed('agents')),
        );
        const errors = { 421: wrongRole, ...operation.errors };
        const { config } = describe({ ...operation, errors, tag: 'Compatible protocols' });
        return { config: { ...config, dialect: face } };
      },
    });
  }
}
