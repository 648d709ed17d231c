/** What one path of the management API is made of. */
import type { HeldConnection, ManagementView } from '../../core/index.js';

export interface ManagementRequest {
  readonly view: ManagementView;
  /** First value of a parameter, from the form body, else from the query; null when it is absent. */
  parameter(name: string): string | null;
  readonly method: string;
  /** The request target as it came, with the query. */
  readonly target: string;
  /** Empty without one. */
  readonly body: Buffer;
  /** What stands for `:id` in the path; null when there is none. */
  readonly id: string | null;
  /** True for a unix socket and for loopback. */
  readonly isLocal: boolean;
  /** The connection of the request, which from now on is not closed for being idle. */
  hold(): HeldConnection;
}

export interface Answer {
  readonly status: number;
  /** Null sends no Content-Type: what Go does for an empty body. */
  readonly contentType: string | null;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ManagementPath {
  /** Served only to those whom `access-rules.ts` lets through. Methods, where it depends on them. */
  readonly changesState: boolean | ((method: string) => boolean);
  answer(request: ManagementRequest): Answer | Promise<Answer>;
}

const PLAIN = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json;charset=utf-8';

/** Go sniffs the type of a body, and takes JSON for text. */
export function plain(body: string, status = 200): Answer {
  return { status, contentType: body === '' ? null : PLAIN, body };
}

export function json(body: string, status = 200): Answer {
  return { status, contentType: JSON_TYPE, body };
}

/** A path that only reads. */
export function reading(answer: ManagementPath['answer']): ManagementPath {
  return { changesState: false, answer };
}

/** A path that changes what the agent does. */
export function changing(answer: ManagementPath['answer']): ManagementPath {
  return { changesState: true, answer };
}

/** RFC 9457. */
export function problem(status: number, title: string, code: string, detail: string): Answer {
  const body = JSON.stringify({ type: 'about:blank', title, status, detail, code });
  return { status, contentType: 'application/problem+json', body };
}
