/**
 * The bridge `/proxy_to_rpc`: one form becomes one call with one string, and its value the body of the answer (spec traffic 2.9).
 *
 *   POST /proxy_to_rpc?service=S&method=m&group=g&arg_type=string     arg=hello+world
 *   -> M_p S, M_m m, M_g g, M_pp motan2, the client's fields; body 01 0000000b "hello world"
 *
 * Any of the five may stand in the query or in the form; the query goes before. As with motan-go the client's fields become metadata, because
 * callers of this bridge rely on it, but never those that route, that agents set, or that are for one hop (client-fields.ts).
 *
 * The argument is made where the form lies: decoding makes it no longer, and the bytes in front of it have been read.
 */
import {
  Call,
  CallHead,
  type ListenerState,
  Metadata,
  ProtocolError,
  type Reply,
  type ReplyHead,
  TYPE_PROXY,
} from '../../../core/index.js';
import { canonicalName, isFieldValue, parseForm, type RequestHead } from '../../../wire/http1/index.js';
import { AnswerFront, textFront } from './answer-front.js';
import { connectionNames, isForwarded, isMetadataKey, timeoutText } from './client-fields.js';
import {
  type BodyCollector,
  type HttpExchange,
  type HttpHandler,
  outcomeOf,
  type ReplyReceiver,
} from './exchange.js';
import type { RequestIds } from './request-ids.js';
import {
  readText,
  SIMPLE_BYTE,
  type Span,
  TAG_STRING,
  VALUE_HEAD_BYTES,
  writeValueHead,
} from './simple-bytes.js';

export const BRIDGE_PATH = '/proxy_to_rpc';

const VERSION_STATUS = 0x08;
/** Up to here a loop that looks for three bytes at once beats three native searches. */
const LOOP_BYTES_MAX = 512;
const ARGUMENT_KEY = Buffer.from('arg=');
const AMPERSAND = 0x26;
const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;

/** What a form says; empty for what it does not. latin1. */
interface Fields {
  readonly service: string;
  readonly method: string;
  readonly group: string;
  readonly argType: string;
  readonly arg: string;
}

/** What all requests with the same head share. */
interface Plan {
  readonly query: Fields;
  /** The body is a form. */
  readonly isForm: boolean;
  /** The query says everything but the argument. */
  readonly wantsArgument: boolean;
  /** Of the last call. */
  callHead: CallHead | null;
}

export interface ProxyToRpcDeps {
  readonly routeRpc: (call: Call) => void;
}

export class ProxyToRpc implements HttpHandler, BodyCollector, ReplyReceiver {
  readonly #bodyBytesMax: number;
  readonly #routeRpc: (call: Call) => void;
  readonly #ids: RequestIds;
  readonly #value: Span = { start: 0, end: 0 };

  constructor(state: ListenerState, deps: ProxyToRpcDeps, ids: RequestIds) {
    this.#bodyBytesMax = Math.min(state.http!.bodyBytesMax, state.frameBytesMax - VALUE_HEAD_BYTES);
    this.#routeRpc = deps.routeRpc;
    this.#ids = ids;
  }

  handle(exchange: HttpExchange): void {
    exchange.collectBody(this.#bodyBytesMax, this);
  }

  onBodyCollected(exchange: HttpExchange): void {
    const plan = planOf(exchange);
    const { body, bodyStart, bodyEnd } = exchange;
    if (plan.wantsArgument && startsWithArgument(body, bodyStart, bodyEnd)) {
      const start = bodyStart + ARGUMENT_KEY.length;
      const end = decodeInPlace(body, start, bodyEnd);
      if (end >= 0) {
        this.#call(exchange, callHeadOf(plan, exchange.head, plan.query), body, start, end);
        return;
      }
    }
    this.#callWithForm(exchange, plan);
  }

  onReply(exchange: HttpExchange, _call: Call, reply: Reply): void {
    exchange.outcome = outcomeOf(reply);
    if (reply.exception !== null) {
      const isShed = exchange.outcome === 'shed';
      const text = reply.exception.message;
      if (isShed) exchange.refuse(503, text, 'shed', ['Retry-After', '1']);
      else exchange.refuse(502, text, exchange.outcome);
      return;
    }
    const value = this.#value;
    const trouble = valueTrouble(reply, value);
    if (trouble !== null) {
      exchange.refuse(502, trouble);
      return;
    }
    const front = frontOf(reply.head!, reply.address);
    exchange.respondWith(front, reply.bytes, reply.view, value.start, value.end, reply.isOwned, reply.pooled);
  }

  /** The general way: everything as text. */
  #callWithForm(exchange: HttpExchange, plan: Plan): void {
    const { body, bodyStart, bodyEnd } = exchange;
    const form = plan.isForm && bodyEnd > bodyStart ? body.toString('latin1', bodyStart, bodyEnd) : '';
    const fields = form === '' ? plan.query : merged(plan.query, fieldsOf(form));
    const { service, method, group, argType } = fields;
    if (service === '' || method === '') {
      refuseText(exchange, `service:${service} or method:${method} musn't be empty`);
    } else if (argType !== 'string') {
      refuseText(exchange, `arg_type ${argType} not support now`);
    } else if (!isFieldValue(service) || !isFieldValue(method) || !isFieldValue(group)) {
      refuseText(exchange, 'service, method and group must not have control characters');
    } else {
      const head = callHeadOf(plan, exchange.head, fields);
      const argument = Buffer.allocUnsafe(VALUE_HEAD_BYTES + fields.arg.length);
      argument.write(fields.arg, VALUE_HEAD_BYTES, 'latin1');
      this.#call(exchange, head, argument, VALUE_HEAD_BYTES, argument.length);
    }
  }

