import { createContext, useContext, useEffect, useState, useSyncExternalStore } from 'react';
import type { FleetStore } from './store/fleet-store.ts';

const StoreContext = createContext<FleetStore | undefined>(undefined);
export const StoreProvider = StoreContext.Provider;

/** The store of the page. */
export function useStore(): FleetStore {
  const store = useContext(StoreContext);
  if (!store) throw new Error('there is no store above this component');
  return store;
}

/** The store, and a render for each frame that brought news of the topic. Returns the topic's version. */
export function useTopic(topic: Parameters<FleetStore['version']>[0]): [FleetStore, number] {
  const store = useStore();
  const version = useSyncExternalStore(
    (listener) => store.listen(topic, listener),
    () => store.version(topic),
  );
  return [store, version];
}

/** A value that follows another after a pause in its changes. */
export function useSettled<T>(value: T, afterMs: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), afterMs);
    return () => clearTimeout(timer);
  }, [value, afterMs]);
  return settled;
}

/** Whether a media query holds now. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const media = window.matchMedia(query);
      media.addEventListener('change', listener);
      return () => media.removeEventListener('change', listener);
    },
    () => window.matchMedia(query).matches,
  );
}
