import type { ReactNode } from 'react';
import type { FleetNode } from '../../shared/index.ts';
import { fieldName, mebibytes, shortTime } from '../words.ts';

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isPlain = (value: unknown): value is string | number | boolean =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';

/** A free value, as far as it can be read at a glance; the rest stands in the raw record. */
function shownValue(name: string, value: unknown): ReactNode {
  if (typeof value === 'number' && /Mib$/.test(name)) return mebibytes(value);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (isPlain(value)) return String(value);
  if (Array.isArray(value) && value.every(isPlain)) return <Chips values={value.map(String)} />;
  return <code>{JSON.stringify(value)}</code>;
}

function Chips({ values }: { values: readonly string[] }) {
  return (
    <span className="chips">
      {values.map((value) => (
        <span key={value} className="chip">
          {value}
        </span>
      ))}
    </span>
  );
}

function entriesOf(title: string, value: unknown): Array<[string, ReactNode]> {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return [];
  if (!isObject(value)) return [[title, shownValue(title, value)]];
  const entries = Object.entries(value);
  return entries.map(([name, one]) => [`${title} ${fieldName(name)}`, shownValue(name, one)]);
}

const labelChips = (labels: Record<string, string>): string[] =>
  Object.entries(labels).map(([key, value]) => `${key}=${value}`);

function factsOf(node: FleetNode): Array<[string, ReactNode]> {
  const { labels, connection, heartbeat, agent } = node;
  return [
    ...entriesOf('id', node.id),
    ...entriesOf('kind', node.kind),
    ...entriesOf('location', node.location),
    ...entriesOf('address', node.address),
    ...entriesOf('labels', labelChips(labels)),
    ...entriesOf('roles', node.roles),
    ...entriesOf('pools', node.pools),
    ...entriesOf('CPU', node.cpu),
    ...entriesOf('memory', node.memory),
    ...entriesOf('capacity', node.capacity),
    ...entriesOf('capability', node.capabilities),
    ...entriesOf('metadata', node.metadata),
    ...(agent ? entriesOf('agent', `${agent.name} ${agent.version}`) : []),
    ...(connection
      ? entriesOf(
          'connection',
          `${connection.transport} to ${connection.hubId} from ${connection.remoteAddress}`,
        )
      : []),
    ...entriesOf(
      'heartbeat',
      `every ${heartbeat.intervalMs / 1_000} s, offline after ${heartbeat.timeoutMs / 1_000} s`,
    ),
    ...entriesOf('registered', shortTime(node.registeredAt)),
    ...entriesOf('known since', shortTime(node.createdAt)),
  ];
}

/** What a node is. */
export function Facts({ node }: { node: FleetNode }) {
  return (
    <section aria-label="Facts">
      <h3>What it is</h3>
      <dl className="facts">
        {factsOf(node).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

const conditionWord = { ok: 'passes', warn: 'warns', fail: 'fails' } as const;

/** What the machine says of its own checks. */
export function Conditions({ node }: { node: FleetNode }) {
  if (node.conditions.length === 0) return null;
  return (
    <section aria-label="Checks">
      <h3>Its own checks</h3>
      <ul className="conditions">
        {node.conditions.map(({ type, status, message }) => (
          <li key={type} className={`condition is-${status}`}>
            <strong>{type}</strong> {conditionWord[status]}
            {message !== undefined && <span className="quiet">: {message}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}
