/** A domain that the mesh answers, as the HTTP listener and Motan callers of a domain meet it. Made by the data plane out of HttpDomainState. */
import type { Call } from './call.js';
import type { MeshUrl } from './url.js';

export interface HttpDomain {
  readonly domain: string;
  /** The http-client: `application`, `group` and all other parameters. */
  readonly url: MeshUrl;
  /** The service that answers `path` (decoded and normalised, no query); null when it is not servable over the mesh. */
  serviceOf(path: string): string | null;
  /** Takes the call to the cluster of `service`, which `serviceOf` gave; its origin is told exactly once. */
  call(service: string, call: Call): void;
}

/** Finds the domain of a host name without port, compared without case and final dot; null for none. */
export type HttpDomainLookup = (host: string) => HttpDomain | null;
