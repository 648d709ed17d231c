/**
 * Mode A: an HTTP request that came over the mesh as it was, as header block and body (spec traffic 2.6, 3.4). Its answer goes back
 * likewise, with the backend's own status: `enableHttpException` is not for HTTP callers.
 */
import { equalBytes } from '../../../base/index.js';
import {
  type Call,
  type CallHead,
  type Failure,
  failure,
  ProtocolError,
  type ProviderObserver,
} from '../../../core/index.js';
import {
  canonicalName,
  connectionOptions,
  decodePath,
  encodePath,
  normalizePath,
  parseRequestBlock,
  type RequestHead,
  type ResponseHead,
  splitTarget,
} from '../../../wire/http1/index.js';
import { SIMPLE } from '../../../wire/serialization/index.js';
import type { HttpFailure, HttpTarget, HttpUpstream } from '../../http-client/index.js';
import { pairFrontBytes, writePairFront } from './answer-front.js';
import { answerBlock, statusHead } from './answer-heads.js';
import { serializationOf } from './argument.js';
import type { Backend, Outgoing } from './backend.js';
import { BackendCall } from './backend-call.js';
import { fasthttpText } from './failures.js';
import { FieldSet, isInnerName, isNeverPassed } from './field-set.js';
import { finishWith, Mode } from './mode.js';
import type { Rewriting } from './rewriting.js';
import { clientIp, hostOf } from './rpc-mode.js';

/** A larger header block is parsed each time. */
const KEPT_BLOCK_BYTES_MAX = 8 * 1024;
const BYTES_TAG = 3;
const NULL_TAG = 0;

/** The last header block that came with a CallHead, and what was made of it. */
class PreparedBlock {
  readonly block: Buffer;
  readonly outgoing: Outgoing | Failure;

  constructor(block: Buffer, outgoing: Outgoing | Failure) {
    this.block = block;
    this.outgoing = outgoing;
  }
}

export class TransparentMode extends Mode {
  readonly #target: HttpTarget;
  readonly #upstream: HttpUpstream;
  readonly #rewriting: Rewriting;

  constructor(backend: Backend, target: HttpTarget, rewriting: Rewriting) {
    super(backend);
    this.#target = target;
    this.#upstream = backend.upstreamOf(target);
    this.#rewriting = rewriting;
  }

