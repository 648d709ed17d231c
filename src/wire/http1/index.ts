export { parseForm } from './form.js';
export { BODY, END, type Found, HEAD, NEED_MORE } from './found.js';
export { connectionOptions, isHostAndPort, type MessageHead, RequestHead, ResponseHead } from './head.js';
export { parseRequestBlock, parseResponseBlock } from './header-block.js';
export { HttpError } from './http-error.js';
export { HTTP1_LIMITS, type Http1Limits } from './limits.js';
export {
  decodePath,
  encodePath,
  isQueryPlain,
  normalizePath,
  queryEscape,
  queryEscapePercent,
  splitTarget,
  type TargetParts,
} from './path.js';
export { RequestReader } from './request-reader.js';
export { ResponseReader } from './response-reader.js';
export {
  canonicalName,
  chunkHead,
  HOP_BY_HOP,
  httpDate,
  isFieldValue,
  isTarget,
  isToken,
  reasonOf,
  STATUS_TEXT,
} from './text.js';
