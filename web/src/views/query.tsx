// Query: any PromQL expression, as a table of one moment or as a graph of a stretch of time. The address holds
// everything, so it can be handed on; running a query is going to its address.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Editor } from "../editor/editor";
import { RangeChoice, timeOf, useRefresh } from "../controls";
import { useNow } from "../load";
import { QueryGraph } from "../querygraph";
import { QueryTable } from "../querytable";
import { change } from "../router";
import { fromLocalInput, toLocalInput, writeTime } from "../time";
import { Choice } from "../widgets";

export function Query({ params }: { params: URLSearchParams }) {
  const expr = params.get("expr") ?? params.get("g0.expr") ?? "";
  const tab = tabOf(params);
  const { range, seconds, time } = timeOf(params, params.get("g0.range_input") ?? "1h");
  const [text, setText] = useState(expr);
  const [refresh, control] = useRefresh("query", "0");
  const [now, renew] = useNow(time === null && expr ? refresh : 0);
  useEffect(() => setText(expr), [expr]);

  const run = () => {
    const wanted = text.trim();
    // The links of Prometheus' alerts (g0.*) become our own form here.
    if (wanted !== expr) change({ expr: wanted, tab, range, "g0.expr": null, "g0.tab": null, "g0.range_input": null });
    else renew();
  };
  const place = { expr, end: time ?? now, time };

  return (
    <>
      <div class="bar">
        <h1>Query</h1>
        <span class="grow" />
        {time === null && control}
      </div>
      <Box given={expr} text={text} onText={setText} onRun={run} />
      <div class="bar">
        <Choice
          label="Show as"
          value={tab}
          onChange={(t) => change({ tab: t })}
          options={[
            ["table", "Table"],
            ["graph", "Graph"],
          ]}
        />
        <span class="grow" />
        {tab === "graph" && <RangeChoice value={range} onChange={(r) => change({ range: r })} />}
        <label class="pick">
          <span>{tab === "graph" ? "Until" : "At"}</span>
          <input
            type="datetime-local"
            step="1"
            value={toLocalInput(time)}
            onChange={(e) => change({ time: writeTime(fromLocalInput(e.currentTarget.value)) })}
          />
        </label>
        {time !== null && (
          <button type="button" class="live" onClick={() => change({ time: null })}>
            now
          </button>
        )}
      </div>
      {expr === "" && <p class="empty">Write an expression: up, or rate(node_network_receive_bytes_total[5m]).</p>}
      {expr !== "" && tab === "table" && <QueryTable {...place} />}
      {expr !== "" && tab === "graph" && <QueryGraph {...place} range={seconds} />}
    </>
  );
}

/** tabOf reads the tab; in Prometheus' own links 1 is the table. */
function tabOf(params: URLSearchParams): "table" | "graph" {
  const t = params.get("tab") ?? params.get("g0.tab");
  return t === "graph" || t === "0" ? "graph" : "table";
}

interface BoxProps {
  /** The expression of the address: the box is set to it, and to nothing else while somebody writes. */
  given: string;
  text: string;
  onText: (text: string) => void;
  onRun: () => void;
}

// The editor's script is fetched once, at the first look at this view.
let fetched: Promise<typeof import("../editor/editor")> | undefined;
const fetchEditor = () => {
  const address = document.querySelector<HTMLMetaElement>('meta[name="editor"]')?.content ?? "";
  return (fetched ??= import(new URL(address, document.baseURI).href) as Promise<typeof import("../editor/editor")>);
};

const label = "PromQL expression. Enter runs it, Shift and Enter begin a new line, Tab completes.";
const hint = "PromQL expression";

function Box({ given, text, onText, onRun }: BoxProps) {
  const host = useRef<HTMLDivElement>(null);
  const area = useRef<HTMLTextAreaElement>(null);
  const editor = useRef<Editor | null>(null);
  const [ready, setReady] = useState(false);
  // The editor calls what is of now, not of when it was made.
  const now = useRef({ text, onText, onRun });
  now.current = { text, onText, onRun };

  useEffect(() => {
    let gone = false;
    fetchEditor().then(
      ({ attach }) => {
        if (gone || !host.current) return;
        const focused = document.activeElement === area.current;
        editor.current = attach(host.current, {
          text: now.current.text,
          base: document.baseURI.replace(/\/[^/]*$/, ""),
          label,
          hint,
          onText: (t) => now.current.onText(t),
          onRun: () => now.current.onRun(),
        });
        setReady(true);
        if (focused) editor.current.focus();
      },
      () => (fetched = undefined), // the plain box stays; the next visit tries again
    );
    return () => {
      gone = true;
      editor.current?.destroy();
      editor.current = null;
    };
  }, []);

  useEffect(() => editor.current?.set(given), [given]);

  useEffect(() => {
    const el = area.current;
    if (!el) return;
    el.style.height = "auto";
    el.style.height = `${el.scrollHeight + 2}px`;
  }, [text]);

  return (
    <form
      class="expr"
      onSubmit={(e) => {
        e.preventDefault();
        onRun();
      }}
    >
      <div ref={host} class="editor" data-ready={ready} hidden={!ready} />
      {!ready && (
        <textarea
          ref={area}
          rows={1}
          aria-label={label}
          placeholder={hint}
          spellcheck={false}
          autocapitalize="off"
          autocomplete="off"
          value={text}
          onInput={(e) => onText(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
            e.preventDefault();
            onRun();
          }}
        />
      )}
      <button type="submit" class="run">
        Run
      </button>
    </form>
  );
}
