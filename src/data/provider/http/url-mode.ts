/**
 * Mode C and provider httpx: the method chooses a url, the argument becomes its query or a form, the body of the answer comes back as a
 * string among the metadata of request and answer (spec traffic 3.6, 3.7).
 *
 * Redirects are followed where the configuration's own urls lead, at most ten times; any other redirect is the answer. A backend, or whoever
 * can make it redirect, must not choose whom the agent talks to.
 */
import { signed64Text } from '../../../base/index.js';
import {
  type Call,
  type CallHead,
  type Failure,
  failed,
  failure,
  type HttpServiceMethod,
  latin1Text,
  type ProviderObserver,
} from '../../../core/index.js';
import { isQueryPlain, isToken, queryEscape, type ResponseHead } from '../../../wire/http1/index.js';
import type { HttpFailure, HttpUpstream } from '../../http-client/index.js';
import { VALUE_FRONT_BYTES_MAX } from './answer-front.js';
import { type EchoOptions, echoHead, exceptionHead } from './answer-heads.js';
import { Argument } from './argument.js';
import type { Backend } from './backend.js';
import { BackendCall } from './backend-call.js';
import { backendCode, badArguments, fasthttpText, goText, trouble } from './failures.js';
import { FieldSet, INNER_FIELDS } from './field-set.js';
import { finishWithException, finishWithValue, Mode } from './mode.js';
import { clientIp } from './rpc-mode.js';
import { UrlFormat } from './url-format.js';

/** How httpx differs from provider http without `proxyAddress`. */
export interface UrlFlavour {
  readonly isHttpx: boolean;
  readonly userAgent: string;
}

export const HTTP_FLAVOUR: UrlFlavour = { isHttpx: false, userAgent: 'motan' };
export const HTTPX_FLAVOUR: UrlFlavour = { isHttpx: true, userAgent: 'weibo-mesh-http' };

/** Pseudo-method whose url stands for all that have none of their own. */
const ANY_METHOD = 'http_default_motan_method';
const FORM_FIELD = 'Content-Type: application/x-www-form-urlencoded\r\n';
const REDIRECTS_MAX = 10;

/** A method's url, and the HTTP method that it is asked with; null when the format cannot be used. */
interface MethodUrl {
  readonly text: string;
  readonly format: UrlFormat | null;
  readonly method: string;
}

/** What a CallHead means. */
class PreparedUrl {
  readonly trouble: Failure | null;
  readonly method: string;
  readonly format: UrlFormat | null;
  /** Path and query of the url. */
  readonly target: string;
  readonly fields: string;
  /** The answer may be zipped without the caller's knowing. */
  readonly isUnzipping: boolean;

  constructor(
    trouble: Failure | null,
    method: string,
    format: UrlFormat | null,
    target: string,
    fields: string,
    isUnzipping: boolean,
  ) {
    this.trouble = trouble;
    this.method = method;
    this.format = format;
    this.target = target;
    this.fields = fields;
    this.isUnzipping = isUnzipping;
  }
}

/** A call with what its next request, after a redirect, needs. */
class UrlCall extends BackendCall {
  readonly prepared: PreparedUrl;
  format: UrlFormat;
  target: string;
  form: string;
  redirects = 0;

  constructor(
    call: Call,
    observer: ProviderObserver,
    mode: UrlMode,
    prepared: PreparedUrl,
    target: string,
    form: string,
  ) {
    super(call, observer, mode, prepared.method);
    this.prepared = prepared;
    this.format = prepared.format!;
    this.target = target;
    this.form = form;
  }
}

export class UrlMode extends Mode {
  readonly #flavour: UrlFlavour;
  readonly #methods = new Map<string, MethodUrl>();
  readonly #default: MethodUrl;
  readonly #argument = new Argument();

  constructor(backend: Backend, methods: ReadonlyMap<string, HttpServiceMethod>, flavour: UrlFlavour) {
    super(backend);
    this.#flavour = flavour;
    const { settings } = backend;
    for (const [name, { urlFormat, httpMethod }] of methods)
      this.#methods.set(latin1Text(name), methodUrl(latin1Text(urlFormat), httpMethod));
    this.#default = this.#methods.get(ANY_METHOD) ?? methodUrl(settings.urlFormat, settings.defaultMethod);
  }

