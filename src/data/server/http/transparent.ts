/**
 * Transparent HTTP over Motan2: a request for a domain of the mesh becomes a call of the service behind its path (spec traffic 2.3 to 2.7).
 *
 *   metadata   M_p service  M_m path, normalised  M_g group  M_s application  M_pp motan2  HTTP_PROXY true
 *   body       03 size [ GET /a%2Fb?x=1 HTTP/1.1 CRLF fields CRLF ]   03 size [ body as it came ]
 *   answer     15 size ( 03 size [ HTTP/1.1 200 OK CRLF fields CRLF ]   03 size [ body ] )
 *
 * The path is matched normalised but goes on as it was sent. The caller's address is appended to X-Forwarded-For: no agent behind knows it.
 * An answer 1001, of this agent or of the next, means that nobody serves it: the direct proxy then gets the request with its body.
 */
import { equalBytes } from '../../../base/index.js';
import {
  Call,
  CallHead,
  type HttpDomain,
  type ListenerState,
  latin1Text,
  Metadata,
  ProtocolError,
  type Reply,
  TYPE_PROXY,
} from '../../../core/index.js';
import { canonicalName, isFieldValue, parseResponseBlock } from '../../../wire/http1/index.js';
import { AnswerFront } from './answer-front.js';
import { connectionNames, isForwarded, timeoutText } from './client-fields.js';
import type { DomainHandler } from './dispatch.js';
import {
  type BodyCollector,
  type HttpExchange,
  type HttpHandler,
  outcomeOf,
  type ReplyReceiver,
} from './exchange.js';
import type { RequestIds } from './request-ids.js';
import {
  readTwo,
  SIMPLE_BYTE,
  type Span,
  TAG_BYTES,
  VALUE_HEAD_BYTES,
  writeValueHead,
} from './simple-bytes.js';

const VERSION_STATUS = 0x08;
/** Nobody serves the call: spec traffic 1.1. */
const NO_ENDPOINT_CODE = 1001;
/** The line Content-Length with 15 digits, and the blank line. */
const LENGTH_LINE_BYTES_MAX = 40;
/** A header block up to this size is kept with what it means, for the next answer. */
const KEPT_BLOCK_BYTES_MAX = 4096;
const NO_BYTES = Buffer.alloc(0);
const PLAIN_OK = new AnswerFront(200, []);

/** What all requests with the same head for the same service share. */
interface Plan {
  readonly domain: HttpDomain;
  readonly service: string;
  readonly authority: string;
  readonly callHead: CallHead;
  /** Request line and fields, without the length and the blank line. */
  readonly blockFront: Buffer;
  /** Body of a call whose request has none. */
  readonly bodiless: Buffer;
  /** Header block of the last answer, and what it means. */
  lastBlock: Buffer;
  lastFront: AnswerFront | null;
}

export class TransparentHttp implements DomainHandler, BodyCollector, ReplyReceiver {
  readonly #fallback: HttpHandler;
  readonly #bodyBytesMax: number;
  readonly #frameBytesMax: number;
  readonly #ids: RequestIds;
  readonly #block: Span = { start: 0, end: 0 };
  readonly #body: Span = { start: 0, end: 0 };

  /** @param fallback answers what nobody in the mesh serves */
  constructor(state: ListenerState, fallback: HttpHandler, ids: RequestIds) {
    this.#fallback = fallback;
    this.#bodyBytesMax = state.http!.bodyBytesMax;
    this.#frameBytesMax = state.frameBytesMax;
    this.#ids = ids;
  }

