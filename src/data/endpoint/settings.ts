/**
 * What the parameters of a refer mean for the connections to its nodes: spec wire 6.1.
 *
 * Numbers below 1 mean the default; `minRequestTimeout` and `maxRequestTimeout` derive from the effective timeout.
 */
import {
  type Call,
  type ClusterState,
  type EndpointState,
  endpointParameter,
  MeshUrl,
} from '../../core/index.js';

export interface EndpointSettings {
  readonly connectTimeoutMs: number;
  /** Longest pause between tries to connect; they begin at 100 ms and double. */
  readonly connectRetryMs: number;
  readonly connectionsMax: number;
  readonly keepaliveIntervalMs: number;
  /** Errors in a row until the node is taken out; 0 never. */
  readonly errorCountMax: number;
  readonly frameBytesMax: number;
  /** Bodies above this many bytes are zipped; 0 never. */
  readonly zipAboveBytes: number;
  readonly lazyInit: boolean;
  readonly requestTimeoutMs: number;
  /** Null when no method has a timeout of its own, which is nearly always. */
  readonly methodUrl: MeshUrl | null;
  readonly minTimeoutMs: number;
  readonly maxTimeoutMs: number;
}

export const FRAME_BYTES_MAX = 10_485_760; // spec wire 2.8
const REQUEST_TIMEOUT_MS = 1000;

export function endpointSettings(cluster: ClusterState, endpoint: EndpointState): EndpointSettings {
  const names = [
    'connectTimeout',
    'connectRetryInterval',
    'clientConnection',
    'keepaliveInterval',
    'errorCountThreshold',
  ];
  names.push(
    'maxContentLength',
    'mingzSize',
    'lazyInit',
    'requestTimeout',
    'minRequestTimeout',
    'maxRequestTimeout',
  );
  const effective = new Map<string, string>();
  for (const name of names) {
    const value = endpointParameter(cluster, endpoint, name);
    if (value !== undefined) effective.set(name, value);
  }
  const url = new MeshUrl({ parameters: effective });
  return {
    connectTimeoutMs: url.positiveInt('connectTimeout', 1000),
    connectRetryMs: url.positiveInt('connectRetryInterval', 60_000),
    connectionsMax: url.positiveInt('clientConnection', 3),
    keepaliveIntervalMs: url.positiveInt('keepaliveInterval', 1000),
    errorCountMax: Math.max(0, url.int('errorCountThreshold', 10)),
    frameBytesMax: url.positiveInt('maxContentLength', FRAME_BYTES_MAX),
    zipAboveBytes: Math.max(0, url.int('mingzSize', 0)),
    lazyInit: url.bool('lazyInit', false),
    requestTimeoutMs: url.positiveInt('requestTimeout', REQUEST_TIMEOUT_MS),
    methodUrl: hasMethodTimeout(cluster, endpoint) ? methodUrl(cluster, endpoint) : null,
    minTimeoutMs: Math.max(0, url.int('minRequestTimeout', 0)),
    maxTimeoutMs: Math.max(0, url.int('maxRequestTimeout', 0)),
  };
}

/** Time for one try, ms. A wish (`M_tmo`) outside [min, max] is ignored, not clamped: spec wire 6.3. */
export function timeoutOf(settings: EndpointSettings, call: Call): number {
  let base = settings.requestTimeoutMs;
  if (settings.methodUrl !== null) {
    const own = settings.methodUrl.methodInt(call.head.method, call.head.methodDesc, 'requestTimeout', base);
    base = own < 1 ? REQUEST_TIMEOUT_MS : own;
  }
  const wish = call.head.timeoutMs;
  if (wish === 0) return base;
  const least = settings.minTimeoutMs === 0 ? Math.trunc(base / 2) : settings.minTimeoutMs;
  const most = settings.maxTimeoutMs === 0 ? base * 2 : settings.maxTimeoutMs;
  return wish >= least && wish <= most ? wish : base;
}

function hasMethodTimeout(cluster: ClusterState, endpoint: EndpointState): boolean {
  return isMethodTimeoutIn(cluster.url) || isMethodTimeoutIn(endpoint.node);
}

function isMethodTimeoutIn(url: MeshUrl): boolean {
  for (const name of url.parameters.keys()) if (name.endsWith(').requestTimeout')) return true;
  return false;
}

function methodUrl(cluster: ClusterState, endpoint: EndpointState): MeshUrl {
  return new MeshUrl({ parameters: new Map([...endpoint.node.parameters, ...cluster.url.parameters]) });
}
