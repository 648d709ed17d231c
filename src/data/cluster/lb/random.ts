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
 * The first available endpoint from a random start: the peers' second step (spec traffic 7.2). When none is
 * available, because a new list has just replaced all nodes or the only one was lost, a last resort is better than an answer of ours.
 */
export function scanAvailable(endpoints: readonly Endpoint[], random: Random): Endpoint | null {
  const start = Math.floor(random() * endpoints.length);
  let lastResort: Endpoint | null = null;
  for (let step = 0; step < endpoints.length; step += 1) {
    const endpoint = endpoints[(start + step) % endpoints.length]!;
    if (endpoint.isAvailable) return endpoint;
    if (lastResort === null && endpoint.isLastResort) lastResort = endpoint;
  }
  return lastResort;
}
