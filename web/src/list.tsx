// Lists that the server filters, sorts and cuts: a table whose address says what it shows, with a filter, the states
// to choose from, headings that sort, pages, and the keyboard.

import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import type { Cost } from "./fleet";
import type { Load } from "./load";
import { change, go } from "./router";
import { parseTime } from "./time";
import { absent, format } from "./units";
import { Choice, Failure, Waiting } from "./widgets";

/** Rows of one page. */
export const pageSize = 50;

export interface Column<T> {
  /** What the server sorts by; none: it does not. */
  sort?: string;
  name: string;
  right?: true;
  /** Sorted downwards at the first press: the largest is what one looks for. */
  down?: true;
  /** A class for its cells: where a narrow screen puts them. */
  at?: string;
  show: (row: T) => ComponentChildren;
}

interface ListProps<T> {
  /** Class of the table. */
  name: string;
  columns: Column<T>[];
  load: Load<{ total: number; rows: T[]; cost?: Cost }>;
  params: URLSearchParams;
  keyOf: (row: T) => string;
  /** Where a row leads. */
  hrefOf?: (row: T) => string;
  /** Said where there is no row. */
  empty: ComponentChildren;
  waiting: string;
}

/** listParams is what the server is told of the address. */
export function listParams(params: URLSearchParams): Record<string, string | number | null> {
  const page = Math.max(0, Number(params.get("page") ?? "1") - 1 || 0);
  return {
    q: params.get("q"),
    state: params.get("state"),
    sort: params.get("sort"),
    desc: params.get("desc"),
    offset: page * pageSize,
    limit: pageSize,
    at: parseTime(params.get("time")),
  };
}

