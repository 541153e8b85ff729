import { useEffect, useRef } from 'react';
import { CopyButton } from '../copy-button.tsx';
import { freshness } from '../freshness.ts';
import { StaleWords } from '../notices.tsx';
import { StatusGlyph } from '../status-glyph.tsx';
import { useTopic } from '../use-store.ts';
import { shortTime, statusSentence, statusWord } from '../words.ts';
import { Conditions, Facts } from './facts.tsx';
import { LiveLines } from './live-lines.tsx';
import { Timeline } from './timeline.tsx';
import { useNode } from './use-node.ts';

/** Everything about one node, beside the rest of the page. */
export function NodeDrawer({ id, onClose }: { id: string; onClose: () => void }) {
  const [store] = useTopic('figures');
  const { look, events } = useNode(id);
  const drawer = useRef<HTMLElement>(null);

  useEffect(() => {
    store.watch('drawer', [id]);
    return () => store.watch('drawer', []);
  }, [store, id]);

  useEffect(() => {
    const before = document.activeElement;
    drawer.current?.focus({ preventScroll: true });
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);

  const row = store.picture.nodes.get(id);
  const node = look.kind === 'found' ? look.node : undefined;
  const name = node?.hostname ?? row?.hostname ?? id;
  // The row hears of a change first; the record with its evidence follows at once.
  const status = row?.status ?? node?.status;
  const stats = store.figures.get(id) ?? (look.kind === 'found' ? look.stats : undefined);
  useTopic('standing');
  const { tone, asOf } = freshness(store.standing);
  const isKnownNow = tone === 'live' || tone === 'busy';
  const isGone = row === undefined && look.kind === 'found' && look.gone;
  const beats = status === 'online' || status === 'degraded';
  return (
    <aside
      className="drawer"
      ref={drawer}
      tabIndex={-1}
      role="dialog"
      aria-modal="false"
      aria-label={`Node ${name}`}
    >
      <header className="drawer-head">
        <div>
          <h2>{name}</h2>
          {isGone ? (
            <span className="status quiet">Removed</span>
          ) : (
            status && (
              <span className={`status is-${status}`}>
                <StatusGlyph status={status} />
                {statusWord[status]}
                {!isKnownNow && asOf !== undefined && <span className="quiet">as of {shortTime(asOf)}</span>}
              </span>
            )
          )}
        </div>
        <button type="button" className="button icon-button" onClick={onClose} aria-label="Close (Esc)">
          ×
        </button>
      </header>
      <StaleWords />
      <div className="drawer-body">
        {look.kind === 'loading' && <p className="quiet">Loading…</p>}
        {look.kind === 'failed' && <p>The record could not be read: {look.why}.</p>}
        {look.kind === 'none' && (
          <p>There is no node with the id {id} any more; it was removed, or the link is wrong.</p>
        )}
        {node && (
          <>
            <p className={`sentence is-${node.status}`} aria-live="polite">
              {isGone ? 'This node was removed. The last that is known: ' : ''}
              {statusSentence(node)}
            </p>
            <LiveLines key={id} stats={stats} live={beats && isKnownNow && !isGone} />
            <Conditions node={node} />
            <Timeline events={events} />
            <Facts node={node} />
            <section aria-label="Raw record">
              <details className="raw">
                <summary>Raw record</summary>
                <CopyButton label="Copy JSON" text={() => JSON.stringify(node, null, 2)} />
                {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be reached by keyboard */}
                <pre tabIndex={0}>{JSON.stringify(node, null, 2)}</pre>
              </details>
            </section>
          </>
        )}
      </div>
    </aside>
  );
}
