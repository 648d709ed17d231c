/**
 * Providers `motan2` and `motan`: hands the call to a real Motan process beside the agent, as bytes (spec traffic 5.1).
 *
 * The connection is an Endpoint as refers have it, with the defaults of a backend: tried again within 5 s, never fused.
 */
import {
  type AttemptObserver,
  type Call,
  type ClusterState,
  type Endpoint,
  type ExportState,
  failed,
  failure,
  type HealthCheck,
  MeshUrl,
  type Provider,
  type ProviderObserver,
  type ProviderReport,
  type Reply,
} from '../../../core/index.js';
import { type ConnectTarget, type ProbeDeps, probeConnect } from '../probe-connect.js';

const DEFAULT_HOST = '127.0.0.1';
/** Only a form: a unix socket has no port. */
const DEFAULT_PORT = 9982;
const UNAVAILABLE = 'reverse proxy call err: motanProvider is unavailable';

export interface ReverseProxyDeps extends ProbeDeps {
  /** Makes the caller of the backend; nothing of `filter` is in the cluster that it gets. */
  readonly createEndpoint: (cluster: ClusterState, node: { id: string; node: MeshUrl }) => Endpoint;
}

/** A call that waits: who is told. Keyed by the call, because an endpoint has one observer for all. */
export class ReverseProxy implements Provider, AttemptObserver {
  readonly #endpoint: Endpoint;
  readonly #target: ConnectTarget;
  readonly #deps: ReverseProxyDeps;
  readonly #waiting = new Map<Call, ProviderObserver>();

  constructor(state: ExportState, deps: ReverseProxyDeps) {
    this.#deps = deps;
    const node = backendNode(state.url);
    this.#target = node.host.startsWith('unix://')
      ? { path: node.host.slice('unix://'.length) }
      : { host: node.host, port: node.port };
    const cluster: ClusterState = {
      key: state.id,
      referId: state.id,
      domain: null,
      url: backendUrl(state.url),
      endpoints: [],
      source: 'registry',
    };
    this.#endpoint = deps.createEndpoint(cluster, { id: state.id, node });
  }

  start(call: Call, observer: ProviderObserver): void {
    if (!this.#endpoint.isAvailable && !this.#endpoint.isLastResort) {
      const exception = { code: 503, type: 503, message: UNAVAILABLE };
      observer.onProviderDone(call, failed(failure('E_BACKEND_DOWN', UNAVAILABLE, exception)));
      return;
    }
    this.#waiting.set(call, observer);
    this.#endpoint.start(call, this);
  }

  onAttemptDone(call: Call, reply: Reply): void {
    const observer = this.#waiting.get(call)!;
    this.#waiting.delete(call);
    // Callers of a server agent are not told which process answered: spec wire 3.3.
    reply.address = '';
    observer.onProviderDone(call, reply);
  }

  probe(check: HealthCheck, timeoutMs: number, done: (trouble: string | null) => void): void {
    if (check.kind === 'tcp') probeConnect(this.#deps, this.#target, timeoutMs, done);
    else done(`healthCheck ${check.kind} does not fit a Motan backend: use tcp`);
  }

  close(withinMs: number): void {
    this.#endpoint.close(withinMs);
  }

  whenTried(): Promise<void> {
    return this.#endpoint.whenTried();
  }

  report(): ProviderReport {
    const { inFlight, connections, lastError, address } = this.#endpoint.report();
    return {
      backend: address,
      inFlight,
      queued: 0,
      refused: 0,
      connections,
      connectionsMax: 0,
      lastError,
      details: {},
    };
  }
}

/** `proxy: protocol:port` and `proxy.host`, which may be a unix socket (spec agent 2.11). */
function backendNode(url: MeshUrl): MeshUrl {
  const text = url.text('proxy');
  const colonAt = text.indexOf(':');
  // Without a colon it is one of the two: a unix socket needs no port.
  const isPort = colonAt < 0 && /^\d+$/.test(text);
  const protocol = colonAt >= 0 ? text.slice(0, colonAt) : isPort ? '' : text;
  const portText = colonAt >= 0 ? text.slice(colonAt + 1) : isPort ? text : '';
  const host = url.text('proxy.host') || DEFAULT_HOST;
  const port = Number(portText || DEFAULT_PORT);
  const isUnix = host.startsWith('unix://');
  return new MeshUrl({
    protocol: protocol || 'motan2',
    host,
    port: isUnix ? 0 : port,
    path: url.path,
    group: url.group,
  });
}

function backendUrl(url: MeshUrl): MeshUrl {
  const parameters = new Map(url.parameters);
  parameters.delete('filter'); // they are around the export
  if (!parameters.has('connectRetryInterval')) parameters.set('connectRetryInterval', '5000');
  if (!parameters.has('errorCountThreshold')) parameters.set('errorCountThreshold', '0');
  return url.with({ parameters });
}
