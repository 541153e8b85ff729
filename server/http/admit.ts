import type { FastifyInstance } from 'fastify';
import { saysKnown } from '../edge/access.ts';
import { type Admission, OVERLOADS } from '../edge/admission.ts';
import type { Clock } from '../runtime/clock.ts';
import { Problem } from './problem.ts';

/** Registrations by requests pass the same admission as agents' sockets, from their header to their answer. */
export function admitRegistrations(app: FastifyInstance, admission: Admission, clock: Clock): void {
  const ended = () => admission.ended();
  app.addHook('onRequest', (request, reply, next) => {
    if (request.routeOptions.config.registers !== true) {
      next();
      return;
    }
    const known = saysKnown(request.raw);
    const now = clock.now();
    const reason = admission.overload(known, now);
    if (reason) {
      admission.refused[reason] += 1;
      next(new Problem('busy', OVERLOADS[reason], undefined, admission.retryAfterMs(now)));
      return;
    }
    admission.began(known);
    reply.raw.once('close', ended);
    next();
  });
}
