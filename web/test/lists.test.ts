import assert from "node:assert/strict";
import test from "node:test";
import { appPanels, fill, heads, panels, podPanels } from "../src/panels";
import { differences, write, type Step } from "../src/relabel";
import { appSelector, podSelector } from "../src/selectors";

test("the pods of an application are selected by how their controller names them", () => {
  const app = { namespace: "team", kind: "Deployment", app: "shop.web" };
  const matches = (kind: string, name: string) => {
    const pattern = /pod=~"(.*)"$/.exec(appSelector({ ...app, kind }, []))?.[1]?.replaceAll("\\\\", "\\") ?? "";
    return new RegExp(`^(?:${pattern})$`).test(name);
  };
  for (const [kind, name, want] of [
    ["Deployment", "shop.web-5f7d8c9b4-x2x2x", true],
    ["Deployment", "shop.web-api-5f7d8c9b4-x2x2x", false],
    ["Deployment", "shopxweb-5f7d8c9b4-x2x2x", false],
    ["StatefulSet", "shop.web-12", true],
    ["StatefulSet", "shop.web-a", false],
    ["DaemonSet", "shop.web-x2x2x", true],
    ["CronJob", "shop.web-29012345-x2x2x", true],
  ] as const) {
    assert.equal(matches(kind, name), want, `${kind} ${name}`);
  }
  const present = [{ pod: "a.b" }, { pod: "c" }].map((p) => ({ ...p, namespace: "team", state: "up" as const, restarts: 0 }));
  assert.equal(appSelector({ ...app, kind: "tier" }, present), 'cluster="",namespace="team",pod=~"a\\\\.b|c"');
  assert.equal(podSelector({ cluster: "c", namespace: "n", pod: 'p"' }), 'cluster="c",namespace="n",pod="p\\""');
});

test("relabelling: what each rule changed, and which one dropped the target", () => {
  const steps: Step[] = [
    { rule: { source_labels: ["a"], separator: ";", regex: "(.*)", target_label: "b", replacement: "$1", action: "replace" }, output: { a: "1", b: "1" }, keep: true },
    { rule: { regex: "a", action: "labeldrop", separator: ";", replacement: "$1" }, output: { b: "1" }, keep: true },
    { rule: { source_labels: ["b", "c"], separator: ";", regex: "2;", action: "keep", replacement: "$1" }, output: {}, keep: false },
    { rule: { regex: "x", action: "labelkeep" }, output: {}, keep: false },
  ];
  assert.deepEqual(differences({ a: "1" }, steps), [
    { rule: "replace [a] → b", changes: [{ name: "b", after: "1" }], dropped: false, reached: true },
    { rule: "labeldrop =~ a", changes: [{ name: "a", before: "1" }], dropped: false, reached: true },
    { rule: "keep [b, c] =~ 2;", changes: [], dropped: true, reached: true },
    { rule: "labelkeep =~ x", changes: [], dropped: false, reached: false },
  ]);
  assert.equal(write({ source_labels: ["x"], modulus: 4, target_label: "__tmp", action: "hashmod" }), "hashmod [x] mod 4 → __tmp");
  assert.equal(write({ target_label: "job", replacement: "web" }), 'replace → job = "web"');
});

test("every expression that is drawn is filled in, and only once", () => {
  const exprs = [...[...panels, ...podPanels, ...appPanels].flatMap((p) => p.queries), ...heads].map((q) => q.expr);
  for (const e of exprs) {
    const text = fill(e, 'instance="$w"', "1m");
    assert.match(text, /\{instance="\$w"[,}]/, e);
    assert.doesNotMatch(text.replaceAll('instance="$w"', ""), /\$/, e);
  }
  for (const set of [[...panels, ...heads.map((h) => ({ id: `head-${h.id}` }))], podPanels, appPanels]) {
    const ids = set.map((p) => p.id);
    assert.equal(new Set(ids).size, ids.length, "ids are unique");
  }
});
