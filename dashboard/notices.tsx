import { type FormEvent, useEffect, useRef, useState } from 'react';
import { freshness } from './freshness.ts';
import type { LinkState } from './store/fleet-store.ts';
import { useTopic } from './use-store.ts';
import { count, shortTime } from './words.ts';

/** A line across the page while what is shown is not what is. */
export function StaleNotice() {
  const [store] = useTopic('standing');
  const { tone, word, sentence, retry } = freshness(store.standing);
  if (sentence === undefined) return null;
  return (
    <div className={`notice is-${tone}`} role="alert">
      <strong>{word}.</strong> <span>{sentence}</span>
      {retry && (
        <button type="button" className="button" onClick={() => store.checkNow()}>
          Try now
        </button>
      )}
    </div>
  );
}

/** The same words beside one node, which may cover that line. It was read out already. */
export function StaleWords() {
  const [store] = useTopic('standing');
  const { tone, word, sentence } = freshness(store.standing);
  if (sentence === undefined) return null;
  return (
    <p className={`notice is-${tone}`}>
      <strong>{word}.</strong> <span>{sentence}</span>
    </p>
  );
}

/** Before the first picture. */
export function FirstPicture({ link }: { link: LinkState }) {
  const [store] = useTopic('standing');
  if (link.kind === 'connecting' && link.why !== undefined) {
    return (
      <section className="big-notice is-away" role="alert">
        <h2>The hub cannot be reached</h2>
        <p>
          {window.location.host} has not answered since {shortTime(link.since)}: {link.why}. It is tried again
          by itself.
        </p>
        <p>Check that the hub runs, and that this machine can reach it.</p>
        <button type="button" className="button is-main" onClick={() => store.checkNow()}>
          Try now
        </button>
      </section>
    );
  }
  const loading = link.kind === 'loading' && link.total > 0;
  return (
    <section className="big-notice" role="status">
      <h2>{loading ? 'Loading the fleet' : 'Connecting to the hub'}</h2>
      {loading ? (
        <>
          <progress value={link.received} max={link.total} aria-label="Loaded" />
          <p className="quiet">
            {count(link.received)} of {count(link.total)} nodes
          </p>
        </>
      ) : (
        <p className="quiet">{window.location.host}</p>
      )}
    </section>
  );
}

const refusals: Readonly<Record<Extract<LinkState, { kind: 'refused' }>['code'], [string, string]>> = {
  token_missing: [
    'This hub asks for a token',
    'Enter one of its dashboard tokens (DASHBOARD_TOKENS of the hub). It is kept in this tab only, until the tab is closed.',
  ],
  token_wrong: [
    'The hub rejected this token',
    'It is none of the hub’s dashboard tokens; it may have been replaced by a newer one. Ask whoever runs the hub for the present one.',
  ],
  forbidden: [
    'This token is not for reading',
    'It belongs to an agent: it may register a machine, not look at the fleet. Enter a dashboard token.',
  ],
  too_much: [
    'This fleet is too large for this page',
    'The hub sends more nodes than a page keeps. Ask the command line instead: rollcall nodes ls with a filter.',
  ],
  not_understood: [
    'The hub speaks another version',
    'It answers in a way that this page does not understand. Reload the page to get the one that belongs to the hub.',
  ],
};

/** The hub will not have us: what it wants, and where to say it. */
export function Refused({
  code,
  onToken,
}: {
  code: Extract<LinkState, { kind: 'refused' }>['code'];
  onToken: (token: string) => void;
}) {
  const [title, words] = refusals[code];
  const [token, setToken] = useState('');
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const enter = (event: FormEvent): void => {
    event.preventDefault();
    if (token.trim() !== '') onToken(token.trim());
  };
  return (
    <section className={code === 'token_missing' ? 'big-notice' : 'big-notice is-away'} role="alert">
      <h2>{title}</h2>
      <p id="refused-words">{words}</p>
      {code === 'not_understood' || code === 'too_much' ? (
        <button type="button" className="button is-main" onClick={() => window.location.reload()}>
          Reload
        </button>
      ) : (
        <form onSubmit={enter} className="token-form">
          <input
            ref={field}
            type="password"
            value={token}
            aria-label="Token"
            aria-describedby="refused-words"
            aria-invalid={code !== 'token_missing'}
            autoComplete="off"
            onChange={({ target }) => setToken(target.value)}
          />
          <button type="submit" className="button is-main">
            Connect
          </button>
        </form>
      )}
    </section>
  );
}
