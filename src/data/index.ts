/**
 * The data plane, assembled: listeners, routes, clusters, endpoints. Reads states, carries calls, reports counters.
 */
import {
  type AccessLogSink,
  AgentError,
  type Call,
  type Clock,
  type ClusterState,
  type DataPlane,
  type DataPlaneReport,
  type EndpointFactory,
  type Failure,
  failed,
  type Logger,
  type MeshState,
  type Random,
} from '../core/index.js';
import { Cluster, type ClusterDeps } from './cluster/index.js';
import { DialQueue, MotanEndpoint } from './endpoint/index.js';
import { AccessLogWriter, CallCounters, chainBuilder, filterTable } from './filter/index.js';
import { RouteTable } from './route/index.js';
import { MotanServer } from './server/index.js';
import { IoLoop, rawStreamsWork } from './transport/index.js';

export { haStrategies, loadBalancers } from './cluster/index.js';
export { filters } from './filter/index.js';

/** Descriptors that are not for accepted connections: upstream connections, registries, logs. */
const DESCRIPTORS_RESERVED = 256;

export interface DataPlaneOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly accessLog: AccessLogSink;
  readonly isAccessLogStructured: boolean;
  /** Soft limit of open files. */
  readonly descriptorsMax: number;
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
  readonly #servers = new Map<string, MotanServer>();
  #clusters = new Map<string, Cluster>();
  #routes = new RouteTable<Cluster>(0, []);
  #routeNumber = 0;
  #state: MeshState | null = null;

  constructor(options: DataPlaneOptions, loop: IoLoop, useRaw: boolean) {
    this.#options = options;
    this.#loop = loop;
    this.#useRaw = useRaw;
    this.#accessLog = new AccessLogWriter(options.accessLog, options.clock, options.isAccessLogStructured);
    const chains = chainBuilder(filterTable({ accessLog: this.#accessLog, counters: this.#counters }));
    const { logger } = options;
    const endpointDeps = { loop, logger, dialQueue: new DialQueue(loop, useRaw), chains };
    const createEndpoint: EndpointFactory = (cluster, endpoint) =>
      new MotanEndpoint(cluster, endpoint, endpointDeps);
    this.#clusterDeps = { createEndpoint, chains, random: options.random, nowMs: () => loop.nowMs };
  }

  apply(state: MeshState): void {
    const before = this.#state;
    this.#state = state;
    this.#loop.tick();
    if (before?.clusters === state.clusters) return;
    const isSameSet = this.#applyClusters(state.clusters);
    if (isSameSet) return;
    this.#routeNumber += 1;
    this.#routes = new RouteTable(this.#routeNumber, this.#clusters.values());
  }

  async listen(): Promise<void> {
    if (this.#state === null) throw new AgentError('E_NO_STATE', 'there is no state to listen for');
    for (const listener of this.#state.listeners) {
      const server = new MotanServer(listener, {
        loop: this.#loop,
        logger: this.#options.logger,
        useRaw: this.#useRaw,
        connectionsMax: Math.max(64, this.#options.descriptorsMax - DESCRIPTORS_RESERVED),
        route: (call) => this.#route(call),
      });
      await server.listen();
      this.#servers.set(listener.name, server);
    }
  }

  async ready(withinMs: number): Promise<void> {
    const endpoints = [...this.#clusters.values()].flatMap((cluster) => cluster.endpoints());
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs);
    });
    await Promise.race([Promise.all(endpoints.map((endpoint) => endpoint.whenTried())), timeout]);
    clearTimeout(timer);
  }

  async drain(withinMs: number): Promise<number> {
    const left = await Promise.all([...this.#servers.values()].map((server) => server.drain(withinMs)));
    for (const cluster of this.#clusters.values()) cluster.close(0);
    this.#clusters = new Map();
    this.#accessLog.flush();
    this.#loop.close();
    return left.reduce((sum, count) => sum + count, 0);
  }

  report(): DataPlaneReport {
    return {
      stateNumber: this.#state?.number ?? 0,
      listeners: [...this.#servers.values()].map((server) => server.report()),
      clusters: [...this.#clusters.values()].map((cluster) => cluster.report()),
      exports: [],
      calls: this.#counters.report(),
    };
  }

  onExportHealth(): () => void {
    return () => undefined;
  }

  /** The TCP port that a listener got: 0 before `listen` and for unix sockets. */
  port(name: string): number {
    return this.#servers.get(name)?.port ?? 0;
  }

  #route(call: Call): void {
    const head = call.head;
    const routes = this.#routes;
    if (head.routeState !== routes.number || head.route === null) {
      head.route = routes.resolve(head);
      head.routeState = routes.number;
    }
    const target = head.route as Cluster | Failure;
    if (target instanceof Cluster) target.call(call);
    else call.origin.onReply(call, failed(target));
  }

  /** True when the set of clusters is the same and only their contents changed. */
  #applyClusters(states: readonly ClusterState[]): boolean {
    const before = this.#clusters;
    const after = new Map<string, Cluster>();
    let isSameSet = before.size === states.length;
    for (const state of states) {
      const known = before.get(state.referId);
      if (known === undefined) {
        isSameSet = false;
        after.set(state.referId, new Cluster(state, this.#clusterDeps));
        continue;
      }
      if (known.state !== state) {
        if (known.refer !== state.url) isSameSet = false;
        known.apply(state);
      }
      after.set(state.referId, known);
      before.delete(state.referId);
    }
    for (const gone of before.values()) gone.close();
    this.#clusters = after;
    return isSameSet;
  }
}
