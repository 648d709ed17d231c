/**
 * What a typed call is answered with when there is no value: a problem document (RFC 9457). `type` points into `/v1/openapi.json`, where the
 * row of the table stands that chose the status.
 */
import {
  type Failure,
  type FailureCode,
  failureCodes,
  type MotanException,
  toMotanException,
} from '../../../../core/index.js';
import { reasonOf } from '../../../../wire/http1/index.js';
import { statusOfException } from './exception-status.js';

/** Status, fields and body of an answer, ready for `HttpExchange.respond`. */
export interface PlainAnswer {
  readonly status: number;
  readonly fields: readonly string[];
  readonly body: Buffer;
}

/** The call that a problem is about. */
export interface ProblemSubject {
  readonly service?: string;
  readonly method?: string;
  /** As in the access log. */
  readonly requestId?: string;
  /** `host:port` that was asked. */
  readonly node?: string;
}

/** Seconds after which a caller that was turned away may try again: bounds of agents and pools free themselves within one. */
const RETRY_AFTER = '1';
export const PROBLEM_TYPE = 'application/problem+json';
const TABLES = '/v1/openapi.json#/x-tables';

/** This agent could not serve the call. */
export function failureProblem(cause: Failure, subject: ProblemSubject = {}): PlainAnswer {
  const { httpStatus, meaning } = failureCodes[cause.code];
  const { code, type } = toMotanException(cause);
  const document = { code, errtype: type, cause: cause.code, ...subject };
  return problem(`${TABLES}/failures/${cause.code}`, meaning, httpStatus, cause.message, document);
}

/** The service, or an agent in front of it, answered with an exception. */
export function exceptionProblem(exception: MotanException, subject: ProblemSubject): PlainAnswer {
  const { code, type, message } = exception;
  const title = 'the service answered with an exception';
  const document = { code, errtype: type, ...subject };
  return problem(`${TABLES}/exceptions`, title, statusOfException(exception), message, document);
}

/** The request itself is wrong, before it names a call. */
export function requestProblem(
  status: number,
  detail: string,
  fields: readonly string[] = [],
  cause: FailureCode | null = null,
): PlainAnswer {
  if (cause === null) return problem('about:blank', reasonOf(status), status, detail, {}, fields);
  return problem(
    `${TABLES}/failures/${cause}`,
    failureCodes[cause].meaning,
    status,
    detail,
    { cause },
    fields,
  );
}

function problem(
  type: string,
  title: string,
  status: number,
  detail: string,
  more: object,
  fields: readonly string[] = [],
): PlainAnswer {
  const isBusy = status === 503 || status === 429;
  return {
    status,
    fields: [
      'Content-Type',
      PROBLEM_TYPE,
      'Cache-Control',
      'no-store',
      ...(isBusy ? ['Retry-After', RETRY_AFTER] : []),
      ...fields,
    ],
    body: Buffer.from(JSON.stringify({ type, title, status, detail, ...more })),
  };
}
