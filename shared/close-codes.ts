/** What an agent does after its socket closed. */
export type AfterClose =
  /** Reconnect with the ordinary backoff. */
  | 'reconnect'
  /** Reconnect, spread over a few seconds: everyone on that hub was told the same. */
  | 'reconnect-spread'
  /** Wait the `retryAfterMs` that stands in the close reason, then reconnect. */
  | 'wait'
  /** Back off to the maximum: the same again would fail the same way. */
  | 'back-off'
  /** Stop: this node was removed on purpose. */
  | 'stop';

export interface CloseCode {
  code: number;
  name: string;
  reason: string;
  agent: AfterClose;
}

/** Every close code that the hub sends to agents, and what the agent does next. */
export const CLOSE = {
  restarting: { code: 1012, name: 'restarting', reason: 'the hub restarts', agent: 'reconnect-spread' },
  busy: { code: 1013, name: 'busy', reason: 'the hub is busy', agent: 'wait' },
  protocol: { code: 4400, name: 'protocol', reason: 'the protocol was broken', agent: 'back-off' },
  unauthenticated: {
    code: 4401,
    name: 'unauthenticated',
    reason: 'the token is missing or wrong',
    agent: 'back-off',
  },
  forbidden: { code: 4403, name: 'forbidden', reason: 'not allowed', agent: 'back-off' },
  removed: { code: 4404, name: 'removed', reason: 'this node was removed', agent: 'stop' },
  unregistered: { code: 4408, name: 'unregistered', reason: 'did not register in time', agent: 'reconnect' },
  superseded: {
    code: 4409,
    name: 'superseded',
    reason: 'a newer session of this node took over',
    agent: 'back-off',
  },
  fleetFull: {
    code: 4503,
    name: 'fleet_full',
    reason: 'the fleet holds as many nodes as it may (MAX_NODES)',
    agent: 'back-off',
  },
} as const satisfies Record<string, CloseCode>;

/** Superseded by a registration of the same start of the agent, such as an earlier attempt that arrived later. */
export const SUPERSEDED_BY_ITSELF: CloseCode = {
  ...CLOSE.superseded,
  reason: 'another registration of this same agent took over',
};

/** The agent's own goodbye: closing with one of these, its frame first, means that it stopped on purpose. */
export const GOODBYE_CODES: ReadonlySet<number> = new Set([1000, 1001]);

const byCode = new Map<number, CloseCode>(Object.values(CLOSE).map((entry) => [entry.code, entry]));

/** What an agent does after a close with this code; an unknown code, or none (1005, 1006), means reconnect. */
export function afterClose(code: number): AfterClose {
  return byCode.get(code)?.agent ?? 'reconnect';
}

/** The reason text of a 1013 close; `code` says why, where it is not the hub that is busy. */
export function busyReason(retryAfterMs: number, code?: string): string {
  return JSON.stringify({ retryAfterMs: Math.round(retryAfterMs), ...(code !== undefined && { code }) });
}

/** The `retryAfterMs` of a 1013 close's reason, or undefined where it has none. */
export function readRetryAfterMs(reason: string): number | undefined {
  const digits = /"retryAfterMs"\s*:\s*(\d{1,9})/.exec(reason)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