  /** Every url that the configuration names. */
  get formats(): UrlFormat[] {
    return [...this.#methods.values(), this.#default].map((one) => one.format).filter((one) => one !== null);
  }

  start(call: Call, observer: ProviderObserver): void {
    const prepared = this.#preparedOf(call.head);
    if (prepared.trouble !== null) {
      this.refuse(call, observer, prepared.trouble);
      return;
    }
    const argument = this.#argument;
    argument.read(call);
    if (argument.kind === 'unreadable') {
      this.refuse(call, observer, badArguments(argument.type, this.backend.troubleType));
      return;
    }
    const pairs = isFormed(prepared.method) ? formPairs(call, argument) : [];
    let { target } = prepared;
    let form = '';
    if (prepared.method === 'GET') {
      // motan-go writes a second `?` when the url has one, and the parameter before it swallows the rest.
      target += `${target.includes('?') ? '&' : '?'}${joined(pairs)}`;
    } else if (prepared.method === 'POST') {
      // Go's url.Values are written sorted by key.
      form = joined(
        pairs.toSorted(({ key: one }, { key: other }) => (one < other ? -1 : one > other ? 1 : 0)),
        true,
      );
    }
    this.#send(new UrlCall(call, observer, this, prepared, target, form));
  }

  answer(
    waiting: BackendCall,
    head: ResponseHead,
    bytes: Buffer,
    start: number,
    end: number,
    isOwned: boolean,
  ): void {
    const call = waiting as UrlCall;
    if (!this.#flavour.isHttpx && this.#redirect(call, head)) return;
    const isZipped = call.prepared.isUnzipping && /^(?:x-)?gzip$/i.test(head.get('content-encoding') ?? '');
    if (isZipped && end > start) this.#unzip(call, head, bytes.subarray(start, end));
    else this.#finish(call, head, bytes, start, end, isOwned, false);
  }

  fail(waiting: BackendCall, cause: HttpFailure): void {
    const call = waiting as UrlCall;
    const { target } = call.format;
    if (this.#flavour.isHttpx) {
      call.finish(this.backend.failed(cause, fasthttpText(cause, target, call.head !== null)));
      return;
    }
    if (call.head !== null) {
      // motan-go passes the status of an answer that was cut as the code, with the type of a framework failure.
      const text = cause.kind === 'cut' ? 'unexpected EOF' : cause.text;
      const exception = { code: call.head.status, type: 503, message: text };
      call.finish(failed(failure(backendCode(cause), text, exception)));
      return;
    }
    const url = call.format.urlOf(call.target);
    call.finish(this.backend.failed(cause, goText(cause, target, call.method, url)));
  }

  #send(call: UrlCall): void {
    const { method, format, target, prepared, form } = call;
    const isPost = method === 'POST';
    const type = isPost || !this.#flavour.isHttpx ? FORM_FIELD : '';
    const text = `${method} ${target} HTTP/1.1\r\nHost: ${format.host}\r\n${type}${prepared.fields}`;
    const front = Buffer.from(text, 'latin1');
    const saysLength = isPost || method === 'PUT' || method === 'PATCH';
    const upstream: HttpUpstream = this.backend.upstreamOf(format.target);
    const needsId = call.call.head.requestId === '';
    this.backend.send(call, upstream, { method, front, needsId, saysLength }, form, 0, form.length);
  }

  #finish(
    call: UrlCall,
    head: ResponseHead,
    bytes: Buffer,
    start: number,
    end: number,
    isOwned: boolean,
    isUnpacked: boolean,
  ): void {
    if (this.backend.settings.isHttpExceptionEnabled && head.status >= 400) {
      finishWithException(call, exceptionHead(head.status, bytes.subarray(start, end)));
      return;
    }
    const { isHttpx } = this.#flavour;
    const options: EchoOptions = { isLastTaken: isHttpx, hasStatus: !isHttpx, isUnpacked };
    finishWithValue(call, echoHead(head, call.call.head, options), bytes, start, end, true, isOwned);
  }

  #unzip(call: UrlCall, head: ResponseHead, zipped: Buffer): void {
    const { gzip } = this.backend.deps.loop;
    if (gzip.isLoaded) {
      const text = 'as many zipped answers are being unpacked as may be';
      call.finish(failed(trouble('E_BACKEND_BUSY', text, this.backend.troubleType)));
      return;
    }
    gzip.inflate(zipped, this.answerBytesMax, (plain) => {
      if (plain === 'too-large') {
        call.failTooLarge();
        return;
      }
      const bytes = Buffer.allocUnsafe(VALUE_FRONT_BYTES_MAX + plain.length);
      plain.copy(bytes, VALUE_FRONT_BYTES_MAX);
      this.#finish(call, head, bytes, VALUE_FRONT_BYTES_MAX, bytes.length, true, true);
    });
  }

  /** Follows a redirect when it leads where the configuration does. True when the call goes on. */
  #redirect(call: UrlCall, head: ResponseHead): boolean {
    const location = head.get('location');
    const { status } = head;
    if (location === undefined || !(status === 307 || status === 308 || (status >= 301 && status <= 303)))
      return false;
    const next = resolved(location, call.format.urlOf(call.target));
    const format = next === null ? undefined : this.formats.find((one) => isSameOrigin(one, next));
    if (next === null || format === undefined) return false;
    if (call.redirects === REDIRECTS_MAX) {
      const text = `stopped after ${REDIRECTS_MAX} redirects`;
      call.finish(failed(trouble('E_BACKEND_BAD_ANSWER', text, this.backend.troubleType)));
      return true;
    }
    const keepsMethod = status === 307 || status === 308 || call.method === 'GET' || call.method === 'HEAD';
    call.redirects += 1;
    call.restart(keepsMethod ? call.method : 'GET');
    if (!keepsMethod) call.form = '';
    call.format = format;
    call.target = `${next.pathname}${next.search}`;
    this.#send(call);
    return true;
  }

  #preparedOf(head: CallHead): PreparedUrl {
    if (head.preparedBy !== this) {
      head.prepared = this.#prepare(head);
      head.preparedBy = this;
    }
    return head.prepared as PreparedUrl;
  }

  #prepare(head: CallHead): PreparedUrl {
    const found = this.#methods.get(head.method) ?? this.#default;
    const { troubleType } = this.backend;
    if (found.format === null)
      return refused(trouble('E_BAD_ARGUMENTS', `Get err URL_FORMAT: ${found.text}`, troubleType));
    const target = found.format.targetOf(head.method);
    const method = head.metadata.get('HTTP_Method') ?? found.method;
    const fields = urlFields(head, this.#flavour);
    if (target === null)
      return refused(badArguments('the method cannot stand in the url of its service', troubleType));
    if (!isToken(method) || method === 'CONNECT')
      return refused(badArguments('HTTP_Method is no HTTP method', troubleType));
    if (fields.trouble !== null) return refused(badArguments(fields.trouble, troubleType));
    const isUnzipping = !this.#flavour.isHttpx && !fields.has('accept-encoding');
    if (isUnzipping) fields.set('Accept-Encoding', 'gzip');
    return new PreparedUrl(null, method, found.format, target, fields.toText(), isUnzipping);
  }
}

