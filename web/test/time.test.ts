import assert from "node:assert/strict";
import test from "node:test";
import { alignedSpan, chooseStep, duration, parseDuration, parseTime, rateWindow, scrapeInterval, writeTime } from "../src/time";

test("durations as Prometheus writes them", () => {
  const rows: [string, number | null][] = [
    ["15s", 15],
    ["1h30m", 5400],
    ["7d", 604800],
    ["500ms", 0.5],
    ["", null],
    ["0s", null],
    ["1.5h", null],
    ["h", null],
    ["1h x", null],
  ];
  for (const [text, want] of rows) assert.equal(parseDuration(text), want, text);
  assert.equal(duration(90), "1m30s");
  assert.equal(duration(604800), "7d");
  assert.equal(duration(0.2), "1s", "never an empty window");
});

test("the step is round, no finer than the scrapes, and bounded", () => {
  assert.equal(chooseStep(3600, 600, 15), 20);
  assert.equal(chooseStep(900, 600, 15), 15, "not finer than what was scraped");
  assert.equal(chooseStep(900, 600, 1), 5);
  assert.equal(chooseStep(7 * 86400, 600, 15), 3600);
  assert.equal(chooseStep(3600, 0, 15), 60, "a width not yet known");
  assert.equal(chooseStep(10 * 365 * 86400, 600, 15) % 86400, 0);
  for (const range of [900, 3600, 86400, 604800, 86400 * 365]) {
    assert.ok(range / chooseStep(range, 4000, 1) <= 1000, `${range}`);
  }
});

test("a rate looks over four scrapes and over every step", () => {
  assert.equal(rateWindow(15, 15), 60);
  assert.equal(rateWindow(3600, 15), 3615);
  assert.equal(rateWindow(1, 0.5), 2);
});

test("the scrape interval is the usual distance, one hole or not", () => {
  assert.equal(scrapeInterval([0, 15, 30, 90, 105.01], 60), 15);
  assert.equal(scrapeInterval([7], 60), 60);
  assert.equal(scrapeInterval([0, 0.2, 0.4], 60), 1, "a whole second at least");
});

test("a later end within the same step asks the same", () => {
  assert.deepEqual(alignedSpan(1007, 60, 10), { start: 940, end: 1000, step: 10 });
  assert.deepEqual(alignedSpan(1000, 60, 10), alignedSpan(1009.9, 60, 10));
});

test("points in time in an address", () => {
  assert.equal(parseTime("2026-01-02T03:04:05Z"), 1767323045);
  assert.equal(parseTime("1767323045"), 1767323045);
  assert.equal(parseTime("yesterday"), null);
  assert.equal(parseTime(null), null);
  assert.equal(writeTime(1767323045.4), "2026-01-02T03:04:05Z");
  assert.equal(writeTime(null), null);
});