  /** Calls with the text `bytes[start, end)`. */
  #call(exchange: HttpExchange, head: CallHead, text: Buffer, start: number, end: number): void {
    let bytes = text;
    let bodyStart = start - VALUE_HEAD_BYTES;
    let bodyEnd = end;
    if (bodyStart < 0) {
      bytes = Buffer.allocUnsafe(VALUE_HEAD_BYTES + end - start);
      text.copy(bytes, VALUE_HEAD_BYTES, start, end);
      bodyStart = 0;
      bodyEnd = bytes.length;
    }
    writeValueHead(bytes, bodyStart, TAG_STRING, end - start);
    const ids = this.#ids;
    ids.next();
    const call = new Call(
      head,
      exchange,
      2,
      ids.high,
      ids.low,
      TYPE_PROXY,
      VERSION_STATUS,
      SIMPLE_BYTE,
      exchange.receivedMs,
      bytes,
      bodyStart,
      bodyEnd,
    );
    const isBody = bytes === exchange.body;
    call.isOwned = !isBody || exchange.isBodyOwned;
    call.view = isBody ? exchange.bodyView : null;
    exchange.releaseBody();
    exchange.awaitReply(this);
    this.#routeRpc(call);
  }
}

function planOf(exchange: HttpExchange): Plan {
  const { memo } = exchange;
  if (memo.bridge !== null) return memo.bridge as Plan;
  const query = fieldsOf(memo.target.query);
  const { service, method, group, argType, arg } = query;
  const type = (exchange.head.get('content-type') ?? '').toLowerCase();
  const isForm = type.startsWith('application/x-www-form-urlencoded');
  const isSane = isFieldValue(service) && isFieldValue(method) && isFieldValue(group);
  const isComplete = service !== '' && method !== '' && argType === 'string' && arg === '';
  const plan: Plan = { query, isForm, wantsArgument: isForm && isSane && isComplete, callHead: null };
  memo.bridge = plan;
  return plan;
}

function fieldsOf(text: string): Fields {
  const found = { service: '', method: '', group: '', arg_type: '', arg: '' };
  for (const [key, value] of parseForm(text)) {
    // The first that is not empty counts.
    if (Object.hasOwn(found, key) && found[key as keyof typeof found] === '')
      found[key as keyof typeof found] = value;
  }
  const { service, method, group, arg } = found;
  return { service, method, group, argType: found.arg_type, arg };
}

function merged(first: Fields, second: Fields): Fields {
  return {
    service: first.service || second.service,
    method: first.method || second.method,
    group: first.group || second.group,
    argType: first.argType || second.argType,
    arg: first.arg || second.arg,
  };
}

/** The head of the call: the one before when it says the same, so that its route and its encoded metadata are found with it. */
function callHeadOf(plan: Plan, request: RequestHead, fields: Fields): CallHead {
  const known = plan.callHead;
  const { service, method, group } = fields;
  if (known !== null && known.service === service && known.method === method && known.group === group)
    return known;
  const metadata = Metadata.of([
    ['M_p', service],
    ['M_m', method],
    ['M_pp', 'motan2'],
  ]);
  if (group !== '') metadata.set('M_g', group);
  addFields(metadata, request);
  const timeout = timeoutText(request);
  if (timeout !== '') metadata.set('M_tmo', timeout);
  // Without an address: `host` is the caller's on the Motan port alone.
  plan.callHead = new CallHead(metadata, '');
  return plan.callHead;
}

