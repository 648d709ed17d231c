/** Random choice; when it falls on one that is not available, the next available from a second random start. */
import type { Endpoint, LoadBalancer, Random } from '../../../core/index.js';

export class RandomBalancer implements LoadBalancer {
  readonly #random: Random;
  #endpoints: readonly Endpoint[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  refresh(endpoints: readonly Endpoint[]): void {
    this.#endpoints = endpoints;
  }

  pick(): Endpoint | null {
    const endpoints = this.#endpoints;
    const count = endpoints.length;
    if (count === 0) return null;
    const first = endpoints[count === 1 ? 0 : Math.floor(this.#random() * count)]!;
    return first.isAvailable ? first : scanAvailable(endpoints, this.#random);
  }
}

/**
 * The first available endpoint from a random start: the peers' second step (spec traffic 7.2). When a new list has replaced all nodes
 * none is available yet: then one that is being connected, where the call waits some milliseconds instead of failing.
 */
export function scanAvailable(endpoints: readonly Endpoint[], random: Random): Endpoint | null {
  const start = Math.floor(random() * endpoints.length);
  for (let step = 0; step < endpoints.length; step += 1) {
    const endpoint = endpoints[(start + step) % endpoints.length]!;
    if (endpoint.isAvailable) return endpoint;
  }
  for (let step = 0; step < endpoints.length; step += 1) {
    const endpoint = endpoints[(start + step) % endpoints.length]!;
    if (endpoint.isConnecting) return endpoint;
  }
  return null;
}
