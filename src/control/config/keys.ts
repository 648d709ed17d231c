/**
 * Every key that the agent reads, with type, unit and default: the checks, `peony config` and docs/config.md work from this
 * table (spec agent 2.8 to 2.14). Entries may have other keys: those are free parameters of the url and are kept.
 */

export type KeyType = 'string' | 'integer' | 'number' | 'boolean' | 'list';

export interface KeySpec {
  readonly type: KeyType;
  /** Null when there is none. */
  readonly initial: string | null;
  readonly unit?: string;
  readonly meaning: string;
  /** Least useful value. */
  readonly min?: number;
}

export type KeyTable = Readonly<Record<string, KeySpec>>;

const string = (meaning: string, initial: string | null = null): KeySpec => ({
  type: 'string',
  initial,
  meaning,
});
const list = (meaning: string): KeySpec => ({ type: 'list', initial: null, meaning });
const boolean = (meaning: string, initial: boolean): KeySpec => ({
  type: 'boolean',
  initial: String(initial),
  meaning,
});
const integer = (meaning: string, initial: number | string | null, unit = '', min?: number): KeySpec => ({
  type: 'integer',
  initial: initial === null ? null : String(initial),
  meaning,
  ...(unit === '' ? {} : { unit }),
  ...(min === undefined ? {} : { min }),
});
const number = (meaning: string, initial: string | null, unit: string): KeySpec => ({
  type: 'number',
  initial,
  meaning,
  unit,
});

const HOLD_KEYS: KeyTable = {
  discoveryHoldLoss: integer(
    'when a registry loses more than this share of a service within 10 s, the lost nodes are held: used while they answer; 0 believes it; new in Peony',
    50,
    '%',
    0,
  ),
  discoveryHoldTime: integer(
    'longest time that a held node stays although it answers; 0 has no end; new in Peony',
    3600,
    's',
    0,
  ),
  discoveryHoldSilence: integer(
    'a held node without a sign of life for this long goes; new in Peony',
    15,
    's',
    1,
  ),
};
/** For one refer: the defaults are those of the agent. */
const REFER_HOLD_KEYS: KeyTable = Object.fromEntries(
  Object.entries(HOLD_KEYS).map(([name, spec]) => [
    name,
    { ...spec, initial: 'that of the agent', meaning: `as in \`motan-agent\`, for this refer; new in Peony` },
  ]),
);