function refused(cause: Failure): PreparedUrl {
  return new PreparedUrl(cause, '', null, '', '', false);
}

function methodUrl(text: string, method: string): MethodUrl {
  return { text, format: UrlFormat.parse(text), method: isToken(method) ? method : 'GET' };
}

/** All metadata, with `MOTAN-` for `M_`; Host and content type are of the url and the form. */
function urlFields(head: CallHead, flavour: UrlFlavour): FieldSet {
  const { metadata } = head;
  const fields = new FieldSet();
  for (const [key, value] of metadata.entries()) {
    const name = key.replaceAll('M_', 'MOTAN-');
    const lower = name.toLowerCase();
    if (lower === 'host' || lower === 'content-type' || INNER_FIELDS.has(key)) continue;
    fields.set(name, value);
  }
  fields.setInner(metadata);
  if (!fields.has('user-agent')) fields.set('User-Agent', flavour.userAgent);
  const ip = clientIp(metadata, head.host);
  if (ip !== '' && !fields.has('x-forwarded-for')) fields.set('X-Forwarded-For', ip);
  return fields;
}

/** Only these carry the query text. */
function isFormed(method: string): boolean {
  return method === 'GET' || method === 'POST';
}

/** latin1. */
interface FormPair {
  readonly key: string;
  readonly value: string | null;
  /** The key is known to need no escapes. */
  readonly isKeyPlain: boolean;
}

/** The parameters that an argument becomes; a string is one key without value. */
function formPairs(call: Call, argument: Argument): FormPair[] {
  if (argument.kind === 'none') return [];
  const pairs: FormPair[] = [{ key: 'requestIdFromClient', value: requestIdText(call), isKeyPlain: true }];
  if (argument.kind === 'map') {
    for (const [key, value] of argument.pairs) pairs.push({ key, value, isKeyPlain: false });
  } else if (argument.kind === 'string') {
    const { bytes, start, end } = argument;
    const key = bytes.toString('latin1', start, end);
    pairs.push({ key, value: null, isKeyPlain: isQueryPlain(bytes, start, end) });
  }
  return pairs;
}

/** Escaped. @param isForm a key without value is written with `=` */
function joined(pairs: readonly FormPair[], isForm = false): string {
  let text = '';
  for (const { key, value, isKeyPlain } of pairs) {
    const end = value === null ? (isForm ? '=' : '') : `=${queryEscape(value)}`;
    text += `${text === '' ? '' : '&'}${isKeyPlain ? key : queryEscape(key)}${end}`;
  }
  return text;
}

/** The id of the request as an unsigned number, as the peers print it here. */
function requestIdText(call: Call): string {
  const { requestId } = call.head;
  const text = /^-?\d{1,20}$/.test(requestId)
    ? requestId
    : signed64Text(call.requestIdHigh, call.requestIdLow);
  return text.startsWith('-') ? BigInt.asUintN(64, BigInt(text)).toString() : text;
}

/** Null for what is no url. */
function resolved(location: string, base: string): URL | null {
  // Bytes beyond ASCII are escaped first: URL would take them for characters.
  const text = location.replace(/[\x80-\xff]/g, (byte) => queryEscape(byte));
  return URL.canParse(text, base) ? new URL(text, base) : null;
}

function isSameOrigin(format: UrlFormat, url: URL): boolean {
  const own = new URL(format.urlOf('/'));
  return own.protocol === url.protocol && own.host === url.host && url.username === '' && url.password === '';
}
