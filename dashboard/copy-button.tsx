import { useEffect, useState } from 'react';
import { copyText } from './copy-text.ts';

const SAID_MS = 2_000;

/** Copies something and says whether it did. */
export function CopyButton({ label, text }: { label: string; text: () => string }) {
  const [said, setSaid] = useState<string>();
  useEffect(() => {
    if (said === undefined) return;
    const timer = setTimeout(() => setSaid(undefined), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  return (
    <button
      type="button"
      className="button"
      onClick={() => void copyText(text()).then((done) => setSaid(done ? 'Copied' : 'Not copied'))}
    >
      <span aria-live="polite">{said ?? label}</span>
    </button>
  );
}
