/** From refers and registries to states of the mesh. */
export { Discovery, type DiscoveryOptions } from './discovery.js';
export { type WatchedGroups, watchedGroups } from './watched-groups.js';
