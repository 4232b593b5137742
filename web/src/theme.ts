// Light or dark: what the system prefers, unless the reader chose otherwise; the choice is remembered.
// main.tsx calls start() before anything is drawn.

import { Store } from "./store";

export type Theme = "light" | "dark";

const key = "watchpost.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const preferred = (): Theme => (system.matches ? "dark" : "light");

function chosen(): Theme | null {
  const t = remember(key);
  return t === "light" || t === "dark" ? t : null;
}

export const theme = new Store<Theme>(chosen() ?? preferred());

function apply() {
  document.documentElement.dataset.theme = theme.get();
}

export function start() {
  theme.watch(apply);
  apply();
  system.addEventListener("change", () => theme.set(chosen() ?? preferred()));
}

/** toggle changes the theme; back at what the system prefers, it is the system's choice again. */
export function toggle() {
  const next = theme.get() === "dark" ? "light" : "dark";
  remember(key, next === preferred() ? null : next);
  theme.set(next);
}

/** remember reads or (given a value, null to forget) writes a setting; a browser that refuses storage forgets. */
export function remember(name: string, value?: string | null): string | null {
  try {
    if (value === undefined) return localStorage.getItem(name);
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    // Storage is off or full: the setting lasts as long as the page.
  }
  return value ?? null;
}

/** colours reads colour variables of the style sheet as a canvas understands them, in the theme now in force. */
export function colours<K extends string>(names: readonly K[]): Record<K, string> {
  const probe = document.body.appendChild(document.createElement("i"));
  const style = getComputedStyle(probe);
  const out = {} as Record<K, string>;
  for (const n of names) {
    probe.style.color = `var(--${n})`;
    out[n] = style.color;
  }
  probe.remove();
  return out;
}

/** Lines of a chart have the colours --c0 to --c9 of style.css; further ones begin anew, dashed. */
export const paletteSize = 10;
