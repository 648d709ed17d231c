/** The load balancers by the name that `loadbalance` takes. */
import type { LoadBalancer, Random } from '../../../core/index.js';
import { RandomBalancer } from './random.js';
import { RoundRobinBalancer } from './round-robin.js';

export const loadBalancers = {
  random: (random) => new RandomBalancer(random),
  roundrobin: (random) => new RoundRobinBalancer(random),
} satisfies Record<string, (random: Random) => LoadBalancer>;
