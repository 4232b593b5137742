// Whether the collector answers. Every request reports here; while it does not, one small question is asked again and
// again until it does, and the views then ask theirs anew.

import { Api } from "./api";
import { Store } from "./store";

/** Since when (seconds since the epoch) and why the collector is out of reach; null while it answers. */
export const away = new Store<{ since: number; why: string } | null>(null);

/** How often it has come back: whoever failed meanwhile asks again. */
export const returns = new Store(0);

export const api = new Api({ base: document.baseURI, onReach: note });

function note(failure: Error | null) {
  const before = away.get();
  if (failure === null) {
    away.set(null);
    if (before !== null) returns.set(returns.get() + 1);
  } else if (before?.why !== failure.message) {
    away.set({ since: before?.since ?? Date.now() / 1000, why: failure.message });
  }
}

const retryMs = 3_000;

/** keepTrying asks until the collector answers; it returns how to stop. */
export function keepTrying(): () => void {
  const ctrl = new AbortController();
  const timer = window.setInterval(() => {
    if (!document.hidden) api.reach(ctrl.signal).catch(() => {}); // note() hears of it either way
  }, retryMs);
  return () => {
    window.clearInterval(timer);
    ctrl.abort();
  };
}