  start(call: Call, observer: ProviderObserver): void {
    const { bytes } = call;
    const blockEnd = endOfBytes(call, call.bodyStart);
    const bodyEnd = blockEnd < 0 ? -1 : endOfBytes(call, blockEnd);
    if (serializationOf(call) !== SIMPLE || bodyEnd !== call.bodyEnd) {
      const text = 'a transparent HTTP call has two byte arrays as arguments: header block and body';
      this.refuse(call, observer, failure('E_BAD_ARGUMENTS', text));
      return;
    }
    const outgoing = this.#outgoingOf(call.head, bytes, contentStart(bytes, call.bodyStart), blockEnd);
    if ('code' in outgoing) {
      this.refuse(call, observer, outgoing);
      return;
    }
    const waiting = new BackendCall(call, observer, this, outgoing.method);
    this.backend.send(waiting, this.#upstream, outgoing, bytes, contentStart(bytes, blockEnd), bodyEnd);
  }

  override frontBytes(waiting: BackendCall, head: ResponseHead): number {
    const wallMs = this.backend.deps.loop.clock.wallMs();
    // A length that is not known yet takes as many digits as the longest.
    return pairFrontBytes(answerBlock(head, waiting.method === 'HEAD', this.answerBytesMax, wallMs).length);
  }

  answer(
    waiting: BackendCall,
    head: ResponseHead,
    bytes: Buffer,
    start: number,
    end: number,
    isOwned: boolean,
  ): void {
    const wallMs = this.backend.deps.loop.clock.wallMs();
    const block = answerBlock(head, waiting.method === 'HEAD', end - start, wallMs);
    const from = writePairFront(bytes, start, end - start, block);
    if (end - from > this.backend.settings.answerBytesMax) {
      waiting.failTooLarge();
      return;
    }
    finishWith(waiting, statusHead(head), SIMPLE, bytes, from, end, isOwned);
  }

  fail(waiting: BackendCall, cause: HttpFailure): void {
    waiting.finish(this.backend.failed(cause, fasthttpText(cause, this.#target, waiting.head !== null)));
  }

  #outgoingOf(head: CallHead, bytes: Buffer, start: number, end: number): Outgoing | Failure {
    const known = head.preparedBy === this ? (head.prepared as PreparedBlock) : null;
    if (known !== null && known.block.length === end - start && equalBytes(bytes, start, known.block))
      return known.outgoing;
    const outgoing = this.#prepare(head, bytes.subarray(start, end));
    if (end - start <= KEPT_BLOCK_BYTES_MAX) {
      head.prepared = new PreparedBlock(Buffer.from(bytes.subarray(start, end)), outgoing);
      head.preparedBy = this;
    }
    return outgoing;
  }

  #prepare(head: CallHead, block: Buffer): Outgoing | Failure {
    let request: RequestHead;
    try {
      request = parseRequestBlock(block);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return failure('E_BAD_ARGUMENTS', `malformed header block: ${error.message}`);
    }
    if (request.method === 'CONNECT')
      return failure('E_BAD_ARGUMENTS', 'CONNECT cannot be called over the mesh');
    const { path: rawPath, query, hasQuery } = splitTarget(request.target);
    const path = normalizePath(head.method);
    const rewritten = this.#rewriting.apply(path, query);
    if (typeof rewritten !== 'string') return rewritten;
    // The caller's own spelling goes on where it names the same path: `%2F` is not `/` for every backend. Bytes that should have been
    // escaped are: strict backends refuse them, and motan-go escapes them.
    const decoded = decodePath(rawPath);
    const isSame = decoded === rewritten && /^\/[\x21-\x7e]*$/.test(rawPath);
    const target = isSame ? rawPath : encodePath(rewritten.startsWith('/') ? rewritten : `/${rewritten}`);
    const fields = transparentFields(head, request, this.backend.settings.domain || hostOf(this.#target));
    if (fields.trouble !== null) return failure('E_BAD_ARGUMENTS', fields.trouble);
    const line = `${request.method} ${target}${hasQuery ? `?${query}` : ''} HTTP/1.1\r\n`;
    return {
      method: request.method,
      front: Buffer.from(line + fields.text, 'latin1'),
      needsId: head.requestId === '',
      saysLength:
        request.contentLength >= 0 || request.isChunked || /^(?:POST|PUT|PATCH)$/.test(request.method),
    };
  }
}

/** Fields of the block, repeated ones too, with what the mesh says of the call in their place. */
function transparentFields(
  head: CallHead,
  request: RequestHead,
  defaultHost: string,
): { text: string; trouble: string | null } {
  const { metadata } = head;
  const added = new FieldSet();
  added.setInner(metadata);
  for (const name of ['traceparent', 'tracestate']) {
    const value = metadata.get(name);
    if (value !== undefined) added.set(name, value);
  }
  const ofConnection = connectionOptions(request);
  let text = '';
  let hasAgent = false;
  let hasForwarded = false;
  for (let index = 0; index < request.fields.length; index += 2) {
    const name = request.fields[index]!;
    const lower = name.toLowerCase();
    if (isNeverPassed(lower) || isInnerName(lower) || added.has(lower)) continue;
    if (lower !== 'host' && ofConnection.includes(lower)) continue;
    hasAgent ||= lower === 'user-agent';
    hasForwarded ||= lower === 'x-forwarded-for';
    text += `${canonicalName(name)}: ${request.fields[index + 1]}\r\n`;
  }
  if (request.host === '') text = `Host: ${defaultHost}\r\n${text}`;
  if (!hasAgent) added.set('User-Agent', 'motan');
  const ip = clientIp(metadata, head.host);
  if (!hasForwarded && ip !== '') added.set('X-Forwarded-For', ip);
  return { text: text + added.toText(), trouble: added.trouble };
}

/** Where the byte array or null that begins at `start` says that it ends, which may be beyond the body; -1 when there is none. */
function endOfBytes(call: Call, start: number): number {
  const { bytes, bodyEnd } = call;
  if (start >= bodyEnd) return -1;
  if (bytes[start] === NULL_TAG) return start + 1;
  if (bytes[start] !== BYTES_TAG || bodyEnd - start < 5) return -1;
  return start + 5 + bytes.readUInt32BE(start + 1);
}

function contentStart(bytes: Buffer, start: number): number {
  return bytes[start] === NULL_TAG ? start + 1 : start + 5;
}
