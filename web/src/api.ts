// The client of the collector's HTTP API (Prometheus' v1). Every request can be aborted, ends after a time limit, and
// waits for one of a few places: a page of thirty questions must not be thirty questions at once.

import type { Histogram, Labels, Series } from "./series";
import type { Span } from "./time";

/** Vector entry of an instant query. */
export interface Sample {
  metric: Labels;
  value?: [number, string];
  histogram?: [number, Histogram];
}

export type Value =
  | { resultType: "vector"; result: Sample[] }
  | { resultType: "matrix"; result: Series[] }
  | { resultType: "scalar"; result: [number, string] }
  | { resultType: "string"; result: [number, string] };

export type Params = Record<string, string | number | null | undefined>;

/** query is the part of an address from its question mark on; what is empty is left out. */
function query(params: Params): string {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) if (v !== null && v !== undefined && v !== "") q.set(k, String(v));
  const text = q.toString();
  return text ? `?${text}` : "";
}

/** An answer and what the API remarked about it. */
export interface Answer<T> {
  data: T;
  warnings: string[];
  infos: string[];
}

/** ApiError is a refusal by the API, in its words: "bad_data: invalid parameter ...". */
export class ApiError extends Error {
  override name = "ApiError";
}

/** AwayError means that nothing understood the question: no connection, no answer in time, or not the API. */
export class AwayError extends Error {
  override name = "AwayError";
}

export const isAbort = (e: unknown): boolean => e instanceof DOMException && e.name === "AbortError";

const requestLimitMs = 30_000;

export interface ApiOptions {
  /** Where "api/v1/..." is resolved. */
  base: string;
  /** Requests under way at once. */
  places?: number;
  fetch?: typeof fetch;
  /** Told after each request whether the API is there (null) or why not. */
  onReach?: (failure: Error | null) => void;
}

export class Api {
  private readonly options: Required<ApiOptions>;
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(o: ApiOptions) {
    this.options = { places: 6, fetch: (input, init) => fetch(input, init), onReach: () => {}, ...o };
    this.free = this.options.places;
  }

  /** idle tells whether nothing is under way or waiting. */
  get idle(): boolean {
    return this.free === this.options.places;
  }

  /** query evaluates at one point in time; without one, at the server's now. At most `limit` series come back. */
  query(expr: string, time: number | null, signal: AbortSignal, limit = 0): Promise<Answer<Value>> {
    const form = new URLSearchParams({ query: expr, limit: String(limit) });
    if (time !== null) form.set("time", String(time));
    return this.ask("query", signal, form);
  }

  queryRange(expr: string, span: Span, signal: AbortSignal, limit = 0): Promise<Answer<Value>> {
    const { start, end, step } = span;
    const form = { query: expr, start: String(start), end: String(end), step: String(step), limit: String(limit) };
    return this.ask("query_range", signal, new URLSearchParams(form));
  }

  /** series lists the label sets that match between two points in time; only the index is read, no samples. */
  async series(match: string, start: number, end: number, signal: AbortSignal, limit: number): Promise<Labels[]> {
    const form = { "match[]": match, start: String(start), end: String(end), limit: String(limit) };
    return (await this.ask<Labels[]>("series", signal, new URLSearchParams(form))).data;
  }

  /** v1 reads any other path of Prometheus' API. */
  async v1<T>(path: string, params: Params, signal: AbortSignal): Promise<T> {
    return (await this.ask<T>(path + query(params), signal)).data;
  }

  /** page reads what the collector offers its own page (internal/fleet, internal/promstack). */
  async page<T>(path: string, params: Params, signal: AbortSignal): Promise<T> {
    return (await this.ask<T>(path + query(params), signal, undefined, "api/page/")).data;
  }

  /** raw is what a target answers to a scrape, as text. */
  async raw(pool: string, url: string, signal: AbortSignal): Promise<string> {
    const path = new URL(`api/page/targets/raw${query({ pool, url })}`, this.options.base);
    let response: Response;
    try {
      response = await this.options.fetch(path, { signal });
    } catch (e) {
      throw signal.aborted ? (signal.reason ?? e) : new AwayError("The collector does not answer.");
    }
    if (response.ok) return response.text();
    const body = (await response.json().catch(() => ({}))) as { error?: string };
    throw new ApiError(body.error ?? `${response.status} ${response.statusText}`);
  }

  /** reach asks the cheapest question there is, to learn whether the API answers again. */
  async reach(signal: AbortSignal): Promise<void> {
    await this.ask("status/buildinfo", signal);
  }

  private async ask<T>(path: string, signal: AbortSignal, form?: URLSearchParams, root = "api/v1/"): Promise<Answer<T>> {
    await this.enter(signal);
    try {
      const answer = await this.send<T>(root + path, signal, form);
      this.options.onReach(null);
      return answer;
    } catch (e) {
      if (e instanceof ApiError) this.options.onReach(null);
      if (e instanceof AwayError) this.options.onReach(e);
      throw e;
    } finally {
      this.leave();
    }
  }

  private async send<T>(path: string, signal: AbortSignal, form?: URLSearchParams): Promise<Answer<T>> {
    const limit = AbortSignal.timeout(requestLimitMs);
    const init: RequestInit = { signal: AbortSignal.any([signal, limit]), headers: { Accept: "application/json" } };
    if (form) Object.assign(init, { method: "POST", body: form });
    let response: Response;
    let body: { status?: string; data?: T; errorType?: string; error?: string; warnings?: string[]; infos?: string[] };
    try {
      response = await this.options.fetch(new URL(path, this.options.base), init);
    } catch (e) {
      throw failure(e, signal, limit, "The collector does not answer.");
    }
    try {
      body = await response.json();
    } catch (e) {
      throw failure(e, signal, limit, `The collector answered ${response.status} ${response.statusText}`.trim() + ".");
    }
    if (body.status !== "success" || body.data === undefined) {
      const reason = body.error ?? "no reason given";
      throw new ApiError(body.errorType === "not_found" ? reason : `${body.errorType ?? response.status}: ${reason}`);
    }
    return { data: body.data, warnings: body.warnings ?? [], infos: body.infos ?? [] };
  }

  private enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.free > 0) {
      this.free--;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const go = () => {
        signal.removeEventListener("abort", drop);
        resolve();
      };
      const drop = () => {
        this.waiting.splice(this.waiting.indexOf(go), 1);
        reject(signal.reason);
      };
      signal.addEventListener("abort", drop, { once: true });
      this.waiting.push(go);
    });
  }

  /** leave hands the place to the one that waits longest. */
  private leave() {
    const next = this.waiting.shift();
    if (next) next();
    else this.free++;
  }
}

/** failure tells apart: the page no longer wants the answer, no answer in time, no answer. */
function failure(e: unknown, signal: AbortSignal, limit: AbortSignal, otherwise: string): unknown {
  if (signal.aborted) return signal.reason ?? e;
  if (limit.aborted) return new AwayError(`No answer within ${requestLimitMs / 1000} s.`);
  return new AwayError(otherwise);
}
