import type { Standing } from './store/fleet-store.ts';
import { shortTime } from './words.ts';

/** How fresh the picture is, in words. */
export interface Freshness {
  tone: 'live' | 'busy' | 'stale' | 'away';
  /** One or two words for the header. */
  word: string;
  /** What holds since when, and what happens next; none while all is well. */
  sentence: string | undefined;
  /** The moment for which the picture is known to be true, in milliseconds. */
  asOf: number | undefined;
  /** Whether it helps to try again now. */
  retry: boolean;
}

/** Says how fresh the picture is. Never fresher than is known: `asOf` is when the hub was last heard of. */
export function freshness({ link, hub, heardAt }: Standing): Freshness {
  const asOf = heardAt;
  switch (link.kind) {
    case 'live': {
      if (hub?.state !== 'stale')
        return { tone: 'live', word: 'Live', sentence: undefined, asOf, retry: false };
      const since = Date.parse(hub.since);
      return {
        tone: 'stale',
        word: 'Store lost',
        sentence: `The hub lost sight of its store at ${shortTime(since)}. What you see is from then; nobody is judged until the store is back. Check that Redis runs and that the hub can reach it.`,
        asOf: since,
        retry: false,
      };
    }
    case 'resyncing':
      return {
        tone: 'busy',
        word: 'Resyncing',
        sentence: `A new picture is on its way (${link.reason}). Until it is here you see the one from ${shortTime(link.since)}.`,
        asOf: link.since,
        retry: false,
      };
    case 'away':
      return {
        tone: 'away',
        word: 'Reconnecting',
        sentence: `No contact with the hub since ${shortTime(link.since)}: ${link.why}. What you see is from then. It is tried again by itself.`,
        asOf: link.since,
        retry: true,
      };
    case 'loading':
      return { tone: 'busy', word: 'Loading', sentence: undefined, asOf, retry: false };
    case 'connecting':
      return { tone: 'busy', word: 'Connecting', sentence: undefined, asOf: undefined, retry: false };
    case 'refused':
      return { tone: 'away', word: 'Not connected', sentence: undefined, asOf, retry: false };
  }
}
