// Data that a component needs, and the moments at which it is asked for again.

import { useEffect, useState } from "preact/hooks";
import { isAbort } from "./api";
import { api, returns } from "./connection";
import { useStore } from "./store";

export interface Load<T> {
  data: T | undefined;
  error: Error | undefined;
  loading: boolean;
}

/**
 * useLoad runs `run` whenever `key` changes, and when the collector has come back; it aborts what is no longer wanted.
 * While new data is on its way the old stays, if it is of the same subject; a null key asks for nothing.
 */
export function useLoad<T>(subject: string, key: string | null, run: (signal: AbortSignal) => Promise<T>): Load<T> {
  const [state, set] = useState<Load<T> & { subject: string }>({
    subject,
    data: undefined,
    error: undefined,
    loading: key !== null,
  });
  const back = useStore(returns);
  useEffect(() => {
    if (key === null) return;
    const ctrl = new AbortController();
    set((s) => (s.subject === subject ? { ...s, loading: true } : { subject, data: undefined, error: undefined, loading: true }));
    run(ctrl.signal).then(
      (data) => !ctrl.signal.aborted && set({ subject, data, error: undefined, loading: false }),
      (error: Error) => {
        if (!ctrl.signal.aborted && !isAbort(error)) set((s) => ({ ...s, error, loading: false }));
      },
    );
    return () => ctrl.abort();
  }, [subject, key, back]);
  const wanted = key !== null;
  if (state.subject !== subject) return { data: undefined, error: undefined, loading: wanted };
  return { ...state, loading: wanted && state.loading };
}

/**
 * useNow is the time the page shows: the present, renewed every `every` seconds (0: only on demand), but not while the
 * tab is hidden, and not before the last questions are answered: a slow answer is better than none.
 */
export function useNow(every: number): [now: number, renew: () => void] {
  const [now, set] = useState(() => Date.now() / 1000);
  const renew = () => set(Date.now() / 1000);
  useEffect(() => {
    if (every === 0) return;
    let timer: number | undefined;
    const fire = () => {
      if (api.idle) renew();
      else timer = window.setTimeout(fire, 200);
    };
    const plan = () => {
      window.clearTimeout(timer);
      if (document.hidden) return;
      timer = window.setTimeout(fire, Math.max(0, now + every - Date.now() / 1000) * 1000);
    };
    plan();
    document.addEventListener("visibilitychange", plan);
    return () => {
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", plan);
    };
  }, [every, now]);
  return [now, renew];
}
