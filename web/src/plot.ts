// One uPlot drawing: how its options follow from the lines. Nothing here knows about components.

import uPlot from "uplot";
import { lonely, stack, type Line } from "./series";
import { axisTimes } from "./time";
import { colours, paletteSize } from "./theme";
import { axisLabels, axisSteps, type Unit } from "./units";

export interface Drawing {
  times: number[];
  lines: Line[];
  unit: Unit;
  stacked: boolean;
  /** The axis reaches at least `atLeast` and never beyond `atMost`; with neither it follows the values alone. */
  atLeast?: number | undefined;
  atMost?: number | undefined;
}

export interface Listeners {
  /** The index under the cursor, null when it has left. */
  onCursor: (index: number | null) => void;
  /** A stretch of time was chosen by dragging. */
  onSelect: (start: number, end: number) => void;
}

/** rows are the values as drawn: summed up when stacked, mirrored below zero when they go down. */
export function rows(d: Drawing): uPlot.AlignedData {
  const values = d.lines.map((l) => (l.down ? l.values.map((v) => (v === null ? null : -v)) : l.values));
  return [d.times, ...(d.stacked ? stack(values) : values)];
}

/** range is the y axis' extent for the extremes of the data. */
export function range(d: Drawing, low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, d.atLeast ?? 1];
  if (d.atLeast === undefined && !d.stacked) {
    const [min, max] = uPlot.rangeNum(low, high, 0.1, true) as [number, number];
    return low >= 0 && min < 0 ? [0, max] : [min, max];
  }
  const down = d.lines.some((l) => l.down);
  const top = Math.min(Math.max(high * 1.08, d.atLeast ?? 0), d.atMost ?? Infinity);
  return [down ? Math.min(low * 1.08, -(d.atLeast ?? 0)) : Math.min(low, 0), Math.max(top, high) || 1];
}

const palette = Array.from({ length: paletteSize }, (_, i): `c${number}` => `c${i}`);
const names = ["line", "ink-3", "panel", ...palette] as const;

/** transparent thins a computed colour, "rgb(1, 2, 3)". */
const transparent = (rgb: string, alpha: number) => rgb.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);

/** make draws into `into`. The theme's colours are read once: another theme is another drawing. */
export function make(into: HTMLElement, d: Drawing, width: number, height: number, sync: string, on: Listeners): uPlot {
  const colour = colours(names);
  const of = (i: number): string => colour[`c${i % paletteSize}`] ?? colour.line;
  const font = `11px ${getComputedStyle(into).fontFamily}`;
  const axis = { stroke: colour["ink-3"], font, ticks: { show: false }, grid: { stroke: colour.line, width: 1 } };

  const series = d.lines.map((l): uPlot.Series => {
    const stroke = of(l.colour);
    return {
      label: l.name,
      stroke,
      // Areas have no outline: that of a line with nothing in it would hide the one below.
      width: d.stacked ? 0 : 1.5,
      ...(d.stacked ? { fill: transparent(stroke, 0.72) } : {}),
      ...(l.colour >= paletteSize ? { dash: [4, 3] } : {}),
      points: { show: () => false, filter: (u, i) => lonely(u.data[i] ?? []), size: 4, fill: stroke },
    };
  });

  const options: uPlot.Options = {
    width,
    height,
    padding: [10, 18, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      sync: { key: sync, scales: ["x", null] },
      drag: { x: true, y: false, setScale: false },
      points: { size: 6, width: 1.5, stroke: () => colour.panel },
    },
    scales: {
      // All that was asked for, so that a hole at either end is seen as one.
      x: { time: true, range: (u) => [u.data[0][0] ?? 0, u.data[0][u.data[0].length - 1] ?? 1] },
      y: { range: (_, low, high) => range(d, low, high) },
    },
    axes: [
      { ...axis, size: 24, space: 64, gap: 5, values: (_, splits, __, ___, step) => axisTimes(splits, step) },
      {
        ...axis,
        size: 62,
        space: 30,
        gap: 6,
        incrs: axisSteps(d.unit),
        values: (_, splits, __, ___, step) => axisLabels(d.unit, splits, step),
      },
    ],
    series: [{}, ...series],
    // Each line's area ends where the one below begins.
    bands: d.stacked ? d.lines.slice(1).map((_, i) => ({ series: [i + 2, i + 1] as [number, number] })) : [],
    hooks: {
      drawAxes: [(u) => d.lines.some((l) => l.down) && zero(u, colour["ink-3"])],
      setCursor: [(u) => on.onCursor(u.cursor.idx ?? null)],
      setSelect: [
        (u) => {
          const { left, width: wide } = u.select;
          if (wide < 4) return;
          on.onSelect(u.posToVal(left, "x"), u.posToVal(left + wide, "x"));
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
  return new uPlot(options, rows(d), into);
}

/** zero draws the line that parts the two directions. */
function zero(u: uPlot, colour: string) {
  const y = Math.round(u.valToPos(0, "y", true)) + 0.5;
  u.ctx.save();
  u.ctx.strokeStyle = colour;
  u.ctx.lineWidth = 1;
  u.ctx.beginPath();
  u.ctx.moveTo(u.bbox.left, y);
  u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
  u.ctx.stroke();
  u.ctx.restore();
}
