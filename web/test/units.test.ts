import assert from "node:assert/strict";
import test from "node:test";
import { axisLabels, format, span, type Unit } from "../src/units";

test("format", () => {
  const rows: [Unit, number | null | undefined, string][] = [
    ["percent", 0, "0%"],
    ["percent", 1, "100%"],
    ["percent", 0.1234, "12.3%"],
    ["percent", 0.0004, "0.04%"],
    ["percent", 0.00000001, "<0.01%"],
    ["bytes", 0, "0 B"],
    ["bytes", 1023, "1023 B"],
    ["bytes", 1023.7, "1 KiB"],
    ["bytes", 1536, "1.5 KiB"],
    ["bytes", 64 * 2 ** 30, "64 GiB"],
    ["bytes/s", -2048, "-2 KiB/s"],
    ["ops/s", 1234, "1.23k/s"],
    ["seconds", 0.00042, "420 µs"],
    ["seconds", 3.21, "3.21 s"],
    ["seconds", 3 * 86400 + 4 * 3600 + 59, "3d 4h"],
    ["number", 999.6, "1k"],
    ["number", 0.00012345, "0.000123"],
    ["number", 1e-9, "1.00e-9"],
    ["number", null, "–"],
    ["number", undefined, "–"],
    ["percent", NaN, "–"],
    ["bytes", Infinity, "–"],
  ];
  for (const [unit, v, want] of rows) assert.equal(format(unit, v), want, `${unit} ${v}`);
});

test("span", () => {
  const rows: [number, string][] = [
    [0, "0s"],
    [12.9, "12s"],
    [80, "1m 20s"],
    [3600, "1h"],
    [90061, "1d 1h"],
    [-3, "0s"],
  ];
  for (const [sec, want] of rows) assert.equal(span(sec), want, String(sec));
});

test("axis labels share one unit and need no more decimals than their step", () => {
  assert.deepEqual(axisLabels("percent", [0, 0.25, 0.5], 0.25), ["0%", "25%", "50%"]);
  assert.deepEqual(axisLabels("percent", [0, 0.025, 0.05], 0.025), ["0%", "2.5%", "5.0%"]);
  assert.deepEqual(axisLabels("bytes", [0, 2 ** 29, 2 ** 30], 2 ** 29), ["0", "0.5 GiB", "1.0 GiB"]);
  assert.deepEqual(axisLabels("bytes/s", [-1024, 0, 1024], 1024), ["1 KiB", "0", "1 KiB"], "two directions");
  assert.deepEqual(axisLabels("number", [-2, 0, 2], 2), ["-2", "0", "2"]);
});
