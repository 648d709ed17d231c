/**
 * What the data plane should be: the only thing that the control plane hands to it.
 *
 * Immutable and numbered. A new state shares every unchanged part with the one before, by reference, so that applying
 * it costs what changed and not what exists.
 */
import type { HttpLocationConfig, HttpServiceMethod, HttpSettings } from './agent-config.js';
import type { Problem } from './problem.js';
import type { ServiceSchemas } from './service-schema.js';
import type { MeshUrl } from './url.js';

export interface MeshState {
  /** 1 for the first, then one more each time. */
  readonly number: number;
  readonly createdAtMs: number;
  /** Why it was made, for operators: `start`, `registry: com.x.Echo has 3 nodes`. */
  readonly cause: string;
  readonly application: string;
  readonly localIp: string;
  readonly listeners: readonly ListenerState[];
  /** Of refers, and of the services of http-clients. */
  readonly clusters: readonly ClusterState[];
  readonly exports: readonly ExportState[];
  readonly httpDomains: readonly HttpDomainState[];
  /** Of section `service-schema`. */
  readonly schemas: ServiceSchemas;
  readonly quarantined: readonly Problem[];
}

export interface ListenerState {
  /** Stable name: `forward`, `http`, `export:9982`. Label of every counter of this listener. */
  readonly name: string;
  /** `forward` takes Motan calls for refers, `export` for exported services, `http` takes HTTP. */
  readonly kind: 'forward' | 'export' | 'http';
  readonly host: string;
  readonly port: number;
  /** When set, the TCP port is not opened. */
  readonly unixSock: string | null;
  readonly frameBytesMax: number;
  readonly callsMax: number;
  /** Only with kind `http`. */
  readonly http: HttpSettings | null;
}

/** One service group as a caller: made from a refer. */
export interface ClusterState {
  /** `group_version_protocol_path`, spec agent 5.1; for the service of an http-client `@domain` follows. Unique. */
  readonly key: string;
  readonly referId: string;
  /** Set for a service of an http-client, which Motan callers reach by the domain only; null for a refer. */
  readonly domain: string | null;
  /** The refer: protocol, path, group and every parameter (timeouts, retries, loadbalance, haStrategy, filter ...). */
  readonly url: MeshUrl;
  readonly endpoints: readonly EndpointState[];
  /** Where the endpoints come from: a registry's answer, a snapshot read at start, or nothing yet. */
  readonly source: 'registry' | 'snapshot' | 'none';
  /** Unix ms at which the snapshot was written; only with source `snapshot`. */
  readonly snapshotSavedAtMs?: number;
}

export interface EndpointState {
  /** Identity of the node, unique in its cluster. */
  readonly id: string;
  /** The node as its registry gave it. Refer parameters override the node's: see `endpointParameter`. */
  readonly node: MeshUrl;
}

/** Effective parameter of an endpoint: the refer's, else the node's (spec agent 3.3). */
export function endpointParameter(
  cluster: ClusterState,
  endpoint: EndpointState,
  name: string,
): string | undefined {
  return cluster.url.parameters.get(name) ?? endpoint.node.parameters.get(name);
}

/** One service offered through the agent, in one group. */
export interface ExportState {
  /** Unique among exports. */
  readonly id: string;
  /** Name of its listener, which others may share. */
  readonly listener: string;
  /** The service as it is announced: protocol and port of `export`, path, group and every parameter. */
  readonly url: MeshUrl;
  /** Name in the table of providers. */
  readonly provider: string;
  /** Of the service's `domain`; provider http chooses and rewrites by them. */
  readonly locations: readonly HttpLocationConfig[];
  /** Method to url and HTTP method: section `http-service` (spec agent 2.14). */
  readonly httpMethods: ReadonlyMap<string, HttpServiceMethod>;
}

/** A domain that HTTP callers address and that services of the mesh answer: made from an http-client. */
export interface HttpDomainState {
  /** Id of the http-client. */
  readonly id: string;
  readonly domain: string;
  readonly url: MeshUrl;
  readonly locations: readonly HttpLocationConfig[];
  /** Service name to `referId` of its cluster: the services of `preload`. */
  readonly services: ReadonlyMap<string, string>;
}
