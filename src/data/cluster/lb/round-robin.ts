/** One after the other; the first pick is index 1 mod n (spec traffic 7.2). Not available ones are replaced at random. */
import type { Endpoint, LoadBalancer, Random } from '../../../core/index.js';
import { scanAvailable } from './random.js';

export class RoundRobinBalancer implements LoadBalancer {
  readonly #random: Random;
  #endpoints: readonly Endpoint[] = [];
  #index = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  refresh(endpoints: readonly Endpoint[]): void {
    this.#endpoints = endpoints;
  }

  pick(): Endpoint | null {
    const endpoints = this.#endpoints;
    if (endpoints.length === 0) return null;
    this.#index = (this.#index + 1) % endpoints.length;
    const next = endpoints[this.#index]!;
    return next.isAvailable ? next : scanAvailable(endpoints, this.#random);
  }
}
