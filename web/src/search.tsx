// Search from anywhere: pods by address or name, nodes, applications. "/" goes to the box, arrows choose, Enter opens.

import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "./connection";
import { hitHref, type Cost, type Hit } from "./fleet";
import { useLoad } from "./load";
import { go, href, usePlace } from "./router";
import { parseTime } from "./time";

const whats = { node: "Node", pod: "Pod", app: "Application" };

/** How long the box waits for the next letter before it asks. */
const patienceMs = 120;

export function Search() {
  const time = usePlace().params.get("time");
  const [text, setText] = useState("");
  const [asked, ask] = useState("");
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const box = useRef<HTMLInputElement>(null);
  const { data, error, loading } = useLoad<{ total: number; hits: Hit[]; cost: Cost }>("search", asked ? JSON.stringify([asked, time]) : null, (signal) =>
    api.page("search", { q: asked, at: parseTime(time) }, signal),
  );
  const hits = asked && data ? data.hits : [];

  useEffect(() => {
    const timer = window.setTimeout(() => (ask(text.trim()), setAt(0)), patienceMs);
    return () => window.clearTimeout(timer);
  }, [text]);

  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      const el = e.target as HTMLElement | null;
      const writes = el?.matches("input, textarea, select, [contenteditable]") || el?.shadowRoot;
      if (e.key !== "/" || writes || e.ctrlKey || e.metaKey || e.altKey) return;
      e.preventDefault();
      box.current?.focus();
      box.current?.select();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);

  const leave = () => {
    setOpen(false);
    box.current?.blur();
  };
  const follow = (h: Hit | undefined) => {
    if (h) go(hitHref(h));
    else if (text.trim()) go(href("pods", { q: text.trim() }));
    setText("");
    leave();
  };
  const onKey = (e: KeyboardEvent) => {
    if (e.key === "Escape") leave();
    else if (e.key === "ArrowDown") setAt(Math.min(hits.length - 1, at + 1));
    else if (e.key === "ArrowUp") setAt(Math.max(0, at - 1));
    else if (e.key === "Enter" && text.trim() === asked && !loading) follow(hits[at]);
    else return;
    e.preventDefault();
  };

  return (
    <div
      class="search"
      role="search"
      onFocusOut={(e) => {
        if (!(e.currentTarget as Element).contains(e.relatedTarget as Element | null)) setOpen(false);
      }}
    >
      <input
        ref={box}
        type="search"
        placeholder="Pod, IP, node, application"
        aria-label="Search pods by name or address, nodes, applications"
        aria-keyshortcuts="/"
        role="combobox"
        list={undefined}
        aria-expanded={open && asked !== ""}
        aria-controls="hits"
        aria-activedescendant={hits[at] ? `hit-${at}` : undefined}
        autocomplete="off"
        spellcheck={false}
        value={text}
        onInput={(e) => (setText(e.currentTarget.value), setOpen(true))}
        onFocus={() => setOpen(true)}
        onKeyDown={onKey}
      />
      <kbd aria-hidden="true">/</kbd>
      {open && asked !== "" && (
        <div class="hits" id="hits" role="listbox" aria-label="Found" aria-busy={loading}>
          {hits.map((h, i) => (
            <a
              key={`${h.what} ${h.cluster} ${h.namespace} ${h.kind} ${h.name} ${h.instance}`}
              id={`hit-${i}`}
              role="option"
              aria-selected={i === at}
              tabIndex={-1}
              href={hitHref(h)}
              onMouseMove={() => setAt(i)}
              onClick={() => (setText(""), leave())}
            >
              <i class={`dot ${h.state}`} aria-label={h.state} />
              <span class="name">
                {h.namespace && <small>{h.namespace}/</small>}
                {h.name}
              </span>
              <small>{[h.kind || whats[h.what], h.note, h.cluster].filter(Boolean).join(" · ")}</small>
            </a>
          ))}
          {data && data.total > hits.length && <p class="note">The first {hits.length} of {data.total.toLocaleString("en")}.</p>}
          {error && <p class="note warn">{error.message}</p>}
          {data && hits.length === 0 && !loading && <p class="note">Nothing is called so.</p>}
        </div>
      )}
    </div>
  );
}
