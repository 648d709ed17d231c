/**
 * The head blocks of transparent HTTP over Motan2 (spec traffic 2.6, 2.7): a whole head in one buffer, and nothing else. Read as strictly
 * as one from a connection, but a request may be without Host.
 */
import type { RequestHead, ResponseHead } from './head.js';
import { parsedUntil, parseRequest, parseResponse } from './head-parser.js';
import { HttpError } from './http-error.js';
import { HTTP1_LIMITS, type Http1Limits } from './limits.js';

export function parseRequestBlock(bytes: Buffer, limits: Http1Limits = HTTP1_LIMITS): RequestHead {
  checkSize(bytes, limits);
  return whole(bytes, parseRequest(bytes, 0, bytes.length, limits, true));
}

export function parseResponseBlock(bytes: Buffer, limits: Http1Limits = HTTP1_LIMITS): ResponseHead {
  checkSize(bytes, limits);
  return whole(bytes, parseResponse(bytes, 0, bytes.length, limits, true));
}

function checkSize(bytes: Buffer, limits: Http1Limits): void {
  if (bytes.length > limits.headBytesMax)
    throw new HttpError(431, `a header block of over ${limits.headBytesMax} bytes`);
}

function whole<Head>(bytes: Buffer, head: Head | null): Head {
  if (head === null) throw new HttpError(400, 'a header block without its end', bytes.length);
  if (parsedUntil() !== bytes.length)
    throw new HttpError(400, 'bytes behind the header block', parsedUntil());
  return head;
}
