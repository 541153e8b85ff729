import { type EndCode, FleetClient, SUMMARIES } from '../../client/index.ts';
import type { Filter, NodeSummary } from '../../shared/index.ts';
import type { HubAccess } from '../hub-access.ts';
import { CommandFailure, EXIT } from './failure.ts';
import { chooseNode, severalNodes } from './node-reference.ts';

export interface WaitRequest extends HubAccess {
  /** The way to the hub, where it is not direct. */
  agent: object | undefined;
  /** An id, a host name, or the beginning of one. */
  node: string;
  /** A status, or `removed`. */
  wanted: string;
  timeoutMs: number;
}

/** The longest pauses before a hub that is away is asked again begin at this: a script waits for it. */
const FIRST_PAUSE_MS = 200;

/**
 * Waits until a node has a status, through lost connections and restarts of the hub. Resolves with what the node is at
 * the end. Throws a `CommandFailure` where the hub refuses, several nodes are meant, or the hub is away at the end.
 */
export async function waitFor(request: WaitRequest): Promise<string> {
  const { node, wanted } = request;
  const reference = node.trim();
  const deadline = performance.now() + request.timeoutMs;
  const found = await firstThat(request, { q: reference }, deadline, (nodes) => {
    const choice = nodes.has(reference)
      ? { kind: 'one' as const, id: reference }
      : chooseNode(reference, [...nodes.values()]);
    if (choice.kind === 'several') throw severalNodes(reference, choice.rows);
    if (choice.kind === 'one') return { id: choice.id, status: nodes.get(choice.id)?.status };
    return wanted === 'removed' ? { id: undefined, status: 'removed' } : undefined;
  });
  if (found?.id === undefined || found.status === wanted) return found?.status ?? 'not there';
  // By its id from here on: its host name may change.
  let status: string = found.status ?? 'not there';
  const { id } = found;
  await firstThat(request, { ids: [id] }, deadline, (nodes) => {
    status = nodes.get(id)?.status ?? (wanted === 'removed' ? 'removed' : 'not there');
    return status === wanted || undefined;
  });
  return status;
}

/**
 * Follows the nodes of a filter until `look` finds something in them, and resolves with it; with undefined at the
 * deadline, but not before it has looked once.
 */
function firstThat<T>(
  { hubUrl, token, agent }: WaitRequest,
  filter: Filter,
  deadline: number,
  look: (nodes: ReadonlyMap<string, NodeSummary>) => T | undefined,
): Promise<T | undefined> {
  const client = new FleetClient({
    ...{ hubUrl, token, agent, filter, nodes: SUMMARIES },
    ...{ reconnectDelayMs: FIRST_PAUSE_MS, resubscribeDelayMs: FIRST_PAUSE_MS },
  });
  let timer: NodeJS.Timeout | undefined;
  const settled = new Promise<T | undefined>((resolve, reject) => {
    let away: string | undefined;
    const endIfLate = (): void => {
      if (performance.now() < deadline) return;
      if (client.state.kind === 'live') resolve(undefined);
      else if (away !== undefined)
        reject(new CommandFailure(EXIT.unreachable, `cannot reach ${hubUrl}: ${away}`));
    };
    const check = (): void => {
      try {
        const found = look(client.nodes);
        if (found !== undefined) resolve(found);
        else endIfLate();
      } catch (error) {
        reject(error);
      }
    };
    const failed = (why: string): void => {
      away = why;
      endIfLate();
    };
    client.on('picture', check);
    client.on('change', check);
    client.on('lost', failed);
    client.on('unreachable', failed);
    client.on('postponed', failed);
    client.on('ended', (code, message) => reject(failureOf(code, message)));
    timer = setTimeout(endIfLate, Math.max(1, deadline - performance.now()) + 1);
    client.start();
  });
  return settled.finally(() => {
    clearTimeout(timer);
    client.stop();
  });
}

function failureOf(code: EndCode, message: string): CommandFailure {
  if (code === 'unauthenticated' || code === 'forbidden')
    return new CommandFailure(EXIT.refused, `${message} (set ROLLCALL_TOKEN or ROLLCALL_TOKEN_FILE)`);
  return new CommandFailure(code === 'invalid' ? EXIT.usage : EXIT.unreachable, message);
}
