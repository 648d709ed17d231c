export { Cluster, type ClusterDeps } from './cluster.js';
export { haStrategies } from './ha/index.js';
export { loadBalancers } from './lb/index.js';
