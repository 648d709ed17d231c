/**
 * The data plane, assembled: listeners, routes, clusters, endpoints, exports, providers. Reads states, carries calls, reports
 * counters.
 */
import {
  type AccessLogSink,
  AgentError,
  type Call,
  type CallHead,
  type Clock,
  type ClusterState,
  type DataPlane,
  type DataPlaneReport,
  type EndpointFactory,
  type ExportState,
  type Failure,
  failed,
  type HttpDomain,
  type HttpSettings,
  type ListenerReport,
  type ListenerState,
  type Logger,
  type MeshState,
  MeshUrl,
  type Random,
  utf8Text,
} from '../core/index.js';
import { Cluster, type ClusterDeps } from './cluster/index.js';
import { DialQueue, MotanEndpoint } from './endpoint/index.js';
import { Export, type ExportDeps } from './export/index.js';
import { AccessLogWriter, CallCounters, chainBuilder, filterTable } from './filter/index.js';
import {
  createProvider,
  DomainCalls,
  META_SERVICE,
  MetaService,
  type ProviderDeps,
} from './provider/index.js';
import { DomainTable, ExportTable, LocationTable, RouteTable } from './route/index.js';
import { HttpProxy, HttpServer, MotanServer, TypedCalls } from './server/index.js';
import { IoLoop, rawStreamsWork } from './transport/index.js';

export { haStrategies, loadBalancers } from './cluster/index.js';
export { filters } from './filter/index.js';
export { providers } from './provider/index.js';

/** Descriptors that are not for accepted connections: upstream connections, registries, logs. */
const DESCRIPTORS_RESERVED = 256;
/** Calls of an export that a new state takes away may finish for this long. */
const EXPORT_CLOSE_MS = 15_000;

export interface DataPlaneOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly accessLog: AccessLogSink;
  readonly isAccessLogStructured: boolean;
  /** Soft limit of open files. */
  readonly descriptorsMax: number;
  /** Settings of the HTTP port; also for calls of domains while the port is closed. */
  readonly http: HttpSettings;
  /** Addresses of this machine, as text: nothing that a caller names may lead back to the agent. */
  readonly ownAddresses: readonly string[];
  /** TCP port of the management API; 0 while it has none. */
  readonly managementPort: () => number;
}

/** What every kind of listener can do. */
interface Server {
  readonly port: number;
  listen(): Promise<void>;
  drain(withinMs: number): Promise<number>;
  report(): ListenerReport;
}

/** Tests the transport, then builds the plane. Nothing listens yet. */
export async function createDataPlane(
  options: DataPlaneOptions,
): Promise<DataPlane & { port(name: string): number }> {
  const loop = new IoLoop(options.clock);
  const useRaw = await rawStreamsWork(loop);
  if (!useRaw)
    options.logger.warn({}, 'stream handles of this Node cannot be used: running on its public API, slower');
  return new MotanDataPlane(options, loop, useRaw);
}

class MotanDataPlane implements DataPlane {
  readonly #options: DataPlaneOptions;
  readonly #loop: IoLoop;
  readonly #useRaw: boolean;
  readonly #accessLog: AccessLogWriter;
  readonly #counters = new CallCounters();
  readonly #clusterDeps: ClusterDeps;
  readonly #exportDeps: ExportDeps;
  readonly #framework: ReadonlyMap<string, Export>;
  readonly #proxy: HttpProxy;
  readonly #domainCalls: DomainCalls;
  readonly #servers = new Map<string, Server>();
  readonly #healthListeners = new Set<(exportId: string, isHealthy: boolean) => void>();
  /** By `referId`. */
  #clusters = new Map<string, Cluster>();
  #routes = new RouteTable<Cluster>(0, []);
  #domains = new DomainTable([], { targetOf: () => undefined, matcherOf: () => new LocationTable([]) });
  #exports = new Map<string, Export>();
  /** By name of the listener. */
  #exportTables = new Map<string, ExportTable<Export>>();
  readonly #noExports: ExportTable<Export>;
  /** Of the newest table of either kind: heads remember by it where they were sent. */
  #routeNumber = 0;
  #state: MeshState | null = null;

