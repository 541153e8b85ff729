import { useCallback, useMemo, useSyncExternalStore } from 'react';
import { formatPageUrl, type PageUrl, readPageUrl } from './page-url.ts';

const listeners = new Set<() => void>();

function listen(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener('popstate', listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener('popstate', listener);
  };
}

export type ChangeUrl = (part: Partial<PageUrl>, how?: { push: boolean }) => void;

/** What the address says, and how to change it. `push`: the back button leads back to what was before. */
export function usePageUrl(): [PageUrl, ChangeUrl] {
  const search = useSyncExternalStore(listen, () => window.location.search);
  const url = useMemo(() => readPageUrl(search), [search]);
  const change = useCallback<ChangeUrl>((part, how) => {
    const next = formatPageUrl({ ...readPageUrl(window.location.search), ...part });
    const { pathname, search: before } = window.location;
    if (next === before) return;
    if (how?.push) window.history.pushState(null, '', `${pathname}${next}`);
    else window.history.replaceState(null, '', `${pathname}${next}`);
    for (const listener of listeners) listener();
  }, []);
  return [url, change];
}
