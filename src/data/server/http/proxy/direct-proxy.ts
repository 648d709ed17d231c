/**
 * Requests for servers that the mesh does not answer for, passed on to them (spec traffic 2.8): hosts that are no domain, paths that no
 * service has, and calls for which no node was found.
 *
 *   policy --allowed--> upstream --head--> body both ways, each side waits for the other --end--> logged
 *     |---- refused: 403        '---- nothing came: 502 `Server: motan`, empty, as motan-go answers   cut inside: the caller's connection ends
 *
 * The target is the authority of an absolute target, else Host. No redirect is followed; nothing is sent twice but where the client knows
 * that the server cannot have seen it.
 */
import { type Logger, redactText, utf8Text } from '../../../../core/index.js';
import type { ResponseHead } from '../../../../wire/http1/index.js';
import { chunkHead } from '../../../../wire/http1/index.js';
import type {
  HttpFailure,
  HttpTimeouts,
  HttpUpstream,
  Outbound,
  OutboundWaiter,
  HttpExchange as Outgoing,
  HttpHandler as OutgoingHandler,
} from '../../../http-client/index.js';
import { timeoutText } from '../client-fields.js';
import type { BodyCollector, BodyReader, ExchangeWatcher, HttpExchange, HttpHandler } from '../exchange.js';
import { type ForwardedRequest, forwardedFields, forwardedRequest } from './forwarded-head.js';

export interface DirectProxyDeps {
  readonly logger: Logger;
  readonly outbound: Outbound;
  /** Whether an http-client has that host name as its domain: it may be reached without an entry. */
  readonly isDomain: (host: string) => boolean;
  /** Unique among agents: by it a request is known that comes back. A token in lower case. */
  readonly viaName: string;
}

export interface DirectProxySettings {
  readonly keepalive: boolean;
  readonly upstreamTimeoutMs: number;
}

/** Up to this an announced body is read whole before it is sent: with all of it at hand a request can be sent anew when nothing has left. */
const WHOLE_BODY_BYTES_MAX = 64 * 1024;
const LOGGED_CHARACTERS_MAX = 1024;
const CRLF = Buffer.from('\r\n');
const LAST_CHUNK = Buffer.from('0\r\n\r\n');

export class DirectProxy implements HttpHandler {
  readonly deps: DirectProxyDeps;
  readonly keepalive: boolean;
  readonly timeouts: HttpTimeouts;

  constructor(settings: DirectProxySettings, deps: DirectProxyDeps) {
    const { upstreamTimeoutMs } = settings;
    this.deps = deps;
    this.keepalive = settings.keepalive;
    // An answer may be as long as it likes, as long as it comes: downloads stream.
    this.timeouts = {
      writeMs: upstreamTimeoutMs,
      firstByteMs: upstreamTimeoutMs,
      betweenBytesMs: upstreamTimeoutMs,
      answerMs: 0,
    };
  }

  handle(exchange: HttpExchange): void {
    const request = forwardedRequest(exchange, this.deps.viaName);
    new ProxiedExchange(this, exchange, request).begin();
  }

  log(exchange: HttpExchange, status: number, trouble: string | null): void {
    const { logger } = this.deps;
    const fields = {
      host: exchange.authority,
      uri: redactText(utf8Text(exchange.head.target.slice(0, LOGGED_CHARACTERS_MAX))),
      status,
      ms: Math.round((exchange.nowMs - exchange.receivedMs) * 10) / 10,
    };
    logger.info(trouble === null ? fields : { ...fields, trouble }, 'http-proxy');
  }
}

/** One request on its way. */
class ProxiedExchange implements OutboundWaiter, BodyCollector, OutgoingHandler, ExchangeWatcher {
  readonly #proxy: DirectProxy;
  readonly #exchange: HttpExchange;
  readonly #request: ForwardedRequest;
  /** Monotonic ms at which the caller waits no longer; 0 when it did not say. */
  readonly #untilMs: number;
  #upstream: HttpUpstream | null = null;
  #outgoing: Outgoing | null = null;
  #isOver = false;
  #status = 0;

  constructor(proxy: DirectProxy, exchange: HttpExchange, request: ForwardedRequest) {
    this.#proxy = proxy;
    this.#exchange = exchange;
    this.#request = request;
    const timeout = timeoutText(exchange.head);
    this.#untilMs = timeout === '' ? 0 : exchange.receivedMs + Number(timeout);
  }

  begin(): void {
    const exchange = this.#exchange;
    const { host, port, isTls, loop } = this.#request;
    if (loop !== null) {
      this.#refuse(508, `the request goes round in circles: it has ${loop}`);
    } else if (host === '') {
      this.#refuse(400, 'the request names no host');
    } else if (exchange.retainBody()) {
      // Retained: the policy may have to look the name up.
      exchange.watch(this);
      const isDomain = this.#proxy.deps.isDomain(host);
      this.#proxy.deps.outbound.find({ host, port, isTls, isDomain }, this);
    }
  }

  // --- The way there

