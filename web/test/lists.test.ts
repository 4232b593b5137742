import assert from "node:assert/strict";
import test from "node:test";
import type { Target } from "../src/api";
import { hostsFrom, matchers } from "../src/hosts";
import { fill, heads, panels } from "../src/panels";
import { count, filter, rowsFrom } from "../src/targets";

const target = (over: Partial<Target>): Target => ({
  scrapePool: "node",
  scrapeUrl: "http://a:9100/metrics",
  labels: { job: "node", instance: "a:9100" },
  health: "up",
  lastError: "",
  lastScrape: "2026-01-02T03:04:05Z",
  lastScrapeDuration: 0.01,
  scrapeInterval: "15s",
  ...over,
});

test("targets: unhealthy first, then by job and endpoint", () => {
  const rows = rowsFrom([
    target({ scrapeUrl: "http://n10/" }),
    target({ scrapeUrl: "http://n2/" }),
    target({ scrapePool: "a", health: "unknown", lastScrape: "0001-01-01T00:00:00Z" }),
    target({ scrapePool: "z", health: "down", lastError: "Connection refused" }),
  ]);
  assert.deepEqual(
    rows.map((r) => [r.health, r.target.scrapePool, r.target.scrapeUrl]),
    [
      ["down", "z", "http://a:9100/metrics"],
      ["unknown", "a", "http://a:9100/metrics"],
      ["up", "node", "http://n2/"],
      ["up", "node", "http://n10/"],
    ],
  );
  assert.equal(rows[1]?.scraped, null, "Go's zero time is no scrape");
  assert.deepEqual(count(rows), { down: 1, unknown: 1, up: 2 });
  assert.equal(filter(rows, "", "refused  Z").length, 1, "every word, any case, errors too");
  assert.equal(filter(rows, "up", "refused").length, 0);
  assert.equal(filter(rows, "", ' instance="a:9100" ').length, 4);
  assert.deepEqual(rows[2]?.labels, [["instance", "a:9100"]], "the job column says the job");
});

test("hosts are told apart by what their series differ in", () => {
  const hosts = hostsFrom([
    { nodename: "n10", instance: "10.0.0.10:9100", job: "node" },
    { nodename: "n2", instance: "10.0.0.2:9100", job: "node", cluster: "b" },
    { nodename: "n2", instance: "10.0.0.2:9100", job: "node", cluster: "a" },
    { nodename: "n2", instance: "10.0.0.2:9100", job: "extra", cluster: "a" },
    { nodename: "n2-renamed", instance: "10.0.0.10:9100", job: "node" },
  ]);
  assert.deepEqual(
    hosts.map((h) => `${h.name} ${h.where}`),
    ["n2 10.0.0.2:9100 · a · extra", "n2 10.0.0.2:9100 · a · node", "n2 10.0.0.2:9100 · b", "n2-renamed 10.0.0.10:9100"],
  );
  assert.equal(matchers(hosts[2]!), 'cluster="b",job="node",instance="10.0.0.2:9100"');
  assert.deepEqual(hostsFrom([]), []);
});

test("every expression of the overview is filled in, and only once", () => {
  const exprs = [...panels.flatMap((p) => p.queries), ...heads].map((q) => q.expr);
  for (const e of exprs) {
    const text = fill(e, 'instance="$w"', "1m");
    assert.match(text, /\{instance="\$w"[,}]/, e);
    assert.doesNotMatch(text.replaceAll('instance="$w"', ""), /\$/, e);
  }
  const ids = [...panels, ...heads.map((h) => ({ id: `head-${h.id}` }))].map((p) => p.id);
  assert.equal(new Set(ids).size, ids.length, "ids are unique");
});
