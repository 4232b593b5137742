// What each relabelling rule changed: the API tells the labels after each, the page shows the differences.

export interface Rule {
  source_labels?: string[];
  separator?: string;
  regex?: string;
  modulus?: number;
  target_label?: string;
  replacement?: string;
  action?: string;
}

export interface Step {
  rule: Rule;
  output: Record<string, string>;
  keep: boolean;
}

export interface Change {
  name: string;
  before?: string;
  after?: string;
}

export interface Shown {
  rule: string;
  changes: Change[];
  /** This rule dropped the target. */
  dropped: boolean;
  /** An earlier one had not. */
  reached: boolean;
}

/** differences are the changes of each step, beginning with the labels that were discovered. */
export function differences(discovered: Record<string, string>, steps: Step[]): Shown[] {
  let before = discovered;
  let alive = true;
  return steps.map((s) => {
    const reached = alive;
    alive &&= s.keep;
    const changes = s.keep ? changed(before, s.output) : [];
    if (s.keep) before = s.output;
    return { rule: write(s.rule), changes, reached, dropped: reached && !s.keep };
  });
}

function changed(before: Record<string, string>, after: Record<string, string>): Change[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.flatMap((name): Change[] => {
    const was = before[name];
    const is = after[name];
    if (was === is) return [];
    return [{ name, ...(was !== undefined ? { before: was } : {}), ...(is !== undefined ? { after: is } : {}) }];
  });
}

/** write is a rule in one line, without what is as by default. */
export function write(r: Rule): string {
  const parts: string[] = [r.action ?? "replace"];
  if (r.source_labels?.length) parts.push(`[${r.source_labels.join(r.separator && r.separator !== ";" ? ` ${r.separator} ` : ", ")}]`);
  if (r.regex && r.regex !== "(.*)") parts.push(`=~ ${r.regex}`);
  if (r.modulus) parts.push(`mod ${r.modulus}`);
  const replacement = r.replacement !== undefined && r.replacement !== "$1" ? r.replacement : undefined;
  if (r.target_label) parts.push(`→ ${r.target_label}`);
  if (replacement !== undefined && (r.action ?? "replace") !== "keep" && r.action !== "drop") parts.push(`= ${JSON.stringify(replacement)}`);
  return parts.join(" ");
}
