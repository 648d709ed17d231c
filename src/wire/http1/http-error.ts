import { ProtocolError } from '../../core/index.js';

/** Bytes that are not HTTP, or more of them than a bound allows. After it the stream cannot be resumed. */
export class HttpError extends ProtocolError {
  /** What a server answers: 400, 414, 431, 501 or 505. A client has no use for it. */
  readonly status: number;

  constructor(status: number, message: string, offset = -1) {
    super(message, offset);
    this.name = 'HttpError';
    this.status = status;
  }
}