  constructor(options: DataPlaneOptions, loop: IoLoop, useRaw: boolean) {
    this.#options = options;
    this.#loop = loop;
    this.#useRaw = useRaw;
    this.#accessLog = new AccessLogWriter(options.accessLog, options.clock, options.isAccessLogStructured);
    const chains = chainBuilder(filterTable({ accessLog: this.#accessLog, counters: this.#counters }));
    const { logger } = options;
    const dialQueue = new DialQueue(loop, useRaw);
    const endpointDeps = { loop, logger, dialQueue, chains };
    const createEndpoint: EndpointFactory = (cluster, endpoint) =>
      new MotanEndpoint(cluster, endpoint, { ...endpointDeps, isBackend: false });
    this.#clusterDeps = { createEndpoint, chains, random: options.random, nowMs: () => loop.nowMs };
    const providerDeps: ProviderDeps = {
      loop,
      logger,
      useRaw,
      targetOf: ({ url, locations, httpMethods }) => ({
        url,
        locations: locations.length === 0 ? null : new LocationTable(locations),
        httpMethods,
      }),
      createEndpoint: (cluster, endpoint) =>
        new MotanEndpoint(cluster, endpoint, { ...endpointDeps, isBackend: true }),
    };
    this.#exportDeps = {
      createProvider: (state) => createProvider(state, providerDeps),
      chains,
      logger,
      nowMs: () => loop.nowMs,
      onHealth: (exportId, isHealthy) => {
        for (const listener of [...this.#healthListeners]) listener(exportId, isHealthy);
      },
    };
    this.#proxy = new HttpProxy(options.http, {
      loop,
      logger,
      useRaw,
      random: options.random,
      isDomain: (host) => this.#domains.find(host) !== null,
      ownPorts: () => this.#ownPorts(),
      ownAddresses: options.ownAddresses,
    });
    const { outbound } = this.#proxy;
    this.#domainCalls = new DomainCalls(options.http.upstreamTimeoutMs, { loop, logger, useRaw, outbound });
    this.#framework = new Map([[META_SERVICE, this.#metaExport()]]);
    this.#routeNumber += 1;
    this.#noExports = new ExportTable(this.#routeNumber, [], this.#framework);
  }

  apply(state: MeshState): void {
    const before = this.#state;
    this.#state = state;
    this.#loop.tick();
    if (before?.exports !== state.exports) this.#applyExports(state.exports);
    const isSameSet = before?.clusters === state.clusters || this.#applyClusters(state.clusters);
    if (!isSameSet || before?.httpDomains !== state.httpDomains) this.#applyRoutes(state);
  }

  async listen(kinds: readonly ListenerState['kind'][] = ['export', 'forward', 'http']): Promise<void> {
    if (this.#state === null) throw new AgentError('E_NO_STATE', 'there is no state to listen for');
    for (const listener of this.#state.listeners) {
      if (this.#servers.has(listener.name) || !kinds.includes(listener.kind)) continue;
      const server = this.#createServer(listener);
      await server.listen();
      this.#servers.set(listener.name, server);
    }
  }

  async ready(withinMs: number): Promise<void> {
    const endpoints = [...this.#clusters.values()].flatMap((cluster) => cluster.endpoints());
    const tried = [...endpoints, ...this.#exports.values()].map((one) => one.whenTried());
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs);
    });
    await Promise.race([Promise.all(tried), timeout]);
    clearTimeout(timer);
  }

  async drain(withinMs: number): Promise<number> {
    this.#proxy.drain();
    const left = await Promise.all([...this.#servers.values()].map((server) => server.drain(withinMs)));
    this.#proxy.close(0);
    for (const cluster of this.#clusters.values()) cluster.close(0);
    for (const exported of this.#exports.values()) exported.close(0);
    this.#clusters = new Map();
    this.#exports = new Map();
    this.#accessLog.flush();
    this.#loop.close();
    return left.reduce((sum, count) => sum + count, 0);
  }

  report(): DataPlaneReport {
    return {
      stateNumber: this.#state?.number ?? 0,
      listeners: [...this.#servers.values()].map((server) => server.report()),
      clusters: [...this.#clusters.values()].map((cluster) => cluster.report()),
      exports: [...this.#exports.values()].map((exported) => exported.report()),
      calls: this.#counters.report(),
    };
  }

  isAvailable(referId: string, endpointId: string): boolean | null {
    return this.#clusters.get(referId)?.endpoint(endpointId)?.isAvailable ?? null;
  }

  probe(referId: string, endpointId: string): { readonly answeredMs: number | null } | null {
    const endpoint = this.#clusters.get(referId)?.endpoint(endpointId);
    return endpoint === undefined ? null : { answeredMs: endpoint.probe() };
  }

  onExportHealth(listener: (exportId: string, isHealthy: boolean) => void): () => void {
    this.#healthListeners.add(listener);
    return () => void this.#healthListeners.delete(listener);
  }

  /** The TCP port that a listener got: 0 before `listen` and for unix sockets. */
  port(name: string): number {
    return this.#servers.get(name)?.port ?? 0;
  }

  #createServer(listener: ListenerState): Server {
    const { logger, descriptorsMax } = this.#options;
    const deps = {
      loop: this.#loop,
      logger,
      useRaw: this.#useRaw,
      connectionsMax: Math.max(64, descriptorsMax - DESCRIPTORS_RESERVED),
    };
    const route = (call: Call): void => this.#route(call);
    switch (listener.kind) {
      case 'forward':
        return new MotanServer(listener, { ...deps, route });
      case 'export':
        return new MotanServer(listener, {
          ...deps,
          route: (call) => this.#routeExport(listener.name, call),
        });
      case 'http':
        return new HttpServer(listener, {
          ...deps,
          routeRpc: route,
          domains: (host) => this.#domains.find(host),
          typedCalls: this.#typedCalls(listener),
          directProxy: this.#proxy.directProxy,
          connect: this.#proxy.connect,
        });
    }
  }

  #ownPorts(): ReadonlySet<number> {
    const ports = [...this.#servers.values()].map((server) => server.port);
    return new Set([...ports, this.#options.managementPort()].filter((port) => port > 0));
  }

  #typedCalls(listener: ListenerState): TypedCalls {
    return new TypedCalls({
      loop: this.#loop,
      logger: this.#options.logger,
      random: this.#options.random,
      settings: listener.http!,
      frameBytesMax: listener.frameBytesMax,
      routeRpc: (call) => this.#route(call),
      mesh: () => this.#state,
      report: () => this.report(),
    });
  }

  #route(call: Call): void {
    const head = call.head;
    const routes = this.#routes;
    if (head.routeState !== routes.number || head.route === null) {
      head.route = this.#resolve(head);
      head.routeState = routes.number;
    }
    const target = head.route as Cluster | DomainRoute | Failure;
    if (target instanceof Cluster) target.call(call);
    else if (target instanceof DomainRoute) this.#domainCalls.call(target.domain, call);
    else call.origin.onReply(call, failed(target));
  }

  /** A refer with that service, else a domain of that name: spec agent 5.1, traffic 2.10. */
  #resolve(head: CallHead): Cluster | DomainRoute | Failure {
    const routes = this.#routes;
    if (!this.#domains.isEmpty && !routes.knows(head.service)) {
      const domain = this.#domains.find(utf8Text(head.service));
      if (domain !== null) return new DomainRoute(domain);
    }
    return routes.resolve(head);
  }

  #routeExport(listener: string, call: Call): void {
    const head = call.head;
    // A port whose last service went stays open until the agent stops.
    const table = this.#exportTables.get(listener) ?? this.#noExports;
    if (head.routeState !== table.number || head.route === null) {
      head.route = table.resolve(head);
      head.routeState = table.number;
    }
    const target = head.route as Export | Failure;
    if (target instanceof Export) target.call(call);
    else call.origin.onReply(call, failed(target));
  }

  /** True when the set of clusters is the same and only their contents changed. */
  #applyClusters(states: readonly ClusterState[]): boolean {
    const before = this.#clusters;
    const after = new Map<string, Cluster>();
    let isSameSet = before.size === states.length;
    for (const cluster of states) {
      const known = before.get(cluster.referId);
      if (known === undefined) {
        isSameSet = false;
        after.set(cluster.referId, new Cluster(cluster, this.#clusterDeps));
        continue;
      }
      if (known.state !== cluster) {
        if (known.refer !== cluster.url) isSameSet = false;
        known.apply(cluster);
      }
      after.set(cluster.referId, known);
      before.delete(cluster.referId);
    }
    for (const gone of before.values()) gone.close();
    this.#clusters = after;
    return isSameSet;
  }

  #applyRoutes(state: MeshState): void {
    this.#routeNumber += 1;
    const refers = [...this.#clusters.values()].filter((cluster) => cluster.state.domain === null);
    this.#routes = new RouteTable(this.#routeNumber, refers);
    this.#domains = new DomainTable(state.httpDomains, {
      targetOf: (referId) => this.#clusters.get(referId),
      matcherOf: (locations) => new LocationTable(locations),
    });
  }

  #applyExports(states: readonly ExportState[]): void {
    const before = this.#exports;
    const after = new Map<string, Export>();
    for (const state of states) {
      const known = before.get(state.id);
      if (known?.state === state) {
        after.set(state.id, known);
        before.delete(state.id);
      } else {
        after.set(state.id, new Export(state, this.#exportDeps));
      }
    }
    for (const gone of before.values()) gone.close(EXPORT_CLOSE_MS);
    this.#exports = after;
    this.#exportTables = new Map();
    for (const name of new Set(states.map((state) => state.listener))) {
      this.#routeNumber += 1;
      const served = [...after.values()].filter((exported) => exported.state.listener === name);
      this.#exportTables.set(name, new ExportTable(this.#routeNumber, served, this.#framework));
    }
  }

  #metaExport(): Export {
    const url = new MeshUrl({ protocol: 'motan2', path: META_SERVICE });
    const state: ExportState = {
      id: META_SERVICE,
      listener: '',
      url,
      provider: 'meta',
      locations: [],
      httpMethods: new Map(),
    };
    return new Export(state, { ...this.#exportDeps, createProvider: () => new MetaService(() => NO_METAS) });
  }
}

/** A call whose service is the name of a domain. */
class DomainRoute {
  readonly domain: HttpDomain;

  constructor(domain: HttpDomain) {
    this.domain = domain;
  }
}

const NO_METAS: ReadonlyMap<string, string> = new Map();