export const AGENT_KEYS: KeyTable = {
  application: string(
    'name of this agent: metrics, default `application` of entries, source of forwarded calls',
    '`group`, else default_agent_group',
  ),
  group: string('group of the agent url; replaced by `application` when that is set', '`application`'),
  path: string('path of the agent url', '`group`'),
  host: string(
    'bind address of the forward and HTTP ports, and published host of the agent',
    'all interfaces',
  ),
  port: integer('forward port', 9981, 'port'),
  eport: integer('export port of dynamic registrations', 9982, 'port'),
  hport: integer('HTTP proxy port', 9983, 'port'),
  mport: integer('management port', 8002, 'port'),
  registry: string('one registry id under which the agent announces itself'),
  pidfile: string('pid file', './agent.pid'),
  runtime_dir: string('directory of the saved status and dynamic registrations', './agent_runtime'),
  snapshot_dir: string('directory of registry snapshots, read by PHP clients too', './snapshot'),
  log_dir: string('log directory, or `stdout`', '.'),
  log_async: boolean('accepted, without effect: logs never wait for the disk', true),
  log_structured: boolean('access log as JSON', false),
  rotate_per_hour: boolean('rotate logs every hour', true),
  log_filter_caller: boolean('accepted, without effect', false),
  log_level: string('trace, debug, info, warn, error, dpanic, panic or fatal', 'info'),
  log_buffer_size: integer('accepted, without effect: what waits is bounded in bytes', 5000, 'entries', 1),
  unixSock: string('the forward server listens on this socket instead of its port'),
  managementUnixSock: string('same for the management API'),
  httpProxyUnixSock: string('same for the HTTP proxy'),
  managementPortRange: string(
    '`from-to`: the first free port is the management port; beats `mport` and `-mport`',
  ),
  httpProxyEnable: boolean('open the HTTP proxy port', false),
  httpProxyKeepalive: boolean('drop `Connection` headers in both directions', true),
  httpProxyKeepaliveTimeout: integer('life of an idle upstream connection', 5000, 'ms', 1),
  httpProxyTimeout: integer('dial, read and write timeout upstream', 5000, 'ms', 1),
  httpProxyDefaultDomain: string('used when the Host is not a known domain'),
  httpProxyMaxRequestBodySize: integer('larger bodies get HTTP 413', 2147483647, 'bytes', 1),
  httpProxyMaxHeaderSize: integer('larger request heads get HTTP 431; new in Peony', 32768, 'bytes', 512),
  httpProxyHeaderTimeout: integer(
    'time for the head of a request from its first byte on; new in Peony',
    10000,
    'ms',
    1,
  ),
  httpProxyBodyTimeout: integer('longest pause between bytes of a body; new in Peony', 30000, 'ms', 1),
  httpProxyIdleTimeout: integer('life of an idle caller connection; new in Peony', 75000, 'ms', 1),
  httpProxyAllow: list(
    'targets that CONNECT and requests for unknown hosts may reach: `host`, `*.domain`, an address or `*`, each with `:port` or for all ports, or a CIDR block. Loopback, link-local, multicast and unspecified addresses need an entry that names just that host or a block inside that range; the ports of the agent itself are always refused. Empty refuses all; new in Peony',
  ),
  httpMetadataAllow: list(
    'request headers that typed calls pass on as metadata, and metadata of answers that come back as headers; new in Peony',
  ),
  defaultFilter: list('filters added to every entry unless its `disableDefaultFilter` names them'),
  globalFilter: list('same with `disableGlobalFilter`'),
  maxContentLength: integer('largest message on the forward port', 10485760, 'bytes', 1),
  processPoolSize: integer(
    'calls in flight in the whole process before new ones are refused',
    50000,
    'calls',
    1,
  ),
  initClusterTimeout: integer('how long the start waits for first connections', 10000, 'ms', 0),
  ...HOLD_KEYS,
  motanEpAsyncInit: boolean('accepted, without effect: connecting never blocks', true),
  managementToken: string(
    'secret that lets other machines change state, at least 16 characters without blanks; new in Peony',
  ),
  managementTokenFile: string('file with that secret; beats `managementToken`; new in Peony'),
};

/** Names that people try although no version reads them (spec agent 4). */
export const AGENT_KEY_TRAPS: ReadonlyMap<string, string> = new Map([
  ['munixsock', 'managementUnixSock'],
  ['htport', 'hport'],
  ['serverport', 'eport'],
]);

export const REGISTRY_KEYS: KeyTable = {
  protocol: string('direct, local, file, zookeeper (or zk), consul, mesh or redis'),
  host: string('host of a single server'),
  port: integer('port of a single server', null, 'port'),
  address: list(
    'several `host:port`; for direct also `unix://path`, for zookeeper `/chroot` at the end. Ignored when host and port are set',
  ),
  group: string('direct only: overrides the group of the nodes'),
  path: string('file: the watched directory. zookeeper: chroot, without a default', '<runtime_dir>/registry'),
  registrySessionTimeout: integer('ZooKeeper session timeout asked for; the servers cap it', 1000, 's', 1),
  username: string('user at the registry server; zookeeper: of the scheme digest; new in Peony'),
  password: string('password of that user; new in Peony'),
  token: string('consul: ACL token; new in Peony'),
  datacenter: string('consul: where nodes are looked for; default that of the Consul agent; new in Peony'),
  scheme: string('consul: http or https; new in Peony', 'http'),
  cluster: boolean('redis: the servers are nodes of a Redis Cluster; new in Peony', false),
  sentinels: list(
    'redis: several `host:port` of the Sentinels, instead of the servers; needs `masterName`; new in Peony',
  ),
  masterName: string('redis: how the Sentinels call the master; new in Peony'),
  sentinelUsername: string('redis: user at the Sentinels; new in Peony'),
  sentinelPassword: string('redis: password at the Sentinels; new in Peony'),
  db: integer('redis: number of the database; new in Peony', 0, undefined, 0),
  tls: boolean('redis: connections are encrypted; new in Peony', false),
  tlsCaFile: string(
    'redis: file with the certificates that are trusted, instead of those that Node trusts; new in Peony',
  ),
  keyPrefix: string('redis: what keys and channels begin with; new in Peony', 'peony'),
  leaseTime: integer(
    'redis: a node that was not renewed for so long is taken away; new in Peony',
    15,
    's',
    3,
  ),
  lookInterval: integer(
    'redis: between two looks at a service about which nothing was told; new in Peony',
    5,
    's',
    1,
  ),
  proxyRegistry: string(
    'mesh only, required there: which registry of the other agent, `protocol://host:port`, or its id',
  ),
  requestTimeout: integer('accepted, without effect', null, 'ms'),
  registryRetryPeriod: integer('accepted, without effect', null, 'ms'),
  connectTimeout: integer('accepted, without effect', null, 'ms'),
};

