/**
 * Which handler answers a request: spec traffic 2.2, in its order, but that the authority of an absolute target goes before Host.
 *
 *   CONNECT                                        connect
 *   /proxy_to_rpc, whatever the host               bridge
 *   host is a domain and can serve the path        transparent
 *   /v1/..., host is no domain                     typed calls; an absolute target must name the agent itself
 *   default domain set and can serve the path      transparent
 *   host and port are the agent's own              400
 *   anything else                                  direct proxy
 */
import type { HttpDomain, HttpDomainLookup } from '../../../core/index.js';
import type { HttpExchange, HttpHandler } from './exchange.js';
import { BRIDGE_PATH } from './proxy-to-rpc.js';
import type { RequestTarget } from './request-target.js';

/** Answers for domains of the mesh. */
export interface DomainHandler {
  /** @param authority what the service is told as Host */
  serve(exchange: HttpExchange, domain: HttpDomain, service: string, authority: string): void;
}

export interface DispatchDeps {
  readonly domains: HttpDomainLookup;
  readonly bridge: HttpHandler;
  readonly transparent: DomainHandler;
  readonly typedCalls: HttpHandler;
  readonly directProxy: HttpHandler;
  readonly connect: HttpHandler;
  readonly defaultDomain: string;
  readonly ownHosts: readonly string[];
  /** The port that callers of the agent itself name; 0 for a unix socket. */
  readonly ownPort: () => number;
}

const TYPED_PATH = /^\/v1\/(?:call\/|services$|openapi\.json$)/;

export class Dispatcher implements HttpHandler {
  readonly #deps: DispatchDeps;
  readonly #ownHosts: ReadonlySet<string>;

  constructor(deps: DispatchDeps) {
    this.#deps = deps;
    this.#ownHosts = new Set(deps.ownHosts.map((host) => host.toLowerCase()));
  }

  handle(exchange: HttpExchange): void {
    const { target } = exchange;
    if (target.path === BRIDGE_PATH) this.#deps.bridge.handle(exchange);
    else if (target.form === 'authority') this.#deps.connect.handle(exchange);
    else this.#handlePath(exchange, target);
  }

  #handlePath(exchange: HttpExchange, target: RequestTarget): void {
    const { domains, typedCalls, directProxy, defaultDomain } = this.#deps;
    const domain = domains(target.host);
    if (domain !== null) {
      if (this.#serve(exchange, domain, target.authority)) return;
    } else {
      if (this.#isTyped(target)) {
        typedCalls.handle(exchange);
        return;
      }
      if (defaultDomain !== '') {
        // As with motan-go the Host becomes the default domain, but to the direct proxy an absolute target means what it says.
        if (target.form !== 'absolute') exchange.authority = defaultDomain;
        const found = domains(defaultDomain);
        if (found !== null && this.#serve(exchange, found, defaultDomain)) return;
        if (target.form !== 'absolute') {
          directProxy.handle(exchange);
          return;
        }
      }
    }
    if (this.#isOwn(target)) exchange.refuse(400, '');
    else directProxy.handle(exchange);
  }

  #serve(exchange: HttpExchange, domain: HttpDomain, authority: string): boolean {
    const service = domain.serviceOf(exchange.target.path);
    if (service === null) return false;
    this.#deps.transparent.serve(exchange, domain, service, authority);
    return true;
  }

  #isTyped(target: RequestTarget): boolean {
    return TYPED_PATH.test(target.path) && (target.form !== 'absolute' || this.#isOwn(target));
  }

  #isOwn(target: RequestTarget): boolean {
    return target.port === this.#deps.ownPort() && this.#ownHosts.has(target.host);
  }
}

/** Stands in for a part that is not there. */
export class RefusingHandler implements HttpHandler {
  readonly #status: number;
  readonly #text: string;

  constructor(status: number, text: string) {
    this.#status = status;
    this.#text = text;
  }

  handle(exchange: HttpExchange): void {
    exchange.refuse(this.#status, this.#text);
  }
}
