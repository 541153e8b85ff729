import { reasonWords } from '../../shared/index.ts';
import { StatusGlyph } from '../status-glyph.tsx';
import { useTopic } from '../use-store.ts';
import { shortTime, statusWord } from '../words.ts';

const WIDTH = 260;

/** Tells of the node under the pointer. */
export function MapTip({ id, x, y, frameWidth }: { id: string; x: number; y: number; frameWidth: number }) {
  const [store] = useTopic('fleet');
  const row = store.picture.nodes.get(id);
  if (!row) return null;
  const left = Math.max(0, Math.min(x + 14, frameWidth - WIDTH));
  return (
    <div className="map-tip" style={{ transform: `translate(${left}px, ${y + 18}px)`, width: WIDTH }}>
      <strong>{row.hostname}</strong>
      <span className={`tip-status is-${row.status}`}>
        <StatusGlyph status={row.status} />
        {statusWord[row.status]} since {shortTime(row.statusSince)}
      </span>
      {row.status !== 'online' && <span>{reasonWords[row.reason]}</span>}
      <span className="quiet">{[row.kind, row.location, row.address].filter(Boolean).join(' · ')}</span>
    </div>
  );
}
