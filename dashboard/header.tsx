import { type Filter, STATUSES, type Status } from '../shared/index.ts';
import { freshness } from './freshness.ts';
import { StatusGlyph } from './status-glyph.tsx';
import type { ChangeUrl } from './use-page-url.ts';
import { useTopic } from './use-store.ts';
import { count, shortTime, statusMeaning, statusWord, wholeTime } from './words.ts';

/** The counts, which filter when clicked, and how fresh all of it is. */
export function Header({ filter, change }: { filter: Filter; change: ChangeUrl }) {
  return (
    <header className="top">
      <h1 className="brand">
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="M1 1h4v4H1zM6 1h4v4H6zM11 1h4v4h-4zM1 6h4v4H1zM11 6h4v4h-4zM1 11h4v4H1zM6 11h4v4H6z" />
          <path className="brand-odd" d="M6 6h4v4H6z" />
        </svg>
        Rollcall
      </h1>
      <Counts filter={filter} change={change} />
      <Fresh />
    </header>
  );
}

function Counts({ filter, change }: { filter: Filter; change: ChangeUrl }) {
  const [store] = useTopic('fleet');
  useTopic('standing');
  const { size } = store.picture;
  const counts = store.counts.status;
  const chosen = filter.status ?? [];
  const known = store.standing.pictured;
  const toggle = (status: Status): void => {
    const next = chosen.includes(status) ? chosen.filter((one) => one !== status) : [...chosen, status];
    const { status: _, ...rest } = filter;
    change({ filter: next.length === 0 ? rest : { ...rest, status: next } }, { push: true });
  };
  const all = (): void => {
    const { status: _, ...rest } = filter;
    change({ filter: rest }, { push: true });
  };
  return (
    <div className="counts" role="group" aria-label="Nodes by status">
      <button type="button" className="count is-total" aria-pressed={chosen.length === 0} onClick={all}>
        <span className="count-value">{known ? count(size) : '–'}</span>
        <span className="count-name">{size === 1 ? 'node' : 'nodes'}</span>
      </button>
      {STATUSES.map((status) => (
        <button
          key={status}
          type="button"
          className={`count is-${status}`}
          data-none={counts[status] === 0 || undefined}
          aria-pressed={chosen.includes(status)}
          title={statusMeaning[status]}
          onClick={() => toggle(status)}
        >
          <span className="count-value">{known ? count(counts[status]) : '–'}</span>
          <span className="count-name">
            <StatusGlyph status={status} />
            {statusWord[status].toLowerCase()}
          </span>
        </button>
      ))}
    </div>
  );
}

function Fresh() {
  const [{ standing }] = useTopic('standing');
  const { tone, word, asOf } = freshness(standing);
  const hubs = standing.hub?.hubs ?? 0;
  return (
    <div className={`fresh is-${tone}`}>
      <span className="fresh-word" role="status">
        <span className="fresh-dot" aria-hidden="true" />
        {word}
      </span>
      <span className="fresh-more">
        {asOf !== undefined && (
          <span title={`When the hub was last heard of: ${wholeTime(asOf)}`}>as of {shortTime(asOf)}</span>
        )}
        {hubs > 0 && (
          <span>
            {count(hubs)} {hubs === 1 ? 'hub' : 'hubs'}
          </span>
        )}
      </span>
    </div>
  );
}
