/** A domain whose every path is one service: what the callers of the HTTP port ask for. */
import { FILTER, GROUP, SERVICE } from './parts.mjs';

export const DOMAIN = 'bench.example';

/** An entry of `http-client`. */
export function domainOf(registry) {
  return {
    domain: DOMAIN,
    registry,
    group: GROUP,
    protocol: 'motan2',
    serialization: 'simple',
    preload: SERVICE,
    requestTimeout: 5000,
    filter: FILTER,
  };
}

/** The section `http-locations`. */
export function locationsOf(domain) {
  return { [domain]: [{ match: '/', type: 'start', upstream: SERVICE }] };
}
