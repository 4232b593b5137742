// Where the page begins. The script stands in the head and is not deferred: the theme is set before the first drawing,
// and the Content-Security-Policy allows no inline script to do it.

import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import { App } from "./app";
import "./style.css";
import { start } from "./theme";

start();
document.addEventListener("DOMContentLoaded", () => {
  const root = document.getElementById("root");
  const version = document.querySelector<HTMLMetaElement>('meta[name="version"]')?.content ?? "";
  if (root) render(<App version={version} />, root);
});
