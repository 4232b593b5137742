// A chart: uPlot's canvas and a legend that names each line with its value, at the cursor or else at the end.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { make, rows, type Drawing } from "./plot";
import { latest, type Line } from "./series";
import { useStore } from "./store";
import { paletteSize, theme } from "./theme";
import { clock, day } from "./time";
import { format, type Unit } from "./units";

interface Props {
  title: string;
  times: number[];
  lines: Line[];
  unit: Unit;
  stacked?: boolean | undefined;
  atLeast?: number | undefined;
  atMost?: number | undefined;
  ways?: [string, string] | undefined;
  height: number;
  /** Charts of one key share their cursor. */
  sync: string;
  onSelect: (start: number, end: number) => void;
}

/** Entry is one row of the legend: the lines of one name. */
interface Entry {
  name: string;
  colour: number;
  lines: Line[];
}

function entries(lines: Line[]): Entry[] {
  const by = new Map<string, Entry>();
  for (const l of lines) {
    const e = by.get(l.name);
    if (e) e.lines.push(l);
    else by.set(l.name, { name: l.name, colour: l.colour, lines: [l] });
  }
  return [...by.values()];
}

export function Chart({ title, times, lines, unit, ways, height, sync, onSelect, stacked = false, ...axis }: Props) {
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const mode = useStore(theme);
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const time = useRef<HTMLTimeElement>(null);
  const values = useRef(new Map<Line, HTMLElement>());

  const legend = useMemo(() => entries(lines), [lines]);
  const drawing: Drawing = {
    times,
    lines: lines.filter((l) => !hidden.has(l.name)),
    unit,
    stacked,
    ...axis,
  };
  // What uPlot holds fixed. Other values of the same lines only replace its data.
  const shape = JSON.stringify([drawing.lines.map((l) => [l.name, l.colour, l.down]), unit, stacked, axis, sync, mode]);

  const now = useRef({ drawing, onSelect, show: (_: number | null) => {} });
  now.current = { drawing, onSelect, show: (i) => tell(i, times, time.current, values.current, (l, v) => said(l, v, unit, ways)) };

  useEffect(() => {
    const into = box.current;
    if (!into) return;
    // The listeners are asked through `now`: the drawing outlives the values it began with.
    const u = make(into, now.current.drawing, into.clientWidth, height, sync, {
      onCursor: (i) => now.current.show(i),
      onSelect: (a, b) => now.current.onSelect(a, b),
    });
    plot.current = u;
    const watch = new ResizeObserver(() => into.clientWidth > 0 && u.setSize({ width: into.clientWidth, height }));
    watch.observe(into);
    return () => {
      watch.disconnect();
      u.destroy();
      plot.current = null;
    };
  }, [shape, height]);

  useEffect(() => plot.current?.setData(rows(drawing)), [times, lines, hidden]);
  useLayoutEffect(() => now.current.show(plot.current?.cursor.idx ?? null), [times, lines]);

  /** focus dims all lines but those of a name; null ends it. */
  const focus = (name: string | null) => {
    plot.current?.series.forEach((s, i) => {
      if (i > 0) s.alpha = name === null || hidden.has(name) || s.label === name ? 1 : 0.2;
    });
    plot.current?.redraw(false);
  };
  const flip = (name: string) => {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    setHidden(next);
  };
  const drawn = drawing.lines.reduce((n, l) => n + l.values.filter((v) => v !== null).length, 0);

  return (
    <figure class="chart" aria-label={title} data-points={drawn}>
      <time ref={time} />
      <div class="canvas" ref={box} style={{ height: `${height}px` }} aria-hidden="true" />
      <figcaption>
        <ul class={`legend${ways || lines.some((l) => l.name.length > 14) ? " wide" : ""}`}>
          {legend.map((e) => (
            <li key={e.name}>
              <button
                type="button"
                aria-pressed={!hidden.has(e.name)}
                title={e.name}
                onClick={() => flip(e.name)}
                onMouseEnter={() => focus(e.name)}
                onMouseLeave={() => focus(null)}
              >
                <i class={`key c${e.colour % paletteSize}${e.colour >= paletteSize ? " dashed" : ""}`} />
                <span class="name">{e.name}</span>
                {e.lines.map((l) => (
                  <span
                    key={l.down}
                    class="value"
                    ref={(el) => {
                      if (el) values.current.set(l, el);
                      else values.current.delete(l);
                    }}
                  />
                ))}
              </button>
            </li>
          ))}
        </ul>
      </figcaption>
    </figure>
  );
}

/** said is a value in the legend; where lines go both ways, with its direction. */
function said(line: Line, value: number | null | undefined, unit: Unit, ways: unknown): string {
  return (ways ? (line.down ? "↓ " : "↑ ") : "") + format(unit, value);
}

/** tell writes the values at the cursor straight into the legend's empty places: a moving mouse redraws no component. */
function tell(
  index: number | null,
  times: number[],
  time: HTMLElement | null,
  values: Map<Line, HTMLElement>,
  say: (line: Line, value: number | null | undefined) => string,
) {
  const at = index === null ? undefined : times[index];
  if (time) time.textContent = at === undefined ? "" : `${day(at)} ${clock(at)}`;
  for (const [line, el] of values) {
    el.textContent = say(line, index === null ? latest(line.values) : line.values[index]);
  }
}
