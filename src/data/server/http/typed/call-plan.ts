/**
 * What the head of a typed call says, read once for all requests with an equal head: which method is called, with which metadata, within what time; or
 * why it cannot be called.
 *
 *   POST /v1/call/{service}/{method}?group=g&version=v      segments percent-encoded: a method may hold an encoded `/`
 *   Content-Type: application/json                          demanded, so that no web page can send it to this machine without asking first
 *   X-Peony-Timeout-Ms: 500                                 for the whole call, counted from the head of the request
 *   traceparent, tracestate, headers of `httpMetadataAllow`  carried as metadata, names in lower case
 */
import {
  CallHead,
  latin1Text,
  Metadata,
  type MethodSchema,
  type ServiceSchemas,
  utf8Text,
} from '../../../../core/index.js';
import { decodePath, isFieldValue, parseForm, type RequestHead } from '../../../../wire/http1/index.js';
import type { HttpExchange } from '../exchange.js';
import { accepts } from './accept.js';
import { comesFromPage } from './caller.js';
import { type PlainAnswer, type ProblemSubject, requestProblem } from './problem.js';
import { traceContext } from './trace-context.js';

export const CALL_PREFIX = '/v1/call/';
const TIMEOUT_MS_MAX = 600_000;
const CALL_METHODS = 'POST, OPTIONS';
/** Carried in any case, and only when they are valid. */
const TRACE_NAMES: ReadonlySet<string> = new Set(['traceparent', 'tracestate']);
/** Parameters beyond the charset mean nothing, and JSON between systems is UTF-8 (RFC 8259 8.1). */
const JSON_TYPE = /^application\/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?$/i;

export class CallPlan {
  readonly subject: ProblemSubject;
  /** Null when nothing is known of the method. */
  readonly schema: MethodSchema | null;
  /** Whose schema this is: another configuration makes another plan. */
  readonly schemas: ServiceSchemas;
  /** 0 for none. */
  readonly timeoutMs: number;
  readonly #metadata: Metadata;
  readonly #remoteHost: string;
  /** For the whole timeout, or without one: of nearly all calls. */
  readonly #head: CallHead;

  constructor(
    metadata: Metadata,
    timeoutMs: number,
    remoteHost: string,
    schema: MethodSchema | null,
    schemas: ServiceSchemas,
  ) {
    this.subject = { service: utf8Text(metadata.text('M_p')), method: utf8Text(metadata.text('M_m')) };
    this.schema = schema;
    this.schemas = schemas;
    this.timeoutMs = timeoutMs;
    this.#metadata = metadata;
    this.#remoteHost = remoteHost;
    this.#head = this.#makeHead(timeoutMs);
  }

  /** @param leftMs what is left of the timeout, at least 1; without meaning when there is none */
  headFor(leftMs: number): CallHead {
    return this.timeoutMs === 0 || leftMs === this.timeoutMs ? this.#head : this.#makeHead(leftMs);
  }

