// Small parts that several views share.

import type { ComponentChildren } from "preact";
import { AwayError } from "./api";
import type { Load } from "./load";

/** Failure shows what the API said. That it is away is said once, at the head of the page, and not in each part. */
export function Failure({ error }: { error: Error }) {
  if (error instanceof AwayError) return null;
  return (
    <p class="failure" role="alert">
      {error.message}
    </p>
  );
}

/** Renew asks for everything again, now. */
export function Renew({ onClick }: { onClick: () => void }) {
  return (
    <button type="button" class="icon" onClick={onClick} title="Renew now" aria-label="Renew now">
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d="M13.5 8a5.5 5.5 0 1 1-1.6-3.9M13.5 1.5v3h-3" />
      </svg>
    </button>
  );
}

/** Waiting stands in for data that has never come. */
export function Waiting({ load, text }: { load: Load<unknown>; text: string }) {
  if (load.data !== undefined) return null;
  if (load.error instanceof AwayError) return <p class="empty tall">Waiting for the collector …</p>;
  return load.error ? null : <p class="empty">{text}</p>;
}

interface ChoiceProps<T extends string> {
  label: string;
  options: readonly (readonly [value: T, text: ComponentChildren])[];
  value: T;
  onChange: (value: T) => void;
}

/** Choice is one of a few, all visible. */
export function Choice<T extends string>({ label, options, value, onChange }: ChoiceProps<T>) {
  return (
    <div class="choice" role="group" aria-label={label}>
      {options.map(([v, text]) => (
        <button type="button" key={v} aria-pressed={v === value} onClick={() => onChange(v)}>
          {text}
        </button>
      ))}
    </div>
  );
}

/** Select is one of many, in a list that opens. */
export function Select<T extends string>({ label, options, value, onChange }: ChoiceProps<T>) {
  return (
    <label class="pick">
      <span>{label}</span>
      <select value={value} onChange={(e) => onChange(e.currentTarget.value as T)}>
        {options.map(([v, text]) => (
          <option key={v} value={v}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Remarks are the API's warnings and infos about an answer. */
export function Remarks({ answer }: { answer: { warnings: string[]; infos: string[] } }) {
  return (
    <>
      {answer.warnings.map((w) => (
        <p class="note warn" role="status" key={w}>
          {w}
        </p>
      ))}
      {answer.infos.map((i) => (
        <p class="note" key={i}>
          {i}
        </p>
      ))}
    </>
  );
}
