/**
 * From a host name to the domain that the mesh answers, and from a path to the service of that domain: spec traffic 2.3.
 *
 * Of two http-clients with one domain the first stands. Host names are compared without case and without a final dot, which
 * motan-go does not do: `Shop.example.com.` is the same host.
 */
import type {
  Call,
  HttpDomain,
  HttpDomainState,
  HttpLocationConfig,
  LocationMatcher,
  MeshUrl,
} from '../../core/index.js';

/** Whoever takes the calls of a service of a domain. */
export interface DomainTarget {
  call(call: Call): void;
}

export interface DomainParts {
  /** The cluster of `referId`. */
  readonly targetOf: (referId: string) => DomainTarget | undefined;
  readonly matcherOf: (locations: readonly HttpLocationConfig[]) => LocationMatcher;
}

export class DomainTable {
  readonly #byHost = new Map<string, HttpDomain>();

  constructor(states: readonly HttpDomainState[], parts: DomainParts) {
    for (const state of states) {
      const host = hostKey(state.domain);
      if (!this.#byHost.has(host)) this.#byHost.set(host, new MeshDomain(state, parts));
    }
  }

  get isEmpty(): boolean {
    return this.#byHost.size === 0;
  }

  /** @param host name without port */
  find(host: string): HttpDomain | null {
    return this.#byHost.get(host) ?? this.#byHost.get(hostKey(host)) ?? null;
  }
}

class MeshDomain implements HttpDomain {
  readonly domain: string;
  readonly url: MeshUrl;
  readonly #matcher: LocationMatcher;
  readonly #targets = new Map<string, DomainTarget>();

  constructor(state: HttpDomainState, parts: DomainParts) {
    this.domain = state.domain;
    this.url = state.url;
    this.#matcher = parts.matcherOf(state.locations);
    for (const [service, referId] of state.services) {
      const target = parts.targetOf(referId);
      if (target !== undefined) this.#targets.set(service, target);
    }
  }

  serviceOf(path: string): string | null {
    const service = this.#matcher.match(path)?.upstream;
    return service !== undefined && this.#targets.has(service) ? service : null;
  }

  call(service: string, call: Call): void {
    this.#targets.get(service)!.call(call);
  }
}

function hostKey(host: string): string {
  const lower = host.toLowerCase();
  return lower.endsWith('.') ? lower.slice(0, -1) : lower;
}
