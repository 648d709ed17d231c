/** What the modes of one provider share: its settings, its upstreams, its counters, and how a request is sent. */
import { writeInteger, writeSigned64 } from '../../../base/index.js';
import { type Call, failed, type Logger, type Reply } from '../../../core/index.js';
import { HTTP1_LIMITS } from '../../../wire/http1/index.js';
import {
  COPIED_HEAD_BYTES_MAX,
  type HttpClientDeps,
  type HttpFailure,
  type HttpTarget,
  HttpUpstream,
  targetName,
} from '../../http-client/index.js';
import type { BackendCall } from './backend-call.js';
import { backendCode, NO_FIRST_BYTE, type TroubleType, trouble } from './failures.js';
import { INNER_FIELDS, TIMEOUT_FIELD } from './field-set.js';
import type { BackendSettings } from './settings.js';

export interface HttpProviderDeps extends HttpClientDeps {
  readonly logger: Logger;
}

/** A request that is complete but for what differs from call to call. */
export interface Outgoing {
  readonly method: string;
  /** Request line and field lines. */
  readonly front: Buffer;
  /** The fields have no request id: the call's is added, as motan-go adds it to the metadata. */
  readonly needsId: boolean;
  /** Says `Content-Length` even when there is no body. */
  readonly saysLength: boolean;
}

/** Up to this size a body is copied behind its head: one piece of memory, one write, nothing to keep alive. */
const JOINED_BYTES_MAX = 24 * 1024;
/** From this size a request is made in memory that is used again. */
const POOLED_BYTES_MIN = 4 * 1024;
/** Request id, timeout, length and blank line. */
const TAIL_BYTES_MAX = 160;
const ID_FIELD = Buffer.from(`${INNER_FIELDS.get('M_rid')}: `);
const LEFT_FIELD = Buffer.from(`${TIMEOUT_FIELD}: `);
const LENGTH_FIELD = Buffer.from('Content-Length: ');
const NO_BYTES = Buffer.alloc(0);

export class Backend {
  readonly settings: BackendSettings;
  readonly deps: HttpProviderDeps;
  readonly troubleType: TroubleType;
  readonly #upstreams = new Map<string, HttpUpstream>();
  inFlight = 0;
  #lastTrouble = '';

  constructor(settings: BackendSettings, deps: HttpProviderDeps, troubleType: TroubleType) {
    this.settings = settings;
    this.deps = deps;
    this.troubleType = troubleType;
  }

  get upstreams(): Iterable<HttpUpstream> {
    return this.#upstreams.values();
  }

  /** The connections to `target`. As many upstreams are made as the configuration names. */
  upstreamOf(target: HttpTarget): HttpUpstream {
    const name = targetName(target);
    const known = this.#upstreams.get(name);
    if (known !== undefined) return known;
    const { connectTimeoutMs, connectionsMax, idleTimeoutMs, maxAgeMs } = this.settings;
    const upstream = new HttpUpstream(
      {
        target,
        connectTimeoutMs,
        connectionsMax,
        queueMax: 0,
        queueTimeoutMs: 0,
        idleTimeoutMs,
        maxAgeMs,
        limits: HTTP1_LIMITS,
      },
      this.deps,
    );
    this.#upstreams.set(name, upstream);
    return upstream;
  }

