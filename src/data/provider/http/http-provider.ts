/**
 * Providers `http` and `httpx`: calls of the mesh become requests of a local HTTP backend (spec traffic 3).
 *
 *   HTTP_PROXY true in the metadata   A  transparent-mode.ts   an HTTP request that came over the mesh
 *   `proxyAddress` is set             B  rpc-mode.ts           an RPC caller, the method is the path
 *   else, and always with httpx       C  url-mode.ts           an RPC caller, the method chooses a url
 */
import {
  type Call,
  failed,
  type HealthCheck,
  type Provider,
  type ProviderObserver,
  type ProviderReport,
  type ProviderTarget,
  toBool,
} from '../../../core/index.js';
import { type HttpTarget, parseTarget } from '../../http-client/index.js';
import { Backend, type HttpProviderDeps } from './backend.js';
import { badArguments, type TroubleType, trouble } from './failures.js';
import type { Mode } from './mode.js';
import { probeBackend } from './probe.js';
import { Rewriting } from './rewriting.js';
import { hostOf, RpcMode } from './rpc-mode.js';
import { type BackendSettings, httpSettings, httpxSettings } from './settings.js';
import { TransparentMode } from './transparent-mode.js';
import { HTTP_FLAVOUR, HTTPX_FLAVOUR, type UrlFlavour, UrlMode } from './url-mode.js';

/** What is asked for when somebody looks whether the backend is well. */
interface Place {
  readonly target: HttpTarget;
  readonly host: string;
}

export class HttpProvider implements Provider {
  readonly #backend: Backend;
  readonly #name: string;
  readonly #place: Place | null;
  /** Null when there is no usable address for it. */
  readonly #transparent: Mode | null;
  readonly #rpc: Mode | null;

  constructor(
    target: ProviderTarget,
    settings: BackendSettings,
    flavour: UrlFlavour,
    deps: HttpProviderDeps,
  ) {
    const type: TroubleType = flavour.isHttpx ? 503 : 2;
    const backend = new Backend(settings, deps, type);
    this.#backend = backend;
    if (settings.address === '') {
      const mode = new UrlMode(backend, target.httpMethods, flavour);
      const [format] = mode.formats;
      this.#name = target.url.text('URL_FORMAT') || (format?.urlOf('') ?? 'no URL_FORMAT');
      this.#place = format === undefined ? null : { target: format.target, host: format.host };
      this.#rpc = mode;
      this.#transparent = flavour.isHttpx ? mode : null;
      return;
    }
    const tlsName = settings.isTls ? settings.domain.replace(/:\d+$/, '') : null;
    const place = parseTarget(settings.address, settings.isTls ? 443 : 80, tlsName);
    const rewriting = new Rewriting(settings.isRewriteEnabled, target.locations);
    this.#name = settings.address;
    this.#place = place === null ? null : { target: place, host: settings.domain || hostOf(place) };
    this.#rpc = place === null ? null : new RpcMode(backend, place, rewriting);
    this.#transparent = place === null ? null : new TransparentMode(backend, place, rewriting);
    if (place === null) deps.logger.error({ proxyAddress: settings.address }, 'proxyAddress is no address');
  }

  start(call: Call, observer: ProviderObserver): void {
    const type = this.#backend.troubleType;
    if (call.protocol === 1) {
      // motan-go answers such a call only when it fails (BUG-44 of the spec): silence otherwise.
      const text = 'an HTTP backend cannot answer a Motan v1 call';
      observer.onProviderDone(call, failed(badArguments(text, type)));
      return;
    }
    const isTransparent = toBool(call.head.metadata.get('HTTP_PROXY')) === true;
    const mode = isTransparent ? this.#transparent : this.#rpc;
    if (mode !== null) mode.start(call, observer);
    else observer.onProviderDone(call, failed(trouble('E_BACKEND_DOWN', 'no usable proxyAddress', type)));
  }

  probe(check: HealthCheck, timeoutMs: number, done: (trouble: string | null) => void): void {
    if (this.#place === null) done('no address to look at');
    else probeBackend(this.#backend.deps, this.#place.target, this.#place.host, check, timeoutMs, done);
  }

  close(withinMs: number): void {
    this.#backend.close(withinMs);
  }

  async whenTried(): Promise<void> {
    // Connections are opened by calls.
  }

  report(): ProviderReport {
    let connections = 0;
    let queued = 0;
    let refused = 0;
    let opened = 0;
    let retried = 0;
    let lastError: string | null = null;
    for (const upstream of this.#backend.upstreams) {
      const report = upstream.report();
      connections += report.connections;
      queued += report.queued;
      refused += report.refused;
      opened += report.opened;
      retried += report.retried;
      lastError ??= report.lastError;
    }
    return {
      backend: this.#name,
      inFlight: this.#backend.inFlight,
      queued,
      refused,
      connections,
      connectionsMax: this.#backend.settings.connectionsMax,
      lastError,
      details: { opened, retried },
    };
  }
}

/** Provider `http`. */
export function createHttpProvider(target: ProviderTarget, deps: HttpProviderDeps): Provider {
  return new HttpProvider(target, httpSettings(target.url), HTTP_FLAVOUR, deps);
}

/** Provider `httpx`. */
export function createHttpxProvider(target: ProviderTarget, deps: HttpProviderDeps): Provider {
  return new HttpProvider(target, httpxSettings(target.url), HTTPX_FLAVOUR, deps);
}
