export type { HttpExchange, HttpFailure, HttpHandler, HttpRequest, HttpTimeouts } from './exchange.js';
export { COPIED_HEAD_BYTES_MAX } from './exchange.js';
export type { Outbound, OutboundTarget, OutboundWaiter } from './outbound.js';
export { type HttpTarget, parseTarget, targetName } from './target.js';
export {
  type HttpClientDeps,
  HttpUpstream,
  type HttpUpstreamOptions,
  type HttpUpstreamReport,
} from './upstream.js';
