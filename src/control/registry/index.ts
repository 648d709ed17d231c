/** The registries by the name that `protocol` of a `motan-registry` entry takes, and the snapshots of what they said. */
import type { AgentConfig, Registry, RegistryConfig } from '../../core/index.js';
import { AgentError } from '../../core/index.js';
import { consul } from './consul/consul.js';
import type { RegistryDeps, RegistryFactory } from './define-registry.js';
import { direct } from './direct.js';
import { file } from './file.js';
import { local } from './local.js';
import { mesh } from './mesh/mesh.js';
import { redis } from './redis/redis.js';
import { UnsupportedRegistry } from './unsupported.js';
import { zookeeper } from './zookeeper/zookeeper.js';

export { CommandFiles, type CommandFilesOptions } from './command-files.js';
export {
  defineRegistry,
  type RegistryDeps,
  type RegistryFactory,
  type RegistryOptions,
} from './define-registry.js';
export { identityOf, isRunning, ownIdentity } from './process-identity.js';
export { SnapshotFiles, type SnapshotFilesOptions } from './snapshot.js';

export const registries = { direct, local, file, zookeeper, consul, redis, mesh } satisfies Record<
  string,
  RegistryFactory
>;

/** Other names by which configurations call the same registry. */
export const registryAliases: Readonly<Record<string, string>> = { zk: 'zookeeper' };

/**
 * One registry for every entry; entries that mean the same place share one (spec agent 2.9, with the addresses in the
 * identity). An entry that cannot be had gives a registry that says why, so the others serve.
 */
export function createRegistries(
  config: Pick<AgentConfig, 'registries'>,
  deps: RegistryDeps,
): Map<string, Registry> {
  const made = new Map<string, Registry>();
  const byIdentity = new Map<string, Registry>();
  for (const [id, entry] of config.registries) {
    const registry = create(id, entry, deps, byIdentity);
    made.set(id, registry);
  }
  return made;
}

function create(
  id: string,
  entry: RegistryConfig,
  deps: RegistryDeps,
  byIdentity: Map<string, Registry>,
): Registry {
  const { protocol } = entry.url;
  const name = registryAliases[protocol] ?? protocol;
  const factory = new Map<string, RegistryFactory>(Object.entries(registries)).get(name);
  if (factory === undefined) return unsupported(entry, `registry protocol "${name}" is not known`, deps);
  try {
    const identity = factory.identity(entry.url, deps);
    const known = byIdentity.get(identity);
    if (known !== undefined) return known;
    const registry = factory.create(id, entry.url, deps);
    byIdentity.set(identity, registry);
    return registry;
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return unsupported(entry, `motan-registry.${id}: ${error.message}`, deps);
  }
}

function unsupported(entry: RegistryConfig, reason: string, deps: RegistryDeps): Registry {
  deps.logger.error({ registry: entry.id, protocol: entry.url.protocol }, reason);
  return new UnsupportedRegistry(entry, reason);
}
