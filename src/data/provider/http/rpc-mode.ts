/**
 * Mode B: an RPC caller, and a backend at `proxyAddress` (spec traffic 3.5). The method is the path, metadata are the fields, the one
 * argument is query, form or body; the body of the answer comes back as bytes and its fields as metadata.
 *
 * Everything that follows from the metadata is made once for each CallHead.
 */
import {
  type Call,
  type CallHead,
  type Failure,
  failure,
  type Metadata,
  type ProviderObserver,
} from '../../../core/index.js';
import {
  encodePath,
  isHostAndPort,
  isToken,
  queryEscape,
  queryEscapePercent,
  type ResponseHead,
} from '../../../wire/http1/index.js';
import type { HttpFailure, HttpTarget, HttpUpstream } from '../../http-client/index.js';
import { exceptionHead, valueHead } from './answer-heads.js';
import { Argument, type Pairs } from './argument.js';
import type { Backend, Outgoing } from './backend.js';
import { BackendCall } from './backend-call.js';
import { badArguments, fasthttpText, trouble } from './failures.js';
import { FieldSet, INNER_FIELDS } from './field-set.js';
import { finishWithException, finishWithValue, Mode } from './mode.js';
import { pathOfMethod, type Rewriting } from './rewriting.js';

const FORM = 'application/x-www-form-urlencoded';
/** Metadata that says how to call and is no field. */
const NO_FIELDS: ReadonlySet<string> = new Set([
  'HTTP_PROXY',
  'HTTP_Method',
  'HTTP_QueryString',
  'host',
  'Host',
]);
const HOST_KEYS: ReadonlySet<string> = new Set(['http_host', 'http_Host']);
const NO_BYTES = Buffer.alloc(0);
/** Of a body in an error text. */
const SHOWN_BYTES_MAX = 200;

/** The three forms of a request; each is made when the first call needs it. */
type Form = 'bare' | 'body' | 'form';

/** What a CallHead means for this backend. */
class PreparedRpc {
  /** Why none of its calls can be made; null nearly always. */
  readonly trouble: Failure | null;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly needsId: boolean;
  readonly #fields: string;
  readonly #type: string;
  readonly #made = new Map<Form, Outgoing>();

  constructor(
    trouble: Failure | null,
    method: string,
    target: string,
    needsId: boolean,
    fields: string,
    type: string,
  ) {
    this.trouble = trouble;
    this.method = method;
    this.target = target;
    this.needsId = needsId;
    this.#fields = fields;
    this.#type = type;
  }

  /** GET and HEAD have no body here. */
  get isBodiless(): boolean {
    return this.method === 'GET' || this.method === 'HEAD';
  }

  outgoing(form: Form): Outgoing {
    const known = this.#made.get(form);
    if (known !== undefined) return known;
    const made = this.#make(form, this.target);
    this.#made.set(form, made);
    return made;
  }

  /** With more parameters in the query. */
  withQuery(query: string): Outgoing {
    const separator = this.target.includes('?') ? '&' : '?';
    return this.#make('bare', `${this.target}${separator}${query}`);
  }

  #make(form: Form, target: string): Outgoing {
    let type = '';
    if (form === 'form') type = FORM;
    else if (form === 'body') type = this.#type || FORM;
    else if (!this.isBodiless) type = this.#type;
    const line = `${this.method} ${target} HTTP/1.1\r\n`;
    const text = `${line}${this.#fields}${type === '' ? '' : `Content-Type: ${type}\r\n`}`;
    return {
      method: this.method,
      front: Buffer.from(text, 'latin1'),
      needsId: this.needsId,
      saysLength: /^(?:POST|PUT|PATCH)$/.test(this.method),
    };
  }
}

export class RpcMode extends Mode {
  readonly #target: HttpTarget;
  readonly #upstream: HttpUpstream;
  readonly #rewriting: Rewriting;
  readonly #argument = new Argument();

  constructor(backend: Backend, target: HttpTarget, rewriting: Rewriting) {
    super(backend);
    this.#target = target;
    this.#upstream = backend.upstreamOf(target);
    this.#rewriting = rewriting;
  }

  start(call: Call, observer: ProviderObserver): void {
    const prepared = this.#preparedOf(call.head);
    if (prepared.trouble !== null) {
      this.refuse(call, observer, prepared.trouble);
      return;
    }
    const argument = this.#argument;
    argument.read(call);
    if (argument.hasMore) {
      this.#refuseArguments(call, observer, 'http rpc only support one parameter');
      return;
    }
    switch (argument.kind) {
      case 'none':
        this.#send(call, observer, prepared.outgoing('bare'), NO_BYTES, 0, 0);
        return;
      case 'map':
        this.#sendMap(call, observer, prepared, argument.pairs);
        return;
      case 'string':
      case 'bytes':
        this.#sendBody(call, observer, prepared, argument.bytes, argument.start, argument.end);
        return;
      case 'other':
        this.#refuseArguments(call, observer, `http rpc unsupported parameter type: ${argument.type}`);
        return;
      case 'unreadable':
        this.#refuseArguments(call, observer, argument.type);
    }
  }

  answer(
    waiting: BackendCall,
    head: ResponseHead,
    bytes: Buffer,
    start: number,
    end: number,
    isOwned: boolean,
  ): void {
    if (this.backend.settings.isHttpExceptionEnabled && head.status >= 400)
      finishWithException(waiting, exceptionHead(head.status, bytes.subarray(start, end)));
    else finishWithValue(waiting, valueHead(head), bytes, start, end, false, isOwned);
  }

