import { ResponseHead } from './head.js';
import { parseResponse } from './head-parser.js';
import { HttpError } from './http-error.js';
import type { Http1Limits } from './limits.js';
import { BODY_CHUNKED, BODY_SKIP_HEAD, BODY_UNTIL_CLOSE, MessageReader } from './message-reader.js';

const NO_RESPONSE = new ResponseHead(200, '', 0, []);
/** Interim answers before an answer: one `100` and a few early hints, not a stream of them. */
const INTERIM_MAX = 16;

/** Pull parser of the responses of one connection. Each has to be announced with `expect`. */
export class ResponseReader extends MessageReader<ResponseHead> {
  #method: string | null = null;
  #interim = 0;
  /** Bytes had come before anybody asked for them. */
  #isAhead = false;

  constructor(limits: Http1Limits) {
    super(limits, NO_RESPONSE);
  }

  /**
   * A request of that method was sent: one answer follows. Nothing may be unread at that moment: an answer that was there before its
   * request is somebody else's, and `next` refuses it.
   */
  expect(method: string): void {
    this.#method = method;
    this.#interim = 0;
    this.#isAhead = !this.isIdle;
  }

  /** The peer sent its end. True when that ends a body until close, or nothing has begun; false when it cuts an answer short. */
  finish(): boolean {
    return this.endInput();
  }

  protected override parse(bytes: Buffer, start: number, end: number): ResponseHead | null {
    if (this.#method === null || this.#isAhead) throw new HttpError(400, 'an answer that nobody asked for');
    return parseResponse(bytes, start, end, this.limits, false);
  }

  protected override begin(head: ResponseHead): number {
    const { status } = head;
    const method = this.#method;
    if (method === null || this.#isAhead) throw new HttpError(400, 'an answer that nobody asked for');
    if (status < 200 && status !== 101) {
      this.#interim += 1;
      if (this.#interim > INTERIM_MAX) throw new HttpError(400, `more than ${INTERIM_MAX} interim answers`);
      return BODY_SKIP_HEAD;
    }
    this.#method = null;
    if (method === 'HEAD' || status === 101 || status === 204 || status === 304) return 0;
    if (method === 'CONNECT' && status < 300) return 0;
    if (head.isChunked) return BODY_CHUNKED;
    return head.contentLength >= 0 ? head.contentLength : BODY_UNTIL_CLOSE;
  }
}
