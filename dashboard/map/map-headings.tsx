import type { CSSProperties } from 'react';
import type { Status } from '../../shared/index.ts';
import { StatusGlyph } from '../status-glyph.tsx';
import { type Facet, facetName, facetWords } from '../store/facets.ts';
import type { Group } from '../store/grouping.ts';
import { count, nodes, statusWord } from '../words.ts';
import type { MapLayout } from './map-layout.ts';

const TROUBLES: readonly Status[] = ['offline', 'unreachable', 'degraded'];

/** The names of the groups above their cells, with what is wrong in them; a click shows one alone. */
export function MapHeadings({
  layout,
  groups,
  facet,
  onPick,
}: {
  layout: MapLayout;
  groups: readonly Group[];
  facet: Facet | undefined;
  onPick: (value: string) => void;
}) {
  const ratio = window.devicePixelRatio || 1;
  return (
    <ul className="map-headings" aria-label="Groups">
      {groups.map((group, index) => {
        const block = layout.blocks[index];
        if (!block) return null;
        const style: CSSProperties = {
          transform: `translate(${block.x / ratio}px, ${block.y / ratio}px)`,
          width: block.width / ratio,
        };
        return (
          <li key={group.value ?? ''} style={style}>
            <Heading group={group} facet={facet} onPick={onPick} />
          </li>
        );
      })}
    </ul>
  );
}

function nameOf(facet: Facet | undefined, value: string | undefined): string {
  if (!facet) return 'All nodes';
  return value === undefined ? `no ${facetName(facet)}` : facetWords(facet, value);
}

function Heading({
  group,
  facet,
  onPick,
}: {
  group: Group;
  facet: Facet | undefined;
  onPick: (value: string) => void;
}) {
  const { value, counts } = group;
  const size = counts.online + counts.degraded + counts.unreachable + counts.offline;
  const troubles = TROUBLES.filter((status) => counts[status] > 0);
  const name = nameOf(facet, value);
  const words = troubles.map((status) => `${count(counts[status])} ${statusWord[status].toLowerCase()}`);
  return (
    <button
      type="button"
      className="map-heading"
      disabled={value === undefined}
      onClick={() => value !== undefined && onPick(value)}
      title={[`${name}: ${nodes(size)}`, ...words].join(', ')}
    >
      <span className="map-heading-name">{name}</span>{' '}
      <span className="map-heading-size">
        {count(size)}
        <span className="off-screen">{size === 1 ? ' node' : ' nodes'}</span>
      </span>
      {troubles.map((status) => (
        <span key={status} className={`map-heading-trouble is-${status}`}>
          <StatusGlyph status={status} />
          {count(counts[status])}
          <span className="off-screen"> {statusWord[status].toLowerCase()}</span>
        </span>
      ))}
    </button>
  );
}