  fail(waiting: BackendCall, cause: HttpFailure): void {
    waiting.finish(this.backend.failed(cause, fasthttpText(cause, this.#target, waiting.head !== null)));
  }

  #sendMap(call: Call, observer: ProviderObserver, prepared: PreparedRpc, pairs: Pairs): void {
    if (pairs.length === 0) {
      this.#send(call, observer, prepared.outgoing('bare'), NO_BYTES, 0, 0);
    } else if (prepared.method === 'GET') {
      const outgoing = prepared.withQuery(encodedPairs(pairs, queryEscapePercent));
      this.#send(call, observer, outgoing, NO_BYTES, 0, 0);
    } else {
      const body = Buffer.from(encodedPairs(pairs, queryEscape), 'latin1');
      this.#sendBody(call, observer, prepared, body, 0, body.length, 'form');
    }
  }

  #sendBody(
    call: Call,
    observer: ProviderObserver,
    prepared: PreparedRpc,
    bytes: Buffer,
    start: number,
    end: number,
    form: Form = 'body',
  ): void {
    if (prepared.isBodiless && end > start) {
      const shown = JSON.stringify(bytes.toString('utf8', start, Math.min(end, start + SHOWN_BYTES_MAX)));
      const text = `non-zero body for non-POST request. body=${shown}`;
      this.refuse(call, observer, trouble('E_BAD_ARGUMENTS', text, this.backend.troubleType));
      return;
    }
    this.#send(call, observer, prepared.outgoing(end > start ? form : 'bare'), bytes, start, end);
  }

  #send(
    call: Call,
    observer: ProviderObserver,
    outgoing: Outgoing,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const waiting = new BackendCall(call, observer, this, outgoing.method);
    this.backend.send(waiting, this.#upstream, outgoing, bytes, start, end);
  }

  #refuseArguments(call: Call, observer: ProviderObserver, text: string): void {
    this.refuse(call, observer, badArguments(text, this.backend.troubleType));
  }

  #preparedOf(head: CallHead): PreparedRpc {
    if (head.preparedBy !== this) {
      head.prepared = this.#prepare(head);
      head.preparedBy = this;
    }
    return head.prepared as PreparedRpc;
  }

  #prepare(head: CallHead): PreparedRpc {
    const { metadata } = head;
    const { settings } = this.backend;
    const method = metadata.get('HTTP_Method') ?? settings.defaultMethod;
    if (!isToken(method)) return refused(`HTTP_Method ${shown(method)} is no HTTP method`);
    const query = encodedQuery(metadata.text('HTTP_QueryString'));
    if (query === null) return refused('HTTP_QueryString has characters that no query can have');
    const path = this.#rewriting.apply(pathOfMethod(head.method), query);
    if (typeof path !== 'string') return new PreparedRpc(path, method, '', false, '', '');
    const fields = rpcFields(head, settings.domain || hostOf(this.#target));
    if (fields.trouble !== null) return refused(fields.trouble);
    const type = fields.get('content-type') ?? '';
    fields.delete('content-type');
    const absolute = encodePath(path.startsWith('/') ? path : `/${path}`);
    const target = query === '' ? absolute : `${absolute}?${query}`;
    return new PreparedRpc(null, method, target, head.requestId === '', fields.toText(), type);
  }
}

/** The fields that metadata becomes, `Content-Type` among them. */
function rpcFields(head: CallHead, host: string): FieldSet {
  const { metadata } = head;
  const fields = new FieldSet();
  fields.set('Host', host);
  for (const [key, value] of metadata.entries()) {
    if (NO_FIELDS.has(key) || INNER_FIELDS.has(key)) continue;
    if (HOST_KEYS.has(key)) {
      if (isHostAndPort(value)) fields.set('Host', value);
      else fields.trouble ??= `metadata ${key} is no host`;
      continue;
    }
    const name = key.startsWith('http_') ? key.slice('http_'.length) : key;
    if (name.toLowerCase() === 'host') continue;
    if (name !== '') fields.set(name, value);
  }
  fields.setInner(metadata);
  if (!fields.has('user-agent')) fields.set('User-Agent', 'motan');
  const ip = clientIp(metadata, head.host);
  if (ip !== '' && !fields.has('x-forwarded-for')) fields.set('X-Forwarded-For', ip);
  return fields;
}

/** Address of the client that called the agent which called us; empty when it has none, as on unix sockets. */
export function clientIp(metadata: Metadata, host: string): string {
  const said = metadata.text('remoteIP') || host;
  return said === '@' ? '' : said;
}

export function hostOf(target: HttpTarget): string {
  if ('path' in target) return 'localhost';
  return target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`;
}

function refused(text: string): PreparedRpc {
  return new PreparedRpc(failure('E_BAD_ARGUMENTS', text), '', '', false, '', '');
}

/** As it came but for bytes beyond ASCII; null when it would end the target. */
function encodedQuery(query: string): string | null {
  if (/[\0-\x20\x7f#]/.test(query)) return null;
  return query.replace(/[\x80-\xff]/g, (byte) => queryEscape(byte));
}

function encodedPairs(pairs: Pairs, escaped: (text: string) => string): string {
  let text = '';
  for (const [key, value] of pairs) text += `${text === '' ? '' : '&'}${escaped(key)}=${escaped(value)}`;
  return text;
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
