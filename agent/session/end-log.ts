import { CLOSE } from '../../shared/index.ts';
import type { SessionEnd } from './agent-events.ts';
import type { AgentLogger } from './log.ts';

/** Logs how a session, or an attempt at the first one, ended: loudly where only a person can help. */
export function logEnd(logger: AgentLogger, ids: object, end: SessionEnd, hadSession: boolean): void {
  const { code, status, reason, next, retryInMs } = end;
  const fields = {
    ...ids,
    reason,
    ...(code !== undefined && { code }),
    ...(status !== undefined && { status }),
    ...(retryInMs !== null && { retryInMs: Math.round(retryInMs) }),
  };
  if (next === 'stop') logger.warn(fields, 'This node was removed: the agent stops');
  else if (code === CLOSE.superseded.code && next === 'back-off') {
    logger.warn(fields, 'Another agent registered as this node: is this machine a clone?');
  } else if (next === 'back-off') {
    logger.error(fields, 'The hub refuses this agent: check its token, its settings and its version');
  } else {
    logger.warn(fields, hadSession ? 'Lost the hub, will re-register' : 'Cannot register, will retry');
  }
}