  #makeHead(timeoutMs: number): CallHead {
    if (timeoutMs === 0) return new CallHead(this.#metadata, this.#remoteHost);
    const metadata = this.#metadata.copy();
    metadata.set('M_tmo', String(timeoutMs));
    return new CallHead(metadata, this.#remoteHost);
  }
}

/** The plan, or the answer that every request with this head gets. */
export function planOf(
  { head, target, remoteHost }: Pick<HttpExchange, 'head' | 'target' | 'remoteHost'>,
  schemas: ServiceSchemas,
  allowed: readonly string[],
): CallPlan | PlainAnswer {
  const names = readNames(target.rawPath);
  if (typeof names === 'string') return requestProblem(404, names);
  if (head.method === 'OPTIONS') return optionsAnswer(CALL_METHODS);
  if (head.method !== 'POST') return methodProblem(head.method, CALL_METHODS);
  if (comesFromPage(head)) return requestProblem(403, 'calls of web pages are not served');
  const trouble = troubleWithFields(head);
  if (trouble !== null) return trouble;
  const choice = readQuery(target.query);
  if (typeof choice === 'string') return badRequest(choice);
  const timeoutMs = readTimeout(head);
  if (typeof timeoutMs === 'string') return badRequest(timeoutMs);

  const schema = schemas.get(utf8Text(names.service))?.get(utf8Text(names.method)) ?? null;
  const metadata = new Metadata();
  metadata.set('M_p', names.service);
  metadata.set('M_m', names.method);
  if (schema !== null && schema.desc !== '') metadata.set('M_md', latin1Text(schema.desc));
  if (choice.group !== '') metadata.set('M_g', choice.group);
  if (choice.version !== '') metadata.set('M_v', choice.version);
  metadata.set('M_pp', 'motan2');
  addTrace(metadata, head);
  for (const name of allowed) {
    const values = TRACE_NAMES.has(name) ? [] : head.getAll(name);
    if (values.length > 0) metadata.set(name, values.join(', '));
  }
  return new CallPlan(metadata, timeoutMs, remoteHost, schema, schemas);
}

export function optionsAnswer(allow: string): PlainAnswer {
  return { status: 204, fields: ['Allow', allow], body: Buffer.alloc(0) };
}

export function methodProblem(method: string, allow: string): PlainAnswer {
  return requestProblem(405, `${method.slice(0, 20)} is not among ${allow}`, ['Allow', allow]);
}

function badRequest(detail: string): PlainAnswer {
  return requestProblem(400, detail, [], 'E_BAD_REQUEST');
}

/** Service and method as latin1, or what is wrong with the path. */
function readNames(rawPath: string): { service: string; method: string } | string {
  const segments = rawPath.slice(CALL_PREFIX.length).split('/');
  if (segments.length !== 2)
    return `a call is ${CALL_PREFIX}{service}/{method}; a / in a name is written %2F`;
  const [service, method] = segments.map(decodePath);
  if (service == null || method == null || !isFieldValue(service) || !isFieldValue(method)) {
    return 'service and method must not hold control characters';
  }
  if (service === '' || method === '')
    return `a call is ${CALL_PREFIX}{service}/{method}; both must be named`;
  return { service, method };
}

function troubleWithFields(head: RequestHead): PlainAnswer | null {
  const types = head.getAll('content-type');
  if (types.length !== 1 || !JSON_TYPE.test(types[0]!)) {
    const detail = 'a call needs Content-Type: application/json, in UTF-8, also without arguments';
    return requestProblem(415, detail, ['Accept', 'application/json']);
  }
  const encodings = head
    .getAll('content-encoding')
    .filter((encoding) => encoding.toLowerCase() !== 'identity');
  if (encodings.length > 0) {
    return requestProblem(415, 'compressed bodies are not taken', ['Accept-Encoding', 'identity']);
  }
  if (!accepts(head, 'application', 'json')) {
    return requestProblem(406, 'answers are application/json and application/problem+json');
  }
  return null;
}

/** An unknown or repeated parameter is a mistake that would call something else than was meant. */
function readQuery(query: string): { group: string; version: string } | string {
  const choice = { group: '', version: '' };
  const seen = new Set<string>();
  if (query === '') return choice;
  for (const [name, value] of parseForm(query, Number.MAX_SAFE_INTEGER)) {
    if (name !== 'group' && name !== 'version') return 'the query takes group and version only';
    if (seen.has(name)) return `${name} is given twice`;
    if (!isFieldValue(value)) return `${name} must not hold control characters`;
    seen.add(name);
    choice[name] = value;
  }
  return choice;
}

function readTimeout(head: RequestHead): number | string {
  const values = head.getAll('x-peony-timeout-ms');
  if (values.length === 0) return 0;
  const timeoutMs = /^[0-9]{1,6}$/.test(values[0]!) ? Number(values[0]) : 0;
  const isFine = values.length === 1 && timeoutMs >= 1 && timeoutMs <= TIMEOUT_MS_MAX;
  return isFine ? timeoutMs : `X-Peony-Timeout-Ms must be one number from 1 to ${TIMEOUT_MS_MAX}`;
}

function addTrace(metadata: Metadata, head: RequestHead): void {
  const trace = traceContext(head);
  if (trace === null) return;
  metadata.set('traceparent', trace.traceparent);
  if (trace.tracestate !== '') metadata.set('tracestate', trace.tracestate);
}