export function List<T>({ name, columns, load, params, keyOf, hrefOf, empty, waiting }: ListProps<T>) {
  const { data, error, loading } = load;
  const body = useRef<HTMLTableSectionElement>(null);
  const rows = data?.rows ?? [];
  // Arrows (or j and k) go from row to row, Enter follows the row's link.
  const onKey = (e: KeyboardEvent) => {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[e.key];
    const links = [...(body.current?.querySelectorAll<HTMLElement>("a.row") ?? [])];
    const at = links.indexOf(document.activeElement as HTMLElement);
    if (step === undefined || at < 0 || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    links[Math.min(links.length - 1, Math.max(0, at + step))]?.focus();
  };
  return (
    <>
      {error && <Failure error={error} />}
      <Waiting load={load} text={waiting} />
      {data && rows.length === 0 && <div class="empty">{empty}</div>}
      {rows.length > 0 && (
        <div class="scroll">
          <table class={`list ${name}`} aria-busy={loading} onKeyDown={onKey} role="table">
            <thead role="rowgroup">
              <tr role="row">
                {columns.map((c) => (
                  <Heading key={c.name} column={c} params={params} />
                ))}
              </tr>
            </thead>
            <tbody ref={body} role="rowgroup">
              {rows.map((r) => (
                <tr
                  key={keyOf(r)}
                  role="row"
                  class={hrefOf ? "leads" : undefined}
                  onClick={(e) => {
                    // The whole row is the link; what is inside it and is one itself goes first.
                    if (hrefOf && !(e.target as Element).closest("a, button, summary") && !String(getSelection())) go(hrefOf(r));
                  }}
                >
                  {columns.map((c, i) => (
                    <td key={c.name} role="cell" class={[c.right ? "right" : "", c.at ?? ""].join(" ").trim() || undefined}>
                      {i === 0 && hrefOf ? (
                        <a class="row" href={hrefOf(r)}>
                          {c.show(r)}
                        </a>
                      ) : (
                        c.show(r)
                      )}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {data && <Pager total={data.total} shown={rows.length} params={params} />}
      {data?.cost && <Foot cost={data.cost} />}
    </>
  );
}

function Heading<T>({ column: c, params }: { column: Column<T>; params: URLSearchParams }) {
  const mine = c.sort !== undefined && params.get("sort") === c.sort;
  const down = params.get("desc") === "1";
  const cls = [c.right ? "right" : "", c.at ?? ""].join(" ").trim() || undefined;
  if (c.sort === undefined) {
    return (
      <th scope="col" role="columnheader" class={cls}>
        {c.name}
      </th>
    );
  }
  // First its own direction, then the other, then the list's own order.
  const first = c.down ? "1" : null;
  const next = !mine ? { sort: c.sort, desc: first } : down === (first === "1") ? { sort: c.sort, desc: down ? null : "1" } : { sort: null, desc: null };
  return (
    <th scope="col" role="columnheader" class={cls} aria-sort={mine ? (down ? "descending" : "ascending") : "none"}>
      <button type="button" onClick={() => change({ ...next, page: null })}>
        {c.name}
        {mine && (down ? " ↓" : " ↑")}
      </button>
    </th>
  );
}

function Pager({ total, shown, params }: { total: number; shown: number; params: URLSearchParams }) {
  const page = Math.max(1, Number(params.get("page") ?? "1") || 1);
  const pages = Math.ceil(total / pageSize);
  if (pages <= 1 && page === 1) return null;
  const first = (page - 1) * pageSize;
  return (
    <nav class="pager" aria-label="Pages">
      <button type="button" disabled={page <= 1} onClick={() => change({ page: page > 2 ? String(page - 1) : null })}>
        ← Before
      </button>
      <span>
        {shown > 0 ? `${(first + 1).toLocaleString("en")}–${(first + shown).toLocaleString("en")}` : "none"} of {total.toLocaleString("en")}
      </span>
      <button type="button" disabled={page >= pages} onClick={() => change({ page: String(page + 1) })}>
        After →
      </button>
    </nav>
  );
}

/** Foot tells what an answer cost, and which parts of it are missing. */
export function Foot({ cost }: { cost: Cost }) {
  return (
    <>
      {cost.missing?.map((m) => (
        <p class="note warn" role="status" key={m}>
          Not answered: {m}
        </p>
      ))}
      <p class="note cost" data-queries={cost.queries} data-ms={(cost.seconds * 1000).toFixed(1)}>
        {cost.queries === 0 ? "no query" : cost.queries === 1 ? "1 query" : `${cost.queries} queries`}
        {cost.samples > 0 && `, ${format("number", cost.samples)} samples`}, {format("seconds", cost.seconds)}
        {cost.age >= 1 && `, ${Math.round(cost.age)} s old`}
      </p>
    </>
  );
}

/** Filter is the box that narrows a list; it replaces the address and adds nothing to the history. */
export function Filter({ params, label }: { params: URLSearchParams; label: string }) {
  return (
    <input
      type="search"
      class="filter"
      placeholder={label}
      aria-label={label}
      value={params.get("q") ?? ""}
      onInput={(e) => change({ q: e.currentTarget.value, page: null }, true)}
    />
  );
}

interface StatesProps {
  params: URLSearchParams;
  counts: Record<string, number> | undefined;
  all: number | undefined;
  states: readonly (readonly [state: string, name: string])[];
}

/** States chooses one of the states, each with how many there are. */
export function States({ params, counts, all, states }: StatesProps) {
  return (
    <Choice
      label="State"
      value={params.get("state") ?? ""}
      onChange={(v) => change({ state: v, page: null })}
      options={[["", <Count name="All" n={all} />] as const, ...states.map(([s, name]) => [s, <Count name={name} n={counts?.[s]} mark={s} />] as const)]}
    />
  );
}

function Count({ name, n, mark }: { name: string; n: number | undefined; mark?: string }) {
  return (
    <>
      {mark && <i class={`dot ${mark}`} aria-hidden="true" />}
      {name} <b>{n?.toLocaleString("en") ?? absent}</b>
    </>
  );
}

/** sum adds up the states of a list. */
export const sum = (counts: Record<string, number> | undefined): number | undefined =>
  counts && Object.values(counts).reduce((a, b) => a + b, 0);
