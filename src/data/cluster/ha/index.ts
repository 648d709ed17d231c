/** The strategies by the name that `haStrategy` takes. */
import type { CallObserver, ClusterState, HighAvailability, LoadBalancer } from '../../../core/index.js';
import { Failover } from './failover.js';

type HaFactory = (lb: LoadBalancer, cluster: ClusterState, done: CallObserver) => HighAvailability;

export const haStrategies = {
  failover: (lb, cluster, done) => new Failover(lb, cluster, done),
} satisfies Record<string, HaFactory>;
