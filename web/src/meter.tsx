// Numbers with a bar: a share of a whole, or a use beside what was asked for and what is allowed.

import { absent, format, type Unit } from "./units";

/** level says when a share needs a look. */
export const level = (share: number | null): string => (share === null ? "" : share >= 0.9 ? "high" : share >= 0.8 ? "raised" : "");

/** Share is a part of 1. */
export function Share({ value, calm }: { value: number | null; calm?: boolean }) {
  const l = calm ? "" : level(value);
  if (value === null) return <span class="value">{absent}</span>; // an empty bar would look like nothing used
  return (
    <span class="meter">
      <span class={`value ${l}`}>{format("percent", value)}</span>
      <span class="bar" aria-hidden="true">
        <i class={l} style={{ width: `${Math.min(100, Math.max(0, value * 100))}%` }} />
      </span>
    </span>
  );
}

interface UseProps {
  used: number | null;
  request: number | null;
  limit: number | null;
  unit: Unit;
}

/** Use draws a use up to its limit (or its request, where there is no limit), with a mark at the request. */
export function Use({ used, request, limit, unit }: UseProps) {
  const whole = limit ?? request;
  const share = used !== null && whole ? used / whole : null;
  const l = limit !== null ? level(share) : "";
  const says = [
    `used ${format(unit, used)}`,
    `request ${request === null ? "none" : format(unit, request)}`,
    `limit ${limit === null ? "none" : format(unit, limit)}`,
  ].join(", ");
  return (
    <span class="meter use" title={says}>
      <span class={`value ${l}`}>{format(unit, used)}</span>
      {whole !== null && <small> / {format(unit, whole)}</small>}
      <span class="bar" role="img" aria-label={says}>
        <i class={l} style={{ width: `${Math.min(100, Math.max(0, (share ?? 0) * 100))}%` }} />
        {limit !== null && request !== null && limit > 0 && <b style={{ left: `${Math.min(100, (request / limit) * 100)}%` }} />}
      </span>
    </span>
  );
}