function addFields(metadata: Metadata, request: RequestHead): void {
  const { fields } = request;
  const connection = connectionNames(request);
  for (let index = 0; index < fields.length; index += 2) {
    const lowerName = fields[index]!.toLowerCase();
    const value = fields[index + 1]!;
    if (value === '' || !isForwarded(lowerName, connection) || !isMetadataKey(lowerName)) continue;
    const key = TRACE_KEYS.has(lowerName) ? lowerName : canonicalName(fields[index]!);
    const before = metadata.get(key);
    const separator = lowerName === 'cookie' ? '; ' : ', ';
    metadata.set(key, before === undefined ? value : `${before}${separator}${value}`);
  }
}

/** Read by that name wherever calls are traced. */
const TRACE_KEYS: ReadonlySet<string> = new Set(['traceparent', 'tracestate']);

function startsWithArgument(body: Buffer, start: number, end: number): boolean {
  if (end - start < ARGUMENT_KEY.length) return false;
  for (let index = 0; index < ARGUMENT_KEY.length; index += 1) {
    if (body[start + index] !== ARGUMENT_KEY[index]) return false;
  }
  return true;
}

/**
 * Takes the escapes out of a form value, where it lies. Broken ones stay as they are, as fasthttp leaves them.
 * @returns its new end; -1, and nothing is changed, when another field follows
 */
function decodeInPlace(bytes: Buffer, start: number, end: number): number {
  let from = start;
  if (end - start <= LOOP_BYTES_MAX) {
    let firstEscape = -1;
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at]!;
      if (byte === AMPERSAND) return -1;
      if (firstEscape < 0 && (byte === PERCENT || byte === PLUS)) firstEscape = at;
    }
    if (firstEscape < 0) return end;
    from = firstEscape;
  } else {
    const value = bytes.subarray(start, end);
    if (value.includes(AMPERSAND)) return -1;
    if (!value.includes(PERCENT) && !value.includes(PLUS)) return end;
  }
  let to = from;
  for (let at = from; at < end; at += 1) {
    const byte = bytes[at]!;
    if (byte === PERCENT && at + 2 < end) {
      const value = (hexDigit(bytes[at + 1]!) << 4) | hexDigit(bytes[at + 2]!);
      if (value >= 0) {
        bytes[to++] = value;
        at += 2;
        continue;
      }
    }
    bytes[to++] = byte === PLUS ? SPACE : byte;
  }
  return to;
}

/** Below 0 for what is none. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Fills `value` with where the text of the answer lies; or says why it has none. */
function valueTrouble(reply: Reply, value: Span): string | null {
  const { bytes, bodyStart, bodyEnd } = reply;
  if (bodyEnd > bodyStart && reply.serialization !== SIMPLE_BYTE)
    return 'the answer is serialized in a way that HTTP callers cannot read';
  try {
    readText(bytes, bodyStart, bodyEnd, value);
    return null;
  } catch (error) {
    if (error instanceof ProtocolError) return error.message;
    throw error;
  }
}

interface KnownFront {
  readonly address: string;
  readonly front: AnswerFront;
}

/** Metadata of the answer as fields. Kept with the head it was made of. */
function frontOf(head: ReplyHead, address: string): AnswerFront {
  const known = head.front as KnownFront | null;
  if (known !== null && known.address === address) return known.front;
  // Plain text whatever the service says: a value must not become a page in somebody's browser.
  const fields = ['Content-Type', 'text/plain'];
  if (address !== '') fields.push('X-Forwarded-For', address);
  for (const [key, value] of head.metadata.entries()) {
    const name = canonicalName(key);
    if (name === 'Content-Type' || (name === 'X-Forwarded-For' && address !== '')) continue;
    fields.push(name, value);
  }
  const made: KnownFront = { address, front: new AnswerFront(200, fields) };
  head.front = made;
  return made.front;
}

/** The caller's own words come back as the bytes they were. */
function refuseText(exchange: HttpExchange, latin1: string): void {
  const body = Buffer.from(latin1, 'latin1');
  exchange.outcome = 'failed';
  exchange.respondWith(textFront(400), body, null, 0, body.length, true, null);
}