  serve(exchange: HttpExchange, domain: HttpDomain, service: string, authority: string): void {
    if (!isFieldValue(exchange.target.path)) {
      // Metadata is lines: it cannot hold such a path, and a part of it would be another key.
      exchange.refuse(400, 'the path has control characters');
      return;
    }
    const plan = planOf(exchange, domain, service, authority);
    exchange.context = plan;
    const roomBytes = plan.blockFront.length + LENGTH_LINE_BYTES_MAX + 2 * VALUE_HEAD_BYTES;
    exchange.collectBody(Math.min(this.#bodyBytesMax, this.#frameBytesMax - roomBytes), this, roomBytes);
  }

  onBodyCollected(exchange: HttpExchange): void {
    const plan = exchange.context as Plan;
    let start = 0;
    let bytes = plan.bodiless;
    if (exchange.bodyEnd > exchange.bodyStart) {
      start = frameBody(exchange, plan);
      if (start < 0) return;
      bytes = exchange.body;
    }
    const ids = this.#ids;
    ids.next();
    const call = new Call(
      plan.callHead,
      exchange,
      2,
      ids.high,
      ids.low,
      TYPE_PROXY,
      VERSION_STATUS,
      SIMPLE_BYTE,
      exchange.receivedMs,
      bytes,
      start,
      bytes === plan.bodiless ? bytes.length : exchange.bodyEnd,
    );
    call.isOwned = true;
    exchange.awaitReply(this);
    plan.domain.call(plan.service, call);
  }

  onReply(exchange: HttpExchange, _call: Call, reply: Reply): void {
    const plan = exchange.context as Plan;
    const { exception } = reply;
    if (exception !== null && exception.code === NO_ENDPOINT_CODE) {
      this.#fallback.handle(exchange);
      return;
    }
    exchange.outcome = outcomeOf(reply);
    if (exception !== null) {
      refuse(exchange, exception.message);
      return;
    }
    const front = this.#readAnswer(plan, reply);
    if (typeof front === 'string') {
      exchange.outcome = 'failed';
      refuse(exchange, front);
      return;
    }
    const { start, end } = this.#body;
    exchange.respondWith(front, reply.bytes, reply.view, start, end, reply.isOwned, reply.pooled);
  }

  /** The front, with the place of the body in `#body`; a text when the answer is not one. */
  #readAnswer(plan: Plan, reply: Reply): AnswerFront | string {
    const { bytes } = reply;
    const block = this.#block;
    if (reply.serialization !== SIMPLE_BYTE) return 'the answer is not serialized as simple';
    try {
      readTwo(bytes, reply.bodyStart, reply.bodyEnd, block, this.#body);
      const blockBytes = block.end - block.start;
      if (blockBytes === 0) return PLAIN_OK;
      const { lastBlock, lastFront } = plan;
      if (lastFront !== null && lastBlock.length === blockBytes && equalBytes(bytes, block.start, lastBlock))
        return lastFront;
      const own = Buffer.from(bytes.subarray(block.start, block.end));
      const front = frontOf(own);
      if (front.status < 200) return `the answer has status ${front.status}`;
      if (blockBytes <= KEPT_BLOCK_BYTES_MAX) {
        plan.lastBlock = own;
        plan.lastFront = front;
      }
      return front;
    } catch (error) {
      if (error instanceof ProtocolError) return error.message;
      throw error;
    }
  }
}

/** What the agent says in place of the service, as motan-go says it. */
function refuse(exchange: HttpExchange, text: string): void {
  if (exchange.outcome === 'shed')
    exchange.refuse(503, `err_msg: ${text}`, 'shed', ['Server', 'motan', 'Retry-After', '1']);
  else exchange.refuse(502, `err_msg: ${text}`, exchange.outcome, ['Server', 'motan']);
}

function planOf(exchange: HttpExchange, domain: HttpDomain, service: string, authority: string): Plan {
  const known = exchange.memo.transparent as Plan | null;
  if (
    known !== null &&
    known.domain === domain &&
    known.service === service &&
    known.authority === authority
  ) {
    return known;
  }
  const blockFront = blockFrontOf(exchange, authority);
  const plan: Plan = {
    domain,
    service,
    authority,
    callHead: callHeadOf(exchange, domain, service),
    blockFront,
    bodiless: bodilessOf(blockFront, exchange.head.contentLength === 0),
    lastBlock: NO_BYTES,
    lastFront: null,
  };
  exchange.memo.transparent = plan;
  return plan;
}

function callHeadOf(exchange: HttpExchange, domain: HttpDomain, service: string): CallHead {
  const { url } = domain;
  const metadata = Metadata.of([
    ['M_p', latin1Text(service)],
    ['M_m', exchange.target.path],
    ['M_g', latin1Text(url.group)],
    ['M_s', latin1Text(url.text('application'))],
    ['M_pp', 'motan2'],
    ['HTTP_PROXY', 'true'],
  ]);
  const timeout = timeoutText(exchange.head);
  if (timeout !== '') metadata.set('M_tmo', timeout);
  // Without an address: `host` is the caller's on the Motan port alone.
  return new CallHead(metadata, '');
}

function blockFrontOf(exchange: HttpExchange, authority: string): Buffer {
  const { head, target, remoteHost } = exchange;
  const connection = connectionNames(head);
  const path = target.hasQuery ? `${target.rawPath}?${target.query}` : target.rawPath;
  let text = `${head.method} ${path} HTTP/1.1\r\nHost: ${authority}\r\n`;
  let forwardedFor = '';
  for (let index = 0; index < head.fields.length; index += 2) {
    const lowerName = head.fields[index]!.toLowerCase();
    const value = head.fields[index + 1]!;
    if (!isForwarded(lowerName, connection)) continue;
    if (lowerName === 'x-forwarded-for') forwardedFor = joined(forwardedFor, value);
    else text += `${canonicalName(head.fields[index]!)}: ${value}\r\n`;
  }
  // A peer on a unix socket has no address.
  if (remoteHost !== '' && remoteHost !== '@') forwardedFor = joined(forwardedFor, remoteHost);
  if (forwardedFor !== '') text += `X-Forwarded-For: ${forwardedFor}\r\n`;
  return Buffer.from(text, 'latin1');
}

function joined(before: string, value: string): string {
  if (before === '' || value === '') return before + value;
  return `${before}, ${value}`;
}

function bodilessOf(blockFront: Buffer, saysLength: boolean): Buffer {
  const end = Buffer.from(saysLength ? 'Content-Length: 0\r\n\r\n' : '\r\n', 'latin1');
  const blockBytes = blockFront.length + end.length;
  const bytes = Buffer.allocUnsafe(blockBytes + 2 * VALUE_HEAD_BYTES);
  writeValueHead(bytes, 0, TAG_BYTES, blockBytes);
  bytes.set(blockFront, VALUE_HEAD_BYTES);
  bytes.set(end, VALUE_HEAD_BYTES + blockFront.length);
  writeValueHead(bytes, VALUE_HEAD_BYTES + blockBytes, TAG_BYTES, 0);
  return bytes;
}

/**
 * Puts header block and sizes in front of the body, where it lies when there is room.
 * @returns where in `exchange.body` the body of the call begins; -1 when there is no memory, and the exchange is answered
 */
function frameBody(exchange: HttpExchange, plan: Plan): number {
  const bodyBytes = exchange.bodyEnd - exchange.bodyStart;
  const lengthLine = `Content-Length: ${bodyBytes}\r\n\r\n`;
  const blockBytes = plan.blockFront.length + lengthLine.length;
  const frontBytes = blockBytes + 2 * VALUE_HEAD_BYTES;
  if (!exchange.isBodyOwned || exchange.bodyStart < frontBytes) {
    const own = Buffer.allocUnsafe(frontBytes + bodyBytes);
    exchange.body.copy(own, frontBytes, exchange.bodyStart, exchange.bodyEnd);
    if (!exchange.replaceBody(own, frontBytes)) return -1;
  }
  const { body, bodyStart } = exchange;
  const start = bodyStart - frontBytes;
  writeValueHead(body, start, TAG_BYTES, blockBytes);
  body.set(plan.blockFront, start + VALUE_HEAD_BYTES);
  body.write(lengthLine, start + VALUE_HEAD_BYTES + plan.blockFront.length, 'latin1');
  writeValueHead(body, bodyStart - VALUE_HEAD_BYTES, TAG_BYTES, bodyBytes);
  return start;
}

/** Throws HttpError when the block is no head of an answer. */
function frontOf(block: Buffer): AnswerFront {
  const head = parseResponseBlock(block);
  const connection = connectionNames(head);
  const fields: string[] = [];
  for (let index = 0; index < head.fields.length; index += 2) {
    const lowerName = head.fields[index]!.toLowerCase();
    // The time is the agent's own, as with motan-go.
    if (lowerName === 'date' || connection.includes(lowerName)) continue;
    fields.push(head.fields[index]!, head.fields[index + 1]!);
  }
  return new AnswerFront(head.status, fields);
}
