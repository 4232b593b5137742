import assert from "node:assert/strict";
import test from "node:test";
import { Api, ApiError, AwayError, isAbort } from "../src/api";

const never = new AbortController().signal;

function answering(status: number, body: string, reached: unknown[] = []) {
  const seen: { url: string; init: RequestInit }[] = [];
  const api = new Api({
    base: "http://here/prefix/",
    fetch: async (url, init) => {
      seen.push({ url: String(url), init: init ?? {} });
      return new Response(body, { status, statusText: status === 502 ? "Bad Gateway" : "" });
    },
    onReach: (f) => reached.push(f?.message ?? null),
  });
  return { api, seen };
}

test("a query: its parameters, its answer, its remarks", async () => {
  const { api, seen } = answering(200, '{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["w"]}');
  assert.deepEqual(await api.query('up{a="+"}', 12.5, never, 7), {
    data: { resultType: "vector", result: [] },
    warnings: ["w"],
    infos: [],
  });
  assert.equal(seen[0]?.url, "http://here/prefix/api/v1/query");
  assert.equal(String(seen[0]?.init.body), "query=up%7Ba%3D%22%2B%22%7D&limit=7&time=12.5");
  await api.queryRange("up", { start: 0, end: 60, step: 15 }, never);
  assert.equal(String(seen[1]?.init.body), "query=up&start=0&end=60&step=15&limit=0");
});

test("the page's own paths, and a target's raw answer", async () => {
  const { api, seen } = answering(200, '{"status":"success","data":{"total":1}}');
  assert.deepEqual(await api.page("pods", { q: "a b&c", state: "", node: null, limit: 50 }, never), { total: 1 });
  assert.equal(seen[0]?.url, "http://here/prefix/api/page/pods?q=a+b%26c&limit=50");
  assert.equal(await answering(200, "up 1\n").api.raw("job", "http://a:1/metrics?x=1", never), "up 1\n");
  const refused = answering(404, '{"status":"error","error":"no such target"}').api;
  await assert.rejects(refused.raw("job", "u", never), new ApiError("no such target"));
});

test("a refusal is the API's own words, and the API is there", async () => {
  const reached: unknown[] = [];
  const { api } = answering(400, '{"status":"error","errorType":"bad_data","error":"parse error"}', reached);
  await assert.rejects(api.query("(", null, never), new ApiError("bad_data: parse error"));
  assert.deepEqual(reached, [null]);
});

test("an answer that is not the API's is no answer", async () => {
  const reached: unknown[] = [];
  const { api } = answering(502, "<html>", reached);
  await assert.rejects(api.page("targets", {}, never), new AwayError("The collector answered 502 Bad Gateway."));
  assert.deepEqual(reached, ["The collector answered 502 Bad Gateway."]);
});

test("no more than the places are under way; who waits can leave", async () => {
  const open: (() => void)[] = [];
  const api = new Api({
    base: "http://here/",
    places: 2,
    fetch: () => new Promise((resolve) => open.push(() => resolve(new Response('{"status":"success","data":{}}')))),
  });
  const third = new AbortController();
  const done: string[] = [];
  const note = (n: string) => () => done.push(n);
  const all = [
    api.reach(never).then(note("1")),
    api.reach(never).then(note("2")),
    api.reach(third.signal).catch((e) => done.push(isAbort(e) ? "3 left" : "3 failed")),
    api.reach(never).then(note("4")),
  ];
  const settle = () => new Promise((r) => setTimeout(r));
  await settle();
  assert.equal(open.length, 2);
  third.abort();
  await settle();
  assert.deepEqual(done, ["3 left"]);
  open[0]?.();
  await settle();
  assert.equal(open.length, 3, "the place goes to the fourth");
  open[1]?.();
  open[2]?.();
  await Promise.all(all);
  assert.deepEqual(done, ["3 left", "1", "2", "4"]);
  await assert.rejects(api.reach(third.signal), isAbort);
});
