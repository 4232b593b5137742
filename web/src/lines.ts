// The lines of a panel: named, bounded, in a fixed order and with colours that stay theirs.

import type { Panel } from "./panels";
import { grid, legend, onGrid, peak, selector, type Line, type Series } from "./series";
import type { Span } from "./time";

export interface Lines {
  times: number[];
  lines: Line[];
  /** Names left out because there are too many; those with the lowest peaks. */
  more: number;
}

const byName = new Intl.Collator("en", { numeric: true }).compare;

/** panelLines turns the answers to the panel's queries (in their order) into at most `most` names' lines. */
export function panelLines(panel: Panel, answers: Series[][], span: Span, most: number): Lines {
  const times = grid(span.start, span.end, span.step);
  const found: Line[] = panel.queries.flatMap((q, i) =>
    (answers[i] ?? []).map((s) => ({
      name: legend(q.legend, s.metric) || selector(s.metric),
      values: onGrid(s.values ?? [], span.start, span.step, times.length),
      colour: 0,
      ...(q.down ? { down: true } : {}),
    })),
  );
  const highest = new Map<string, number>();
  for (const l of found) highest.set(l.name, Math.max(highest.get(l.name) ?? 0, peak(l.values)));

  const order = panel.order ?? [];
  const fixed = new Map(order);
  const place = (name: string) => (fixed.has(name) ? [...fixed.keys()].indexOf(name) : order.length);
  const names = [...highest.entries()]
    .sort((a, b) => b[1] - a[1])
    .slice(0, most)
    .map(([name]) => name)
    .sort((a, b) => place(a) - place(b) || byName(a, b));
  const others = names.filter((n) => !fixed.has(n));
  const colour = (n: string) => fixed.get(n) ?? order.length + others.indexOf(n);

  return {
    times,
    lines: found
      .filter((l) => names.includes(l.name))
      .map((l) => ({ ...l, colour: colour(l.name) }))
      .sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name)),
    more: highest.size - names.length,
  };
}

/** queryLines draws the first `most` series of any matrix, each under its own name. */
export function queryLines(series: Series[], span: Span, most: number): Lines {
  const times = grid(span.start, span.end, span.step);
  const drawable = series.filter((s) => s.values !== undefined);
  return {
    times,
    lines: drawable.slice(0, most).map((s, i) => ({
      name: selector(s.metric),
      values: onGrid(s.values ?? [], span.start, span.step, times.length),
      colour: i,
    })),
    more: Math.max(0, drawable.length - most),
  };
}
