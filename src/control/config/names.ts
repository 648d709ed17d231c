/**
 * The names that configuration may use for extensions. All names that the peers know are legal, so that a tree of theirs
 * loads; `built` tells which of them this version runs.
 */

export interface ExtensionNames {
  readonly filters: readonly string[];
  readonly loadBalancers: readonly string[];
  readonly haStrategies: readonly string[];
  readonly registries: readonly string[];
  /** Protocols of the caller of a node: `protocol` of refers. */
  readonly protocols: readonly string[];
  /** Sections and keys that need a server or client of their own, by their key. */
  readonly features: readonly string[];
}

/** Endpoint and cluster filters with their position in the chain (spec agent 2.7): a smaller one is further out. */
const FILTER_ORDER: ReadonlyMap<string, { readonly isCluster: boolean; readonly index: number }> = new Map([
  ['clusterAccessLog', { isCluster: true, index: 1 }],
  ['clusterMetrics', { isCluster: true, index: 5 }],
  ['clusterCircuitBreaker', { isCluster: true, index: 20 }],
  ['accessLog', { isCluster: false, index: 1 }],
  ['failfast', { isCluster: false, index: 1 }],
  ['metrics', { isCluster: false, index: 2 }],
  ['trace', { isCluster: false, index: 2 }],
  ['rateLimit', { isCluster: false, index: 3 }],
  ['circuitBreaker', { isCluster: false, index: 20 }],
]);

export const KNOWN_NAMES: ExtensionNames = {
  filters: [...FILTER_ORDER.keys()],
  loadBalancers: ['random', 'roundrobin', 'consistentHashKey', 'wrr'],
  haStrategies: ['failover', 'backupRequest'],
  registries: ['direct', 'local', 'file', 'zookeeper', 'consul', 'mesh', 'redis'],
  protocols: ['motan2', 'motan', 'grpc', 'local'],
  features: ['mixGroups', 'metrics.graphite', 'metaCacheExpireSecond'],
};

/** Other names of registry protocols; the tables of the registries take the same ones. */
export const REGISTRY_ALIASES: ReadonlyMap<string, string> = new Map([['zk', 'zookeeper']]);

/** What the program itself runs: the keys of the extension tables, which a test compares. A composition root with other tables passes its own. */
export const BUILT_NAMES: ExtensionNames = {
  filters: ['clusterAccessLog', 'clusterMetrics', 'accessLog', 'metrics'],
  loadBalancers: ['random', 'roundrobin'],
  haStrategies: ['failover'],
  registries: ['direct', 'local', 'file', 'zookeeper', 'consul', 'redis', 'mesh'],
  protocols: ['motan2', 'motan'],
  features: [],
};

/** Names of Motan Java that motan-go does not know; there a cluster with one of them is missing or fails every call (spec traffic 7.1, 8). */
export const JAVA_LOAD_BALANCERS: ReadonlyMap<string, string> = new Map([
  ['activeWeight', 'random'],
  ['localFirst', 'random'],
  ['consistent', 'consistentHashKey'],
  ['configurableWeight', 'wrr'],
]);
export const JAVA_HA_STRATEGIES: ReadonlyMap<string, string> = new Map([['failfast', 'failover']]);

/** `export` protocols that have a server. All three speak Motan on the wire. */
export const EXPORT_PROTOCOLS = ['motan2', 'motan', 'cgi'] as const;
export const PROVIDERS = ['http', 'httpx', 'cgi', 'motan2', 'motan', 'default'] as const;
export const HEALTH_CHECKS = ['none', 'tcp', 'http', 'fpm'] as const;
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'dpanic', 'panic', 'fatal'] as const;

/** Cluster filters first, then by index; ties and names of an embedding program keep their configuration order. */
export function inExecutionOrder(filters: Iterable<string>): string[] {
  const rank = (name: string): number => {
    const order = FILTER_ORDER.get(name);
    return order === undefined ? 1000 : (order.isCluster ? 0 : 100) + order.index;
  };
  return [...filters].sort((one, other) => rank(one) - rank(other));
}