/** Keys of the connection to a node: refers, and services whose provider is motan2 or motan. */
const CONNECTION_KEYS: KeyTable = {
  connectTimeout: integer('time to open a connection', 1000, 'ms', 1),
  connectRetryInterval: integer(
    'longest pause between tries to connect. They begin at 100 ms and double; 5 s and `keepaliveInterval` bound them too',
    60000,
    'ms',
    1,
  ),
  clientConnection: integer(
    'most connections to a node; one is opened at once, more under load',
    3,
    'connections',
    1,
  ),
  lazyInit: boolean('connect at the first call', false),
  asyncInitConnection: boolean('accepted, without effect: connecting never blocks', true),
  errorCountThreshold: integer('errors in a row until a node is taken out; 0 never', 10, 'errors'),
  keepaliveInterval: integer('heartbeat of a node that was taken out', 1000, 'ms', 1),
  maxContentLength: integer('largest message', 10485760, 'bytes', 1),
  mingzSize: integer('bodies above this are compressed; 0 is off', 0, 'bytes', 0),
  maxClientConnection: integer('accepted, without effect', null, 'connections'),
  minClientConnection: integer('accepted, without effect', null, 'connections'),
};

const COMMON_KEYS: KeyTable = {
  protocol: string('see the section'),
  host: string('accepted; nodes come from registries'),
  port: integer('accepted; nodes come from registries', null, 'port'),
  path: string('service name'),
  group: string('group of nodes'),
  registry: list('registry ids'),
  version: string('version of the service. Quote it: 1.0 without quotes is the number 1', null),
  application: string('calling or offering application', 'that of the agent'),
  serialization: string('serialization of bodies that the agent itself encodes', 'simple'),
  requestTimeout: integer('time for one try', 1000, 'ms', 1),
  filter: list('filters of this entry; replaces an inherited list, also with an empty one'),
  disableDefaultFilter: list('names taken out of `defaultFilter`'),
  disableGlobalFilter: list('names taken out of `globalFilter`'),
};

