/**
 * The checked configuration: what the control plane works from. Made by `control/config` out of the files, flags and
 * environment; everything that is merged, inherited, replaced and defaulted is done by then. Frozen.
 */
import type { Place, Problem } from './problem.js';
import type { ServiceSchemas } from './service-schema.js';
import type { MeshUrl } from './url.js';

export interface AgentConfig {
  readonly agent: AgentSettings;
  readonly registries: ReadonlyMap<string, RegistryConfig>;
  readonly refers: readonly ReferConfig[];
  readonly services: readonly ServiceConfig[];
  readonly httpClients: readonly HttpClientConfig[];
  /** Domain to its locations in file order. */
  readonly httpLocations: ReadonlyMap<string, readonly HttpLocationConfig[]>;
  /** Service conf id to method to its url and HTTP method. */
  readonly httpServices: ReadonlyMap<string, ReadonlyMap<string, HttpServiceMethod>>;
  readonly serviceSchemas: ServiceSchemas;
  readonly metrics: MetricsConfig;
  /** Initial switchers, `switchers` first, then `switcher`. */
  readonly switchers: ReadonlyMap<string, boolean>;
  /** Prefix of static meta variables, default `META_`. */
  readonly envMetaPrefix: string;
  readonly metaCacheExpireSeconds: number;
  /** Nodes that replace the registries of some refers: `MESH_DIRECT_RPC`, spec agent 6.8. */
  readonly directRpc: readonly DirectRpcRule[];
  /** Makes entries of what programs register while the agent runs. */
  readonly entries: EntryReader;
  /** The merged tree after placeholders, as plain maps, lists and scalars: for `/getConfig`. */
  readonly tree: Readonly<Record<string, unknown>>;
  /** Everything that is wrong. Entries named in `Problem.entry` with severity `error` are not in the lists above. */
  readonly problems: readonly Problem[];
}

export interface AgentSettings {
  readonly application: string;
  readonly group: string;
  readonly path: string;
  /** Bind address of the forward and HTTP ports; empty means all interfaces. */
  readonly host: string;
  readonly port: number;
  readonly exportPort: number;
  readonly httpPort: number;
  readonly managementPort: number;
  /** First and last port to try, inclusive; null when not configured. Overrides `managementPort`. */
  readonly managementPortRange: readonly [number, number] | null;
  readonly unixSock: string | null;
  readonly managementUnixSock: string | null;
  readonly httpProxyUnixSock: string | null;
  readonly httpProxyEnable: boolean;
  readonly http: HttpSettings;
  /** Registry id under which the agent itself is announced; null for none. */
  readonly registry: string | null;
  readonly pidFile: string;
  readonly runtimeDir: string;
  readonly snapshotDir: string;
  /** A directory, or `stdout`. */
  readonly logDir: string;
  readonly logLevel: string;
  readonly logAsync: boolean;
  readonly logBufferSize: number;
  readonly logStructured: boolean;
  readonly rotatePerHour: boolean;
  /** Address published in registries. */
  readonly localIp: string;
  readonly idc: string;
  readonly recover: boolean;
  readonly frameBytesMax: number;
  /** Calls in flight in the whole process before new ones are shed: `processPoolSize`. */
  readonly callsMax: number;
  readonly initClusterTimeoutMs: number;
  readonly hold: HoldSettings;
  readonly asyncInitConnection: boolean;
  /** Url of the agent itself, with every key of the `motan-agent` section as parameter. */
  readonly url: MeshUrl;
  readonly place: Place | null;
}

/** When a registry that loses nodes is not believed, and for how long. */
export interface HoldSettings {
  /** Nodes are held when more than this share goes at once; 0 believes every loss but that of the last nodes. */
  readonly lossPercent: number;
  /** Longest time that a held node stays though it answers; 0 has no end. */
  readonly holdMs: number;
  /** A held node without a sign of life for this long goes. */
  readonly silenceMs: number;
}

/** Settings of the HTTP port. */
export interface HttpSettings {
  readonly keepalive: boolean;
  /** Life of an idle upstream connection of the direct proxy. */
  readonly upstreamIdleMs: number;
  /** Dial, write and read timeout of the direct proxy, each. */
  readonly upstreamTimeoutMs: number;
  /** Domain that answers for hosts nobody knows; empty for none. */
  readonly defaultDomain: string;
  readonly bodyBytesMax: number;
  readonly headBytesMax: number;
  readonly headTimeoutMs: number;
  /** Longest pause between bytes of a body. */
  readonly bodyTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Entries of `httpProxyAllow`. */
  readonly allow: readonly string[];
  /** Lower-case names of headers that typed calls carry as metadata, and back. */
  readonly metadataAllow: readonly string[];
  /** Names by which callers mean the agent itself: with the HTTP port they are no domain. */
  readonly ownHosts: readonly string[];
}

export interface RegistryConfig {
  readonly id: string;
  /** `protocol`, `host`, `port` and parameters (`address`, `registrySessionTimeout`, ...). */
  readonly url: MeshUrl;
  readonly place: Place | null;
}

export interface ReferConfig {
  readonly id: string;
  /** protocol, path, group and all parameters after inheritance; `filter` holds the final set in execution order. */
  readonly url: MeshUrl;
  readonly registryIds: readonly string[];
  readonly place: Place | null;
}

export interface ServiceConfig {
  readonly id: string;
  readonly confId: string;
  /** protocol and port from `export`, host is the local address. */
  readonly url: MeshUrl;
  readonly registryIds: readonly string[];
  readonly place: Place | null;
}

export interface HttpClientConfig {
  readonly id: string;
  readonly domain: string;
  readonly preload: readonly string[];
  readonly url: MeshUrl;
  readonly registryIds: readonly string[];
  readonly place: Place | null;
}

export interface HttpLocationConfig {
  readonly match: string;
  readonly type: 'exact' | 'regexp' | 'iregexp' | 'start';
  readonly upstream: string;
  readonly rewriteRules: readonly string[];
}

export interface HttpServiceMethod {
  readonly urlFormat: string;
  readonly httpMethod: string;
}

export interface MetricsConfig {
  readonly periodSeconds: number;
  readonly graphite: readonly { readonly name: string; readonly host: string; readonly port: number }[];
}

export interface DirectRpcRule {
  /** Service name without a trailing `*`. */
  readonly service: string;
  readonly match: 'prefix' | 'suffix';
  /** Null keeps the refer's group. */
  readonly group: string | null;
  readonly addresses: readonly string[];
}

/**
 * Treats what programs register and subscribe as if it stood in the configuration: the same checks, defaults, filters and
 * suffixes. Pure; keeps nothing.
 */
export interface EntryReader {
  /** The groups that a posted group stands for: with the additional ones of the environment, split at commas. */
  groups(text: string): readonly string[];
  /** Throws AgentError `E_ENTRY`, which says what is wrong, when the service cannot be offered. */
  service(id: string, url: MeshUrl): ServiceConfig;
  /** The refer, and its twin when the environment asks for one. Throws AgentError `E_ENTRY`. */
  refers(id: string, url: MeshUrl): readonly ReferConfig[];
}