  /**
   * Sends `outgoing` with `body[start, end)` behind it. A call whose time is over already fails instead. The body's memory may be the call's: it is
   * made to outlive this where it has to.
   * @param body bytes, or latin1 text as a whole
   */
  send(
    waiting: BackendCall,
    upstream: HttpUpstream,
    outgoing: Outgoing,
    body: Buffer | string,
    start: number,
    end: number,
  ): void {
    const { call } = waiting;
    const { timeouts, requestTimeoutMs, isTimeoutWhole } = this.settings;
    const { timeoutMs } = call.head;
    const isShorter = timeoutMs > 0 && timeoutMs < requestTimeoutMs;
    const wholeMs = isShorter ? timeoutMs : requestTimeoutMs;
    const untilMs = isShorter || isTimeoutWhole ? call.receivedMs + wholeMs : 0;
    const elapsedMs = this.deps.loop.nowMs - call.receivedMs;
    const leftMs = timeoutMs > 0 ? Math.ceil(wholeMs - elapsedMs) : 0;
    if (timeoutMs > 0 && leftMs <= 0) {
      waiting.finish(this.failed({ kind: 'timeout', text: 'the time was over before' }, NO_FIRST_BYTE));
      return;
    }
    const isJoined = end - start <= JOINED_BYTES_MAX;
    const headBytesMax = outgoing.front.length + TAIL_BYTES_MAX + (isJoined ? end - start : 0);
    const isPooled = headBytesMax >= POOLED_BYTES_MIN && headBytesMax <= COPIED_HEAD_BYTES_MAX;
    const headPooled = isPooled ? this.deps.loop.buffers.take(headBytesMax) : null;
    const into = headPooled ?? Buffer.allocUnsafe(headBytesMax);
    const head = completeHead(into, outgoing, call, leftMs, body, start, end, isJoined);
    let rest: Buffer | null = null;
    let pooled: Buffer | null = null;
    if (!isJoined && body === call.bytes) {
      rest = this.#ownBody(call, start, end);
      pooled = call.pooled;
    } else if (!isJoined) {
      rest = typeof body === 'string' ? Buffer.from(body, 'latin1') : body.subarray(start, end);
    }
    // What waits for an answer must not keep its body: callers would decide how much memory a slow backend costs.
    call.bytes = NO_BYTES;
    call.view = null;
    call.pooled = null;
    if (!waiting.isCounted) this.inFlight += 1;
    waiting.isCounted = true;
    const { method } = outgoing;
    waiting.exchange = upstream.start(
      { method, head, headPooled, body: rest, pooled, timeouts, untilMs },
      waiting,
    );
  }

  /** The reply that tells of trouble with the backend, in the words of the peer. */
  failed(cause: HttpFailure, text: string): Reply {
    this.note(cause);
    return failed(trouble(backendCode(cause), text, this.troubleType));
  }

  /** Logs why no connection can be had, when that is another reason than the last time. */
  note(cause: HttpFailure): void {
    if (cause.kind !== 'refused' && cause.kind !== 'connect-timeout') return;
    if (cause.text === this.#lastTrouble) return;
    this.#lastTrouble = cause.text;
    this.deps.logger.warn({ error: cause.text }, 'cannot connect to an HTTP backend');
  }

  close(withinMs: number): void {
    for (const upstream of this.#upstreams.values()) upstream.close(withinMs);
  }

  /** A view of the call's body that stays as it is. */
  #ownBody(call: Call, start: number, end: number): Buffer {
    const offset = start - call.bodyStart;
    call.retain();
    const from = call.bodyStart + offset;
    return call.bytes.subarray(from, from + end - start);
  }
}

/** Writes head and blank line, and the body behind it when `isJoined`. */
function completeHead(
  into: Buffer,
  outgoing: Outgoing,
  call: Call,
  leftMs: number,
  body: Buffer | string,
  start: number,
  end: number,
  isJoined: boolean,
): Buffer {
  const { front } = outgoing;
  const bodyBytes = end - start;
  into.set(front, 0);
  let at = front.length;
  if (outgoing.needsId) {
    into.set(ID_FIELD, at);
    at = endLine(into, writeSigned64(into, at + ID_FIELD.length, call.requestIdHigh, call.requestIdLow));
  }
  if (leftMs > 0) {
    into.set(LEFT_FIELD, at);
    at = endLine(into, writeInteger(into, at + LEFT_FIELD.length, leftMs));
  }
  if (bodyBytes > 0 || outgoing.saysLength) {
    into.set(LENGTH_FIELD, at);
    at = endLine(into, writeInteger(into, at + LENGTH_FIELD.length, bodyBytes));
  }
  at = endLine(into, at);
  if (isJoined && bodyBytes > 0)
    at += typeof body === 'string' ? into.write(body, at, 'latin1') : body.copy(into, at, start, end);
  return into.subarray(0, at);
}

function endLine(into: Buffer, at: number): number {
  into[at] = 0x0d;
  into[at + 1] = 0x0a;
  return at + 2;
}
