/** What one path of the management API is made of. */
import type { ManagementView } from '../../core/index.js';

export interface ManagementRequest {
  readonly view: ManagementView;
  /** First value of a parameter, from the form body, else from the query; null when it is absent. */
  parameter(name: string): string | null;
}

export interface Answer {
  readonly status: number;
  /** Null sends no Content-Type: what Go does for an empty body. */
  readonly contentType: string | null;
  readonly body: string;
}

export interface ManagementPath {
  /** Served only to those whom `access-rules.ts` lets through. */
  readonly changesState: boolean;
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