  onUpstream(upstream: HttpUpstream): void {
    const exchange = this.#exchange;
    if (this.#isOver || !exchange.isOpen) return;
    this.#upstream = upstream;
    const { contentLength } = exchange.head;
    if (exchange.isBodyComplete) this.#start();
    else if (contentLength > 0 && contentLength <= WHOLE_BODY_BYTES_MAX)
      exchange.collectBody(WHOLE_BODY_BYTES_MAX, this);
    else this.#startStreaming();
  }

  onNoUpstream(isForbidden: boolean, text: string): void {
    if (this.#isOver || !this.#exchange.isOpen) return;
    if (isForbidden) this.#refuse(403, text);
    else this.#failWith(text);
  }

  onBodyCollected(exchange: HttpExchange): void {
    if (exchange.retainBody()) this.#start();
  }

  onDrain(): void {
    this.#exchange.resumeBody();
  }

  // --- The way back

  onHead(head: ResponseHead): void {
    const length = head.isChunked || head.contentLength < 0 ? 'chunked' : head.contentLength;
    this.#status = head.status;
    this.#exchange.startResponse(head.status, forwardedFields(head, this.#proxy.deps.viaName), length);
  }

  onBody(bytes: Buffer, start: number, end: number): void {
    if (!this.#exchange.write(bytes, start, end)) this.#outgoing?.pause();
  }

  onWritable(): void {
    this.#outgoing?.resume();
  }

  onEnd(): void {
    this.#finish(this.#status, null);
    this.#exchange.end();
  }

  onFailed(cause: HttpFailure): void {
    if (!this.#exchange.hasStarted) {
      this.#failWith(cause.text);
      return;
    }
    this.#finish(this.#status, cause.text);
    this.#exchange.abort(`the answer of ${this.#request.authority} was cut: ${cause.text}`);
  }

  onAborted(): void {
    this.#outgoing?.cancel();
    this.#finish(this.#status, 'the caller is gone');
  }

  // --- Inside

  /** Sends a request whose body is at hand. */
  #start(): void {
    const exchange = this.#exchange;
    const { body, bodyStart, bodyEnd, head } = exchange;
    const bytes = bodyEnd - bodyStart;
    const saysLength = bytes > 0 || head.isChunked || head.contentLength === 0;
    const framing = saysLength ? `Content-Length: ${bytes}\r\n` : '';
    this.#send(framing, bytes === 0 ? null : body.subarray(bodyStart, bodyEnd));
  }

  /** Sends a request whose body follows as the caller sends it. */
  #startStreaming(): void {
    const exchange = this.#exchange;
    const { isChunked, contentLength } = exchange.head;
    this.#send(
      isChunked ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${contentLength}\r\n`,
      'stream',
    );
    if (!this.#isOver) exchange.readBody(new BodyRelay(this.#outgoing!));
  }

  #send(framing: string, body: Buffer | null | 'stream'): void {
    const { keepalive, timeouts } = this.#proxy;
    let text = framing;
    if (this.#untilMs > 0) {
      const leftMs = Math.max(1, Math.floor(this.#untilMs - this.#exchange.nowMs));
      text += `X-Peony-Timeout-Ms: ${leftMs}\r\n`;
    }
    if (!keepalive) text += 'Connection: close\r\n';
    const head = Buffer.concat([this.#request.front, Buffer.from(`${text}\r\n`, 'latin1')]);
    const { method } = this.#exchange.head;
    const request = { method, head, body, timeouts, untilMs: this.#untilMs };
    const outgoing = this.#upstream!.start(request, this);
    if (!this.#isOver) this.#outgoing = outgoing;
  }

  #refuse(status: number, text: string): void {
    this.#finish(status, text);
    this.#exchange.refuse(status, text);
  }

  #failWith(trouble: string): void {
    this.#finish(502, trouble);
    this.#exchange.outcome = 'failed';
    this.#exchange.respond(502, ['Server', 'motan'], null);
  }

  #finish(status: number, trouble: string | null): void {
    this.#isOver = true;
    this.#outgoing = null;
    this.#proxy.log(this.#exchange, status, trouble);
  }
}

/** Hands the pieces of a body on; either side may ask the other to wait. */
class BodyRelay implements BodyReader {
  readonly #outgoing: Outgoing;

  constructor(outgoing: Outgoing) {
    this.#outgoing = outgoing;
  }

  onBody(exchange: HttpExchange, bytes: Buffer, start: number, end: number): void {
    const outgoing = this.#outgoing;
    const { isChunked } = exchange.head;
    if (isChunked) outgoing.write(Buffer.from(chunkHead(end - start), 'latin1'), true);
    let hasRoom = outgoing.write(bytes.subarray(start, end), false);
    if (isChunked) hasRoom = outgoing.write(CRLF, true);
    if (!hasRoom) exchange.pauseBody();
  }

  onBodyEnd(exchange: HttpExchange): void {
    if (exchange.head.isChunked) this.#outgoing.write(LAST_CHUNK, true);
    this.#outgoing.end();
  }
}