export const REFER_KEYS: KeyTable = {
  ...COMMON_KEYS,
  ...CONNECTION_KEYS,
  registryPriority: string(
    'order of the registries, as `new > old`: worse ones are used while the better ones have no node that takes calls; new in Peony',
    'all are equal',
  ),
  ...REFER_HOLD_KEYS,
  basicRefer: string('id in `motan-basicRefer` to inherit from'),
  minRequestTimeout: integer('least timeout that a request may ask for', null, 'ms', 1),
  maxRequestTimeout: integer('largest timeout that a request may ask for', null, 'ms', 1),
  retries: integer('tries after the first', 0, 'tries'),
  haStrategy: string('failover or backupRequest', 'failover'),
  loadbalance: string('random, roundrobin, consistentHashKey or wrr', 'random'),
  mixGroups: list('further groups whose nodes are used as well'),
  dynamicMeta: boolean('ask nodes for their dynamic meta (wrr)', true),
  weightRefreshPeriodSecond: integer('refresh of node weights (wrr)', 3, 's', 1),
  backupRequestDelayRatio: integer(
    'delay is this percentile of the last metrics period',
    90,
    'percentile',
    1,
  ),
  backupRequestDelayTime: integer('fixed delay; 0 uses the ratio', 0, 'ms', 0),
  backupRequestInitDelayTime: integer('delay until statistics exist; 0 sends no backup', 0, 'ms', 0),
  backupRequestMaxRetryRatio: integer('most extra tries per 100 calls', 15, 'tries', 0),
  rateLimit: number('for filter rateLimit', null, 'requests/s'),
  capacity: number('burst of filter rateLimit', '2 x rateLimit, 1000 to 5000', 'tokens'),
  'circuitBreaker.requestThreshold': integer('least calls before the circuit may open', 20, 'calls', 0),
  'circuitBreaker.sleepWindow': integer('time until an open circuit is tried', 5000, 'ms', 0),
  'circuitBreaker.errorPercent': integer('share of errors that opens it', 50, '%', 0),
  'circuitBreaker.maxConcurrent': integer('most calls at once', 5000, 'calls', 1),
  'circuitBreaker.bizException': boolean('exceptions of the service count as errors', true),
  'consistentHashKey.partSize': integer('partitions of the ring', null, 'partitions', 0),
  'consistentHashKey.load': number('bound of load per node', '1.1', 'x average'),
  'consistentHashKey.replica': integer('points per node', 20, 'points', 0),
};

export const SERVICE_KEYS: KeyTable = {
  ...COMMON_KEYS,
  ...CONNECTION_KEYS,
  connectRetryInterval: integer(
    'longest pause between tries to connect to the backend, bounded as for refers',
    5000,
    'ms',
    1,
  ),
  errorCountThreshold: integer('errors in a row until the backend is taken out; 0 never', 0, 'errors'),
  basicService: string('id in `motan-basicService` to inherit from'),
  export: string('`protocol:port`, `port` or `:port` that serves it', 'motan2:9982'),
  provider: string('http, httpx, cgi, motan2 or motan', 'protocol of `proxy`'),
  proxy: string('`protocol:port` of the backend (motan2, motan)'),
  'proxy.host': string('backend host or `unix://path`', '127.0.0.1'),
  registerMeta: boolean('publish the `META_*` variables', false),
  check: boolean('copied to the status report', false),
  unixSock: string('the export listens here; read from the first service of a port'),
  ref: string('accepted, without effect'),
  nodeType: string('forced to `service`'),
  proxyAddress: string('provider http: backend `host:port` or `unix://path`; empty selects URL_FORMAT'),
  proxySchema: string('provider http: scheme', 'http'),
  domain: string('provider http: entry of `http-locations`, default Host header'),
  enableRewrite: boolean('provider http: the method must match a location of the domain', true),
  enableHttpException: boolean('provider http: status 400 and above becomes an exception', false),
  keepaliveTimeout: integer('provider http: largest age of a backend connection; 0 unlimited', 0, 'ms', 0),
  idleConnectionTimeout: integer('provider http: life of an idle backend connection', 5000, 'ms', 1),
  maxConnections: integer('provider http: backend connections', 1024, 'connections', 1),
  HTTP_REQUEST_METHOD: string('provider http: method when the request names none', 'GET'),
  URL_FORMAT: string('provider http without proxyAddress: url with one `%s` for the method'),
  CGI_HOST: string('provider cgi: backend host, or `unix://path`', '127.0.0.1'),
  CGI_PORT: integer('provider cgi: backend port', 9000, 'port'),
  CGI_REQUEST_METHOD: string('provider cgi: method'),
  CGI_SCRIPT_FILENAME: string('provider cgi: script'),
  CGI_DOCUMENT_ROOT: string('provider cgi: document root'),
  maxChildren: integer(
    'provider cgi: most connections to the pool: its `pm.max_children`. Read from `fpmStatusPath` when that is set, else 5; new in Peony',
    null,
    'connections',
    1,
  ),
  fpmStatusPath: string('provider cgi: `pm.status_path` of the pool; new in Peony'),
  queueMax: integer('provider cgi: calls that may wait for a free child; new in Peony', 128, 'calls', 0),
  queueTimeout: integer(
    'provider cgi: longest wait for a free child; at most `requestTimeout`; new in Peony',
    1000,
    'ms',
    1,
  ),
  firstByteTimeout: integer(
    'provider cgi: time from the request to the first byte of its answer; new in Peony',
    'as `requestTimeout`',
    'ms',
    1,
  ),
  healthCheck: string(
    'look at the backend from time to time: `tcp` connects, `http` asks `healthCheckPath`, `fpm` sends a ping. The service is unavailable in its registries while that fails; new in Peony',
    'none',
  ),
  healthCheckPath: string('path of checks `http` and `fpm`: `ping.path` of the pool; new in Peony', '/ping'),
  healthCheckInterval: integer('pause between checks; new in Peony', 5000, 'ms', 100),
  healthCheckTimeout: integer('time for one check; new in Peony', 1000, 'ms', 1),
  healthCheckFailures: integer(
    'failed checks in a row that take the service out; new in Peony',
    3,
    'checks',
    1,
  ),
  healthCheckSuccesses: integer('good checks in a row that bring it back; new in Peony', 2, 'checks', 1),
};

