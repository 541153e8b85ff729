import type { FleetEvent } from '../../shared/index.ts';
import { StatusGlyph } from '../status-glyph.tsx';
import { happened, reasonWithEvidence, shortTime, wholeTime } from '../words.ts';

/** The changes of one node, newest first. */
export function Timeline({ events }: { events: readonly FleetEvent[] | undefined }) {
  return (
    <section aria-label="Changes of this node">
      <h3>What happened</h3>
      {events?.length === 0 && <p className="quiet">The log reaches back to no change of this node.</p>}
      <ol className="timeline">
        {events?.map((event) => (
          <li key={event.seq}>
            <time dateTime={event.at} title={wholeTime(event.at)}>
              {shortTime(event.at)}
            </time>
            {event.to !== null && event.type !== 'removed' ? (
              <StatusGlyph status={event.to} />
            ) : (
              <span className="glyph glyph-gone" aria-hidden="true" />
            )}
            <span>
              {happened(event)}
              {event.from !== event.to && event.type !== 'registered' && (
                <span className="feed-why">{reasonWithEvidence(event.reason, event.evidence)}</span>
              )}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
