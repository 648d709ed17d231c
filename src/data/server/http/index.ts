export { AnswerFront, textFront } from './answer-front.js';
export type { DomainHandler } from './dispatch.js';
export {
  type BodyCollector,
  type BodyReader,
  type ExchangeWatcher,
  type HttpExchange,
  type HttpHandler,
  type Outcome,
  outcomeOf,
  type ReplyReceiver,
  type Tunnel,
  type TunnelPeer,
} from './exchange.js';
export { HttpServer, type HttpServerDeps } from './http-server.js';
export { HttpProxy, type HttpProxyDeps, type HttpProxySettings } from './proxy/index.js';
export type { RequestMemo } from './request-memo.js';
export type { RequestTarget } from './request-target.js';
export { type Catalog, type TypedCallDeps, TypedCalls } from './typed/index.js';
