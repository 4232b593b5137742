// Target: how it came to be (relabelling, step by step), how it is, and what it says.

import { useState } from "preact/hooks";
import { api } from "../connection";
import { useLoad, useNow } from "../load";
import { differences, type Step } from "../relabel";
import { change, href } from "../router";
import { selector } from "../series";
import { absent, format } from "../units";
import { Choice, Failure, Waiting } from "../widgets";
import { Ago, LabelList, useSeconds, type TargetList, type TargetRow } from "./targets";

/** Characters by which the server looks for a target. */
const longest = 200;

export function Target({ params }: { params: URLSearchParams }) {
  const [now, renew] = useNow(0);
  useSeconds();
  const pool = params.get("pool") ?? "";
  const url = params.get("url");
  const instance = params.get("instance");
  const given = params.get("discovered");
  const tab = params.get("tab") === "raw" && url ? "raw" : "labels";
  const subject = `target ${pool} ${url} ${instance} ${given}`;
  const load = useLoad<TargetRow | null>(subject, String(now), async (signal) => {
    if (given) return { pool, state: "dropped", discovered: JSON.parse(given) };
    const list = await api.page<TargetList>("targets", { pool, q: instance ? `instance=${instance}`.slice(0, longest) : url?.slice(0, longest), limit: 500 }, signal);
    const same = (list.rows ?? []).filter((t) => t.url === url);
    return same.find((t) => t.labels?.instance === instance) ?? same[0] ?? null;
  });
  const { data: target, error } = load;
  return (
    <>
      <div class="bar">
        <h1>
          {target && <i class={`dot ${target.state}`} role="img" aria-label={target.state} />}
          {url ?? target?.discovered.__address__ ?? "Dropped target"} <small>{pool}</small>
        </h1>
        <span class="grow" />
        <a href={href("targets", { pool })}>All targets of {pool}</a>
      </div>
      {error && <Failure error={error} />}
      <Waiting load={load} text="Looking for the target …" />
      {target === null && <p class="empty tall">No such target is being scraped any more.</p>}
      {target && (
        <>
          {target.state !== "dropped" && <Facts target={target} />}
          {url && (
            <div class="bar">
              <Choice
                label="Show"
                value={tab}
                onChange={(t) => change({ tab: t === "raw" ? t : null })}
                options={[
                  ["labels", "How it was found"],
                  ["raw", "What it says"],
                ]}
              />
              {tab === "raw" && (
                <button type="button" class="live" onClick={renew}>
                  Ask it again
                </button>
              )}
            </div>
          )}
          {tab === "labels" && <Steps target={target} />}
          {tab === "raw" && url && <Raw pool={pool} url={url} now={now} />}
        </>
      )}
    </>
  );
}

function Facts({ target: t }: { target: TargetRow }) {
  return (
    <>
      {t.error && <p class="failure">{t.error}</p>}
      <dl class="facts">
        <div>
          <dt>State</dt>
          <dd>{t.state}</dd>
        </div>
        <div>
          <dt>Last scrape</dt>
          <dd>
            <Ago since={t.lastScrape} />
          </dd>
        </div>
        <div>
          <dt>Took</dt>
          <dd>{t.lastScrape ? format("seconds", t.seconds) : absent}</dd>
        </div>
        <div>
          <dt>Each</dt>
          <dd>{t.interval ?? absent}</dd>
        </div>
        <div>
          <dt>Its series</dt>
          <dd>
            <a href={href("query", { expr: `topk(100, count by (__name__) (${selector({ job: t.labels?.job ?? "", instance: t.labels?.instance ?? "" })}))` })}>count them</a>
          </dd>
        </div>
        <div class="wide">
          <dt>Labels of its series</dt>
          <dd>
            <LabelList labels={Object.entries(t.labels ?? {}).filter(([k]) => !k.startsWith("__"))} />
          </dd>
        </div>
      </dl>
    </>
  );
}

/** Steps shows what each relabelling rule did to the labels the target was discovered with. */
function Steps({ target }: { target: TargetRow }) {
  const key = JSON.stringify(target.discovered);
  const load = useLoad<{ steps: Step[] | null }>(`steps ${target.pool} ${key}`, "", (signal) =>
    api.v1("targets/relabel_steps", { scrapePool: target.pool, labels: key }, signal),
  );
  const steps = differences(target.discovered, load.data?.steps ?? []);
  return (
    <section class="part" id="steps">
      <h2>Discovered</h2>
      <div class="scroll">
        <table class="plain labels">
          <tbody>
            {Object.entries(target.discovered).map(([k, v]) => (
              <tr key={k}>
                <th scope="row">
                  <code>{k}</code>
                </th>
                <td>
                  <code>{v}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h2>Relabelling</h2>
      {load.error && <Failure error={load.error} />}
      {load.data && steps.length === 0 && <p class="empty">This job has no relabelling rules.</p>}
      <ol class="steps">
        {steps.map((s, i) => (
          <li key={i} class={s.dropped ? "dropped" : s.reached ? "" : "unreached"}>
            <code class="rule">{s.rule}</code>
            {s.dropped && <p class="bad">dropped here</p>}
            {!s.reached && <p class="note">not reached</p>}
            {s.reached && !s.dropped && s.changes.length === 0 && <p class="note">changes nothing</p>}
            <ul>
              {s.changes.map((c) => (
                <li key={c.name}>
                  <code>
                    {c.name}: {c.before !== undefined && <del>{c.before}</del>} {c.after !== undefined && <ins>{c.after}</ins>}
                  </code>
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** Lines of a target's answer that are drawn; the rest is found with the filter. */
const mostLines = 2000;

function Raw({ pool, url, now }: { pool: string; url: string; now: number }) {
  const load = useLoad<string[]>(`raw ${pool} ${url}`, String(now), async (signal) => (await api.raw(pool, url, signal)).split("\n"));
  const [words, setWords] = useState("");
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const lines = (load.data ?? []).filter((l) => l !== "" && wanted.every((w) => l.toLowerCase().includes(w)));
  return (
    <section class="part" id="raw">
      <div class="bar">
        <input
          type="search"
          class="filter"
          placeholder="Filter lines"
          aria-label="Filter lines"
          value={words}
          onInput={(e) => setWords(e.currentTarget.value)}
        />
        {load.data && (
          <span class="note">
            {lines.length.toLocaleString("en")} lines{lines.length > mostLines && `, the first ${mostLines} shown`}
          </span>
        )}
      </div>
      {load.error && <Failure error={load.error} />}
      {!load.data && !load.error && <p class="empty">Asking the target …</p>}
      {load.data && (
        <pre class="raw" tabIndex={0}>
          {lines.slice(0, mostLines).map((l, i) => (
            <span key={i} class={l.startsWith("#") ? "comment" : ""}>
              {l}
              {"\n"}
            </span>
          ))}
        </pre>
      )}
    </section>
  );
}
