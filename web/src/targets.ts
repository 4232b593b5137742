// The list of targets as it is shown: unhealthy first, filtered by state and by words.

import type { Target } from "./api";
import { selector } from "./series";

export type Health = "down" | "unknown" | "up";

export interface Row {
  key: string;
  target: Target;
  health: Health;
  /** Labels that the job and the endpoint do not say already. */
  labels: [string, string][];
  /** Seconds since the epoch; null before the first scrape. */
  scraped: number | null;
  /** What a filter looks through, in lower case. */
  text: string;
}

const rank: Record<Health, number> = { down: 0, unknown: 1, up: 2 };
const order = new Intl.Collator("en", { numeric: true }).compare;

/** rowsFrom prepares each target once, so that filtering hundreds of them is a matter of comparing strings. */
export function rowsFrom(targets: Target[]): Row[] {
  return targets
    .map((target): Row => {
      const health = target.health === "up" || target.health === "down" ? target.health : "unknown";
      const ms = Date.parse(target.lastScrape);
      const said = [target.scrapePool, target.scrapeUrl, selector(target.labels), target.lastError];
      return {
        key: `${target.scrapePool} ${target.scrapeUrl} ${selector(target.labels)}`,
        target,
        health,
        labels: Object.entries(target.labels).filter(([k, v]) => !(k === "job" && v === target.scrapePool)),
        scraped: ms > 0 ? ms / 1000 : null, // Go's zero time is far before 1970
        text: said.join("\n").toLowerCase(),
      };
    })
    .sort(
      (a, b) =>
        rank[a.health] - rank[b.health] ||
        order(a.target.scrapePool, b.target.scrapePool) ||
        order(a.target.scrapeUrl, b.target.scrapeUrl) ||
        order(a.key, b.key),
    );
}

/** filter keeps the rows of a state (all: "") that hold every one of the words. */
export function filter(rows: Row[], state: string, words: string): Row[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((r) => (state === "" || r.health === state) && wanted.every((w) => r.text.includes(w)));
}

export function count(rows: Row[]): Record<Health, number> {
  const n = { down: 0, unknown: 0, up: 0 };
  for (const r of rows) n[r.health]++;
  return n;
}
