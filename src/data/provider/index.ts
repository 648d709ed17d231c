/** The providers by the name that `provider` of a service takes. */
import type { ExportState, Logger, Provider, ProviderTarget } from '../../core/index.js';
import { createCgiProvider } from './cgi/index.js';
import { createHttpProvider, createHttpxProvider } from './http/index.js';
import { ReverseProxy, type ReverseProxyDeps } from './motan/reverse-proxy.js';

export { DomainCalls, type DomainCallsDeps } from './http/index.js';
export { META_SERVICE, MetaService } from './meta-service.js';

export interface ProviderDeps extends ReverseProxyDeps {
  readonly logger: Logger;
  readonly targetOf: (state: ExportState) => ProviderTarget;
}

type ProviderFactory = (state: ExportState, deps: ProviderDeps) => Provider;

const reverseProxy: ProviderFactory = (state, deps) => new ReverseProxy(state, deps);

export const providers = {
  motan2: reverseProxy,
  motan: reverseProxy,
  http: (state, deps) => createHttpProvider(deps.targetOf(state), deps),
  httpx: (state, deps) => createHttpxProvider(deps.targetOf(state), deps),
  cgi: (state, deps) => createCgiProvider(deps.targetOf(state), deps),
} satisfies Record<string, ProviderFactory>;

/** Throws when there is no such provider: the configuration was checked. */
export function createProvider(state: ExportState, deps: ProviderDeps): Provider {
  const table: Readonly<Record<string, ProviderFactory>> = providers;
  const create = table[state.provider];
  if (create === undefined) throw new Error(`no provider "${state.provider}"`);
  return create(state, deps);
}
