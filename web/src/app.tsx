// The frame around the views: the way between them, the theme, and the word when the collector is away.

import { useEffect } from "preact/hooks";
import { away, keepTrying } from "./connection";
import { follow, href, last, usePlace, type View } from "./router";
import { useStore } from "./store";
import { theme, toggle } from "./theme";
import { clock } from "./time";
import { Search } from "./search";
import { Alerts } from "./views/alerts";
import { App as Application, Apps } from "./views/apps";
import { Cardinality } from "./views/cardinality";
import { Fleet } from "./views/fleet";
import { Node } from "./views/node";
import { Pod } from "./views/pod";
import { Pods } from "./views/pods";
import { Query } from "./views/query";
import { Status } from "./views/status";
import { Target } from "./views/target";
import { Targets } from "./views/targets";

interface Row {
  view: View;
  name: string;
  show: (p: { params: URLSearchParams }) => preact.JSX.Element;
  /** The view of the list it stands in, for those that have no place of their own at the top. */
  under?: View;
}

const views: Row[] = [
  { view: "fleet", name: "Fleet", show: Fleet },
  { view: "node", name: "Node", show: Node, under: "fleet" },
  { view: "apps", name: "Applications", show: Apps },
  { view: "app", name: "Application", show: Application, under: "apps" },
  { view: "pods", name: "Pods", show: Pods },
  { view: "pod", name: "Pod", show: Pod, under: "pods" },
  { view: "targets", name: "Targets", show: Targets },
  { view: "target", name: "Target", show: Target, under: "targets" },
  { view: "alerts", name: "Alerts", show: Alerts },
  { view: "query", name: "Query", show: Query },
  { view: "cardinality", name: "Cardinality", show: Cardinality },
  { view: "status", name: "Status", show: Status },
];

/** titleOf names a view and what is shown in it. */
function titleOf(row: Row | undefined, params: URLSearchParams): string {
  const what = row?.under && (params.get("pod") ?? params.get("app") ?? params.get("value") ?? params.get("node") ?? params.get("instance") ?? params.get("url"));
  return [what, row?.name ?? "Not found", "Watchpost"].filter(Boolean).join(" · ");
}

export function App({ version }: { version: string }) {
  const { view, params } = usePlace();
  const row = views.find((v) => v.view === view);
  useEffect(() => {
    document.title = titleOf(row, params);
  }, [row, params]);
  const top = row?.under ?? view;
  return (
    <div class="frame" onClick={follow}>
      <a class="skip" href="#main" onClick={(e) => (e.preventDefault(), document.getElementById("main")?.focus())}>
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href={href("fleet", { time: null })} aria-label="Watchpost">
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <path d="M6 18 7.4 9h5.2L14 18M4.5 18h11M7 9V6.5h6V9M6.5 6.5 10 3.5l3.5 3M8.6 13.5h2.8" />
          </svg>
          <span>Watchpost</span>
        </a>
        <nav aria-label="Views">
          {views.filter((v) => !v.under).map((v) => (
            <a key={v.view} href={v.view === top ? href(v.view, { time: null }) : last(v.view)} aria-current={v.view === view ? "page" : v.view === top ? "true" : undefined}>
              {v.name}
            </a>
          ))}
        </nav>
        <span class="grow" />
        <Search />
        {version && <span class="version">{version}</span>}
        <ThemeButton />
      </header>
      <Away />
      <main id="main" tabIndex={-1}>
        {row ? <row.show params={params} /> : <p class="empty tall">There is no such page here.</p>}
      </main>
    </div>
  );
}

function ThemeButton() {
  const dark = useStore(theme) === "dark";
  const name = dark ? "Light theme" : "Dark theme";
  return (
    <button type="button" class="icon" onClick={toggle} title={name} aria-label={name}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        {dark ? (
          <path d="M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1" />
        ) : (
          <path d="M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1" />
        )}
      </svg>
    </button>
  );
}

/** Away says that the collector does not answer, and asks until it does. */
function Away() {
  const gone = useStore(away);
  useEffect(() => (gone === null ? undefined : keepTrying()), [gone === null]);
  if (gone === null) return null;
  return (
    <p class="gone" role="alert">
      {gone.why} Away since {clock(gone.since)}: anything shown is older. Trying again every few seconds.
    </p>
  );
}
