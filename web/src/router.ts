// The address is the state: the path names the view, the query string holds everything needed to show it again.

import { Store, useStore } from "./store";

export const viewNames = ["fleet", "node", "pods", "pod", "apps", "app", "targets", "target", "alerts", "query", "cardinality", "status"] as const;
export type View = (typeof viewNames)[number];

export interface Place {
  view: View | null;
  params: URLSearchParams;
}

const base = new URL(document.baseURI).pathname;

// Where each view was left, so that a look at another one costs nothing.
const left = new Map<View, string>();

function read(): Place {
  const path = location.pathname.startsWith(base) ? location.pathname.slice(base.length) : "";
  const name = path === "" || path === "overview" ? "fleet" : path;
  const view = viewNames.find((v) => v === name) ?? null;
  if (view) left.set(view, base + view + location.search);
  return { view, params: new URLSearchParams(location.search) };
}

const place = new Store<Place>(read());
addEventListener("popstate", () => place.set(read()));

/** last is the address at which a view was left, or its plain one. */
export const last = (view: View): string => left.get(view) ?? href(view, { time: null });

export const usePlace = (): Place => useStore(place);

/** The views of the fleet: from one that shows a moment of the past the way leads to others at that moment. */
const timed: ReadonlySet<View | null> = new Set<View>(["fleet", "node", "pods", "pod", "apps", "app"]);

/** href is the address of a view with these parameters; null and empty ones are left out. */
export function href(view: View, params: Record<string, string | null | undefined> = {}): string {
  const q = new URLSearchParams();
  const { view: from, params: present } = place.get();
  const time = timed.has(view) && timed.has(from) && !("time" in params) ? present.get("time") : null;
  if (time) q.set("time", time);
  for (const [k, v] of Object.entries(params)) if (v) q.set(k, v);
  const text = q.toString();
  return base + view + (text ? `?${text}` : "");
}

/** go shows an address of this page; `quiet` replaces the present one instead of adding to the history. */
export function go(address: string, quiet = false) {
  history[quiet ? "replaceState" : "pushState"](null, "", address);
  place.set(read());
}

/** change sets (or with null removes) parameters of the present view. */
export function change(params: Record<string, string | null>, quiet = false) {
  const { view, params: old } = place.get();
  go(href(view ?? "fleet", { ...Object.fromEntries(old), ...params }), quiet);
}

/** follow makes links inside the page cheap: no reload, unless a new tab or a download is wanted. */
export function follow(e: MouseEvent) {
  const a = (e.target as Element | null)?.closest?.("a[href]");
  if (!(a instanceof HTMLAnchorElement) || e.defaultPrevented || e.button !== 0) return;
  if (e.metaKey || e.ctrlKey || e.shiftKey || e.altKey || a.target) return;
  const url = new URL(a.href);
  if (url.origin !== location.origin || !url.pathname.startsWith(base) || a.hasAttribute("data-leave")) return;
  e.preventDefault();
  go(url.pathname + url.search);
}
