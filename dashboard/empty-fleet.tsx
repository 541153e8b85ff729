import { CopyButton } from './copy-button.tsx';

/** How the first machine joins, with this hub's own address. */
export function EmptyFleet({ tokens }: { tokens: boolean }) {
  const { href } = new URL('.', window.location.href);
  const hub = href.replace(/\/$/, '');
  const secret = tokens ? 'AGENT_TOKEN=<one of the hub’s AGENT_TOKENS> ' : '';
  const lines = [
    {
      title: 'This machine, with its real facts and figures',
      text: `${secret}npx rollcall agent --hub ${hub}`,
    },
    {
      title: 'With labels, so that the map can group it',
      text: `${secret}NODE_LABELS=zone=a,rack=a1 npx rollcall agent --hub ${hub}`,
    },
  ];
  return (
    <section className="big-notice empty-fleet" aria-label="Empty fleet">
      <div className="empty-cells" aria-hidden="true">
        {Array.from({ length: 12 }, (_, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: they are all alike
          <i key={index} />
        ))}
      </div>
      <h2>No node yet</h2>
      <p>The hub is ready. Connect the first agent: it shows up here within a second.</p>
      <ol>
        {lines.map(({ title, text }) => (
          <li key={title}>
            <h3>{title}</h3>
            <div className="command">
              {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be reached by keyboard */}
              <code tabIndex={0}>{text}</code>
              <CopyButton label="Copy" text={() => text} />
            </div>
          </li>
        ))}
      </ol>
      <p className="quiet">
        Run them where Rollcall is installed. Off this machine the hub has to listen on an address that the
        other one reaches (HOST), and then asks for tokens.
      </p>
    </section>
  );
}
