// The head of the overview: who the host is and its numbers of now.

import { AwayError } from "./api";
import { api } from "./connection";
import { useLoad } from "./load";
import { fill, heads, type Head } from "./panels";
import { legend, number, type Labels } from "./series";
import { format } from "./units";

interface Reading {
  value: number | null;
  labels: Labels;
  second: number | null;
}

interface Props {
  name: string;
  sel: string;
  time: number;
  window: string;
  ready: boolean;
}

export function HeadRow({ name, sel, time, window, ready }: Props) {
  const key = ready ? `${time} ${window}` : null;
  const ask = async (expr: string, signal: AbortSignal) => {
    const { data } = await api.query(fill(expr, sel, window), time, signal, 1);
    return data.resultType === "vector" ? data.result[0] : undefined;
  };
  const uname = useLoad(sel, key, async (signal) => (await ask("node_uname_info{$host}", signal)) ?? null);
  const u = uname.data?.metric;
  return (
    <section class="head" aria-label="Now">
      <dl class="tiles">
        {heads.map((h) => (
          <Tile key={h.id} head={h} sel={sel} at={key} ask={ask} />
        ))}
        <div class="tile wide" id="head-system">
          <dt>System</dt>
          <dd class="name">{u?.nodename ?? name}</dd>
          <dd class="sub">{u ? system(u) : uname.data === null ? "does not report now" : ""}</dd>
        </div>
      </dl>
    </section>
  );
}

/** system names the kernel and the machine: Linux 6.1.0 · x86_64. */
function system(u: Labels): string {
  return [[u.sysname, u.release].filter(Boolean).join(" "), u.machine].filter(Boolean).join(" · ");
}

interface TileProps {
  head: Head;
  sel: string;
  at: string | null;
  ask: (expr: string, signal: AbortSignal) => Promise<{ metric: Labels; value?: [number, string] } | undefined>;
}

function Tile({ head, sel, at, ask }: TileProps) {
  const { data, error } = useLoad<Reading>(sel, at, async (signal) => {
    const none = Promise.resolve(undefined);
    const [first, second] = await Promise.all([ask(head.expr, signal), head.note?.expr ? ask(head.note.expr, signal) : none]);
    return { value: number(first?.value?.[1]), labels: first?.metric ?? {}, second: number(second?.value?.[1]) };
  });
  const value = data?.value ?? null;
  const second = data?.second ?? null;
  const note = value === null || (head.note?.expr && second === null) ? undefined : head.note;
  const level = value === null ? "" : value >= 0.9 ? " high" : value >= 0.8 ? " raised" : "";
  return (
    <div class="tile" id={`head-${head.id}`}>
      <dt>{head.title}</dt>
      <dd class={`number${head.share ? level : ""}`}>{format(head.unit, value)}</dd>
      {head.share && (
        <dd class="share" aria-hidden="true">
          <i class={level} style={{ width: `${Math.min(100, Math.max(0, (value ?? 0) * 100))}%` }} />
        </dd>
      )}
      <dd class="sub">
        {error && !(error instanceof AwayError) && <span title={error.message}>failed</span>}
        {note && legend(note.text, { ...data?.labels, value: format(note.unit ?? "number", second) })}
      </dd>
    </div>
  );
}
