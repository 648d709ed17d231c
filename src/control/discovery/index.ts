/** From refers and registries to states of the mesh. */
export { Discovery, type DiscoveryOptions, type DiscoveryReport } from './discovery.js';
export type { ReferReport } from './refer-watch.js';
