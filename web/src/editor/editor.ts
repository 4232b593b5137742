// The editor of expressions: CodeMirror with Prometheus' own completion. It is a script of its own, fetched when the
// view of queries is opened for the first time.
//
// It lives in a shadow root, because CodeMirror then hands its styles over as objects; in the document it would write
// <style> elements, which the Content-Security-Policy refuses.

import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionStatus, moveCompletionSelection, selectedCompletionIndex } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, highlightSpecialChars, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";

export interface Options {
  text: string;
  /** Where the API is, without a slash at the end. */
  base: string;
  label: string;
  hint: string;
  onText: (text: string) => void;
  onRun: () => void;
}

export interface Editor {
  set: (text: string) => void;
  focus: () => void;
  destroy: () => void;
}

/** Names and values that are fetched of one kind, and how far back they were seen. */
const mostNames = 20_000;
const lookbackMs = 3_600_000;
const cacheMs = 300_000;

const look = EditorView.theme({
  "&": { fontSize: "13px", color: "var(--ink)", backgroundColor: "transparent" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5", overflowX: "hidden" },
  ".cm-content": { padding: "8px 0", caretColor: "var(--ink)" },
  ".cm-line": { padding: "0 12px" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-placeholder": { color: "var(--ink-3)" },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": { backgroundColor: "var(--accent-soft)", color: "inherit" },
  ".cm-tooltip": { backgroundColor: "var(--panel)", border: "1px solid var(--edge)", borderRadius: "6px", color: "var(--ink)", overflow: "hidden", zIndex: "5" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "12px", maxHeight: "18em", maxWidth: "min(600px, 92vw)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "2px 8px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent-soft)", color: "var(--ink)" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700", color: "var(--accent)" },
  ".cm-completionDetail": { color: "var(--ink-3)", fontStyle: "normal", marginLeft: "1em" },
  ".cm-completionInfo": { fontFamily: "var(--sans)", fontSize: "12px", padding: "6px 10px", maxWidth: "320px" },
  ".cm-completionIcon": { display: "none" },
  // CodeMirror's own underline is a picture in the style sheet, which the policy refuses.
  ".cm-lintRange-error, .cm-lintRange-warning": { backgroundImage: "none", textDecoration: "underline wavy var(--bad) 1px", textUnderlineOffset: "3px" },
  ".cm-diagnostic": { fontFamily: "var(--sans)", fontSize: "12px", padding: "4px 10px", borderLeft: "3px solid var(--bad)" },
});

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--c3)" },
  { tag: [tags.function(tags.variableName), tags.operatorKeyword, tags.modifier], color: "var(--accent)" },
  { tag: tags.string, color: "var(--good)" },
  { tag: tags.number, color: "var(--warn)" },
  { tag: tags.labelName, color: "var(--ink-2)" },
  { tag: tags.comment, color: "var(--ink-3)" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

/** attach makes an editor inside of host. */
export function attach(host: HTMLElement, o: Options): Editor {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  const parent = root.appendChild(document.createElement("div"));
  const promql = new PromQLExtension().activateLinter(true).setComplete({
    maxMetricsMetadata: mostNames,
    remote: {
      url: o.base,
      httpMethod: "GET",
      lookbackInterval: lookbackMs,
      cache: { maxAge: cacheMs },
      fetchFn: (input, init) => fetch(bounded(String(input)), init),
    },
  });
  const view = new EditorView({
    root,
    parent,
    state: EditorState.create({
      doc: o.text,
      extensions: [
        highlightSpecialChars(),
        history(),
        bracketMatching(),
        closeBrackets(),
        // Nothing is chosen until an arrow or Tab chooses it: Enter runs what is written.
        autocompletion({ selectOnOpen: false, icons: false }),
        syntaxHighlighting(colours),
        look,
        EditorView.lineWrapping,
        placeholder(o.hint),
        promql.asExtension(),
        EditorView.contentAttributes.of({ "aria-label": o.label, autocapitalize: "off", spellcheck: "false" }),
        EditorView.updateListener.of((u) => u.docChanged && o.onText(u.state.doc.toString())),
        Prec.high(
          keymap.of([
            { key: "Enter", run: () => (o.onRun(), true) },
            { key: "Shift-Enter", run: insertNewlineAndIndent },
            { key: "Tab", run: complete },
          ]),
        ),
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap]),
      ],
    }),
  });
  return {
    set: (text) => {
      if (text !== view.state.doc.toString()) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: text.length } });
    },
    focus: () => view.focus(),
    destroy: () => {
      view.destroy();
      promql.destroy();
      parent.remove();
    },
  };
}

/** complete takes the chosen completion, or the first one; where none is offered, Tab leaves the editor. */
function complete(view: EditorView): boolean {
  if (completionStatus(view.state) !== "active") return false;
  if (selectedCompletionIndex(view.state) === null) moveCompletionSelection(true)(view);
  return acceptCompletion(view);
}

/** bounded asks for no more names than one can choose from. */
function bounded(address: string): string {
  return `${address}${address.includes("?") ? "&" : "?"}limit=${mostNames}`;
}
