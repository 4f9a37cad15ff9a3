import { useSyncExternalStore } from "react";

/** One value that components can watch and that code outside React can read and change. */
export function createStore(value) {
  const watchers = new Set();
  return {
    get: () => value,
    set(next) {
      value = next;
      watchers.forEach((watcher) => watcher());
    },
    watch(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
}

export function useStore(store) {
  return useSyncExternalStore(store.watch, store.get);
}
