/**
 * How a registry protocol is made known: its options, read from the url of a `motan-registry` entry, and its class.
 *
 * Nothing registers itself while being imported: the table is in `index.ts`.
 */
import type { Clock, Logger, MeshUrl, Random, Registry } from '../../core/index.js';

export interface RegistryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Directory of a `file` registry whose entry names none. */
  readonly defaultDirectory: string;
  /** Under which refers are listed where a registry lists them; absent: they are not. */
  readonly localIp?: string;
}

export interface RegistryOptions<Chosen> {
  /** Keys of a `motan-registry` entry that mean something here, with what they mean. Other keys are ignored. */
  readonly keys: Readonly<Record<string, string>>;
  /** Throws AgentError `E_REGISTRY` that states key and value. */
  read(url: MeshUrl, deps: RegistryDeps): Chosen;
  /** Entries with the same text share one registry. */
  identity(chosen: Chosen): string;
}

export interface RegistryFactory {
  readonly keys: Readonly<Record<string, string>>;
  /** What makes two entries the same registry (spec agent 2.9); unlike motan-go's, it has the addresses in it. */
  identity(url: MeshUrl, deps: RegistryDeps): string;
  create(id: string, url: MeshUrl, deps: RegistryDeps): Registry;
}

/** Joins an options schema and a class that is built from what the schema read. */
export function defineRegistry<Chosen>(
  options: RegistryOptions<Chosen>,
  Made: new (id: string, protocol: string, chosen: Chosen, deps: RegistryDeps) => Registry,
): RegistryFactory {
  return {
    keys: options.keys,
    identity: (url, deps) => options.identity(options.read(url, deps)),
    create: (id, url, deps) => new Made(id, url.protocol, options.read(url, deps), deps),
  };
}
