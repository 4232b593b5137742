import assert from "node:assert/strict";
import test from "node:test";
import { panelLines, queryLines } from "../src/lines";
import type { Panel } from "../src/panels";
import { latest, legend, lonely, onGrid, quote, selector, stack, type Series } from "../src/series";

const span = { start: 0, end: 20, step: 10 };
const flat = (metric: Record<string, string>, v: number): Series => ({ metric, values: [[0, `${v}`], [10, `${v}`], [20, `${v}`]] });

test("what is not there, and what cannot be drawn, is a hole", () => {
  const samples: [number, string][] = [[0, "1"], [10, "NaN"], [30, "+Inf"], [40, "-0.5"], [50, "9"]];
  assert.deepEqual(onGrid(samples, 0, 10, 5), [1, null, null, null, -0.5]);
  assert.equal(latest([1, null]), null, "an old value is not the present one");
  assert.equal(latest([]), null);
});

test("stack: a hole in one line has no height, a hole in all is a hole", () => {
  assert.deepEqual(stack([[1, null, null], [2, 2, null]]), [[1, 0, null], [3, 2, null]]);
  assert.deepEqual(stack([]), []);
});

test("lonely points have no neighbour", () => {
  assert.deepEqual(lonely([1, null, 2, 3, null, 4]), [0, 5]);
  assert.deepEqual(lonely([]), []);
});

test("series as PromQL", () => {
  assert.equal(selector({ __name__: "up", job: "a" }), 'up{job="a"}');
  assert.equal(selector({ __name__: "up" }), "up");
  assert.equal(selector({}), "{}");
  assert.equal(quote('a"\\\n'), '"a\\"\\\\\\n"');
  assert.equal(legend("{{device}} of {{nothing}}", { device: "sda" }), "sda of ");
});

const panel: Panel = {
  id: "p",
  title: "p",
  unit: "number",
  empty: "",
  order: [
    ["b", 7],
    ["z", 1],
  ],
  queries: [
    { expr: "in", legend: "{{device}}" },
    { expr: "out", legend: "{{device}}", down: true },
  ],
};

test("panel lines: fixed order and colours, both directions of a name together", () => {
  const up = [flat({ device: "eth10" }, 1), flat({ device: "eth2" }, 2), flat({ device: "b" }, 3)];
  const { lines, more, times } = panelLines(panel, [up, [flat({ device: "eth2" }, 5)]], span, 10);
  assert.deepEqual(times, [0, 10, 20]);
  assert.equal(more, 0);
  assert.deepEqual(
    lines.map((l) => [l.name, l.colour, l.down ?? false]),
    [["b", 7, false], ["eth2", 2, false], ["eth2", 2, true], ["eth10", 3, false]],
    "b has its own colour, the others the next ones",
  );
});

test("panel lines: too many names leave those with the highest peaks", () => {
  const many = Array.from({ length: 30 }, (_, i) => flat({ device: `veth${i}` }, i));
  const { lines, more } = panelLines(panel, [many, []], span, 4);
  assert.deepEqual(lines.map((l) => l.name), ["veth26", "veth27", "veth28", "veth29"]);
  assert.equal(more, 26);
});

test("query lines: the first ones, and how many not", () => {
  const many = Array.from({ length: 5 }, (_, i) => flat({ __name__: "m", i: `${i}` }, i));
  const { lines, more } = queryLines([...many, { metric: {}, histograms: [] }], span, 3);
  assert.deepEqual(lines.map((l) => l.name), ['m{i="0"}', 'm{i="1"}', 'm{i="2"}']);
  assert.equal(more, 2, "a native histogram is no line");
});
