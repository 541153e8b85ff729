import type { ReactNode } from 'react';
import type { Status } from '../shared/index.ts';

/** A shape of its own for each status, so that nobody has to tell them by colour. */
const shapes: Readonly<Record<Status, ReactNode>> = {
  online: <circle cx="6" cy="6" r="4.25" fill="currentColor" />,
  degraded: (
    <path d="M6 1.4 11.2 10.6H.8Z" fill="currentColor" stroke="currentColor" strokeLinejoin="round" />
  ),
  unreachable: (
    <circle
      cx="6"
      cy="6"
      r="4"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.9"
      strokeDasharray="3.2 1.6"
    />
  ),
  offline: (
    <path
      d="M2.2 2.2 9.8 9.8M9.8 2.2 2.2 9.8"
      fill="none"
      stroke="currentColor"
      strokeWidth="2.4"
      strokeLinecap="round"
    />
  ),
};

/** The mark of a status. Decoration: the word stands beside it or in a label. */
export function StatusGlyph({ status }: { status: Status }) {
  return (
    <svg className={`glyph is-${status}`} viewBox="0 0 12 12" aria-hidden="true" focusable="false">
      {shapes[status]}
    </svg>
  );
}