export const HTTP_CLIENT_KEYS: KeyTable = {
  ...REFER_KEYS,
  domain: string('domain that is served over RPC, required'),
  preload: list('services (upstreams of locations) that are called over RPC'),
};

export const METRICS_KEYS: KeyTable = {
  period: integer('length of a statistics period', 5, 's', 1),
  processor: integer('accepted, without effect (1 to 50 in motan-go)', 1, ''),
  graphite: list('list of `{name, host, port}`'),
};

export const LOCATION_KEYS: KeyTable = {
  match: string('path text or expression, required'),
  type: string('start, exact, regexp or iregexp', 'start'),
  upstream: string('service name, required'),
  rewriteRules: list('list of `condition value pattern replacement`'),
};

export const SCHEMA_KEYS: KeyTable = {
  args: list(
    'list of types, one for each argument; `[]` for none; without it arguments are taken as they come',
  ),
  returns: string(
    'type of the answer; `json` for text or bytes that hold JSON, which then come back as they are',
  ),
  desc: string('method description `M_md` in one line: Java types joined by commas'),
  description: string('text for people'),
};

/** Sections and top-level keys. */
export const SECTIONS: Readonly<Record<string, string>> = {
  'motan-agent': 'settings of the agent',
  'motan-registry': 'registries by id',
  'motan-basicRefer': 'values that refers inherit, by id',
  'motan-refer': 'services used through the agent, by id',
  'motan-basicService': 'values that services inherit, by id',
  'motan-service': 'services offered through the agent, by id',
  'http-client': 'domains served over RPC, by id',
  'http-locations': 'domain to list of locations',
  'http-service': 'service conf id to method to HTTP target',
  'service-schema': 'service path to method to the types of typed calls; new in Peony',
  metrics: 'statistics and graphite',
  switcher: 'initial switchers, name to boolean',
  switchers: 'same, read earlier; one wrong value voids the section',
  'dynamic-param': 'placeholder name to value, or to values by pool',
  'import-refer': 'pool mode, application file: names of `services/` files',
  'import-http-location': 'pool mode: names of `http/location/` files',
  'motan-client': 'of motan-go programs, without effect in an agent',
  'motan-server': 'of motan-go programs, without effect in an agent',
  envMetaPrefix: 'prefix of meta variables, default META_',
  metaCacheExpireSecond: 'seconds that remote meta is cached, default 3',
};

/** Integer keys that may be set per method: `method(paramDesc).key`. */
export const METHOD_KEYS = [
  'requestTimeout',
  'retries',
  'backupRequestDelayRatio',
  'backupRequestDelayTime',
  'backupRequestInitDelayTime',
  'backupRequestMaxRetryRatio',
] as const;
