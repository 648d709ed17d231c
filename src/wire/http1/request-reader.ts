import { RequestHead } from './head.js';
import { parseRequest } from './head-parser.js';
import type { Http1Limits } from './limits.js';
import { BODY_CHUNKED, MessageReader } from './message-reader.js';

const NO_REQUEST = new RequestHead('GET', '/', 0, []);

/** Pull parser of the requests of one connection: `push`, then `next` until NEED_MORE. */
export class RequestReader extends MessageReader<RequestHead> {
  constructor(limits: Http1Limits) {
    super(limits, NO_REQUEST);
  }

  protected override parse(bytes: Buffer, start: number, end: number): RequestHead | null {
    return parseRequest(bytes, start, end, this.limits, false);
  }

  /** A request that names no body has none: RFC 9112 6.3. */
  protected override begin(head: RequestHead): number {
    return head.isChunked ? BODY_CHUNKED : Math.max(0, head.contentLength);
  }
}
