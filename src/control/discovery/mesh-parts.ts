/**
 * The parts of a state that stand in the configuration alone: listeners, exported services, and the domains of
 * http-clients with the refers that their services make.
 */
import type {
  AgentConfig,
  ExportState,
  HttpClientConfig,
  HttpDomainState,
  ListenerState,
  MeshState,
  ReferConfig,
  ServiceConfig,
} from '../../core/index.js';

/** A refer, and the domain by which alone it is reached; null for one of `motan-refer`. */
export interface DomainRefer {
  readonly refer: ReferConfig;
  readonly domain: string | null;
}

/** What every state takes over by reference until another configuration is loaded. */
export type ConfiguredParts = Pick<MeshState, 'listeners' | 'exports' | 'httpDomains' | 'schemas'>;

/** What `before` has the same is taken over, so that the data plane leaves it alone. */
export function partsOf(
  config: AgentConfig,
  before: { readonly config: AgentConfig; readonly parts: ConfiguredParts } | null = null,
): ConfiguredParts {
  const isSameHttp =
    before !== null &&
    before.config.httpClients === config.httpClients &&
    before.config.httpLocations === config.httpLocations;
  return {
    listeners: listenersOf(config),
    exports: before === null ? exportsOf(config) : exportsAfter(config, before),
    httpDomains: isSameHttp ? before.parts.httpDomains : httpDomains(config),
    schemas: config.serviceSchemas,
  };
}

/** An export whose service is the same object stays the same object. */
function exportsAfter(
  config: AgentConfig,
  before: { readonly config: AgentConfig; readonly parts: ConfiguredParts },
): readonly ExportState[] {
  if (
    before.config.httpLocations !== config.httpLocations ||
    before.config.httpServices !== config.httpServices
  )
    return exportsOf(config);
  const known = new Map(
    before.config.services.map((service, index) => [service, before.parts.exports[index]]),
  );
  const exports = config.services.map((service) => known.get(service) ?? exportOf(service, config));
  const old = before.parts.exports;
  const isSame = exports.length === old.length && exports.every((one, index) => one === old[index]);
  return isSame ? old : exports;
}

/** Refers of the configuration, then one for each service that a domain preloads (spec traffic 2.3). */
export function allRefers(config: AgentConfig): DomainRefer[] {
  const own = config.refers.map((refer) => ({ refer, domain: null }));
  const ofDomains = config.httpClients.flatMap((client) =>
    client.preload.map((service) => ({ refer: serviceRefer(client, service), domain: client.domain })),
  );
  return [...own, ...ofDomains];
}

function serviceRefer(client: HttpClientConfig, service: string): ReferConfig {
  const { url, registryIds, place } = client;
  return { id: clusterId(client, service), url: url.with({ path: service }), registryIds, place };
}

/** Ids of refers are keys of a YAML map, which hold no newline unless somebody tries. */
function clusterId(client: HttpClientConfig, service: string): string {
  return `http-client ${client.id} ${service}`;
}

export function httpDomains(config: AgentConfig): HttpDomainState[] {
  return config.httpClients.map((client) => ({
    id: client.id,
    domain: client.domain,
    url: client.url,
    locations: config.httpLocations.get(client.domain) ?? [],
    services: new Map(client.preload.map((service) => [service, clusterId(client, service)])),
  }));
}

export function exportsOf(config: AgentConfig): ExportState[] {
  return config.services.map((service) => exportOf(service, config));
}

function exportOf(service: ServiceConfig, config: AgentConfig): ExportState {
  return {
    id: service.id,
    listener: exportListenerName(service),
    url: service.url,
    provider: service.url.text('provider') || service.url.text('proxy').split(':')[0]!,
    locations: config.httpLocations.get(service.url.text('domain')) ?? [],
    httpMethods: config.httpServices.get(service.confId) ?? new Map(),
  };
}

function exportListenerName(service: ServiceConfig): string {
  return `export:${service.url.port}`;
}

/**
 * The listeners: the forward port first, then one for each export port, then the HTTP port when it is enabled. Bounds and unix
 * socket of an export port are those of the first service on it, as in the peers (spec agent 2.11).
 */
export function listenersOf(config: AgentConfig): ListenerState[] {
  const { host, port, unixSock, frameBytesMax, callsMax } = config.agent;
  const listeners: ListenerState[] = [
    { name: 'forward', kind: 'forward', host, port, unixSock, frameBytesMax, callsMax, http: null },
  ];
  const exportNames = new Set<string>();
  for (const service of config.services) {
    const name = exportListenerName(service);
    if (exportNames.has(name)) continue;
    exportNames.add(name);
    listeners.push({
      name,
      kind: 'export',
      host: '',
      port: service.url.port,
      unixSock: service.url.text('unixSock') || null,
      frameBytesMax: service.url.positiveInt('maxContentLength', frameBytesMax),
      callsMax,
      http: null,
    });
  }
  if (config.agent.httpProxyEnable) {
    const { httpPort, httpProxyUnixSock, http } = config.agent;
    listeners.push({
      name: 'http',
      kind: 'http',
      host,
      port: httpPort,
      unixSock: httpProxyUnixSock,
      frameBytesMax,
      callsMax,
      http,
    });
  }
  return listeners;
}
