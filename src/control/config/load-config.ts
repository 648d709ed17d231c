/**
 * From files, flags and environment to the checked configuration.
 *
 *   files -> merged tree -> placeholders -> sections -> AgentConfig
 *              every step keeps places, every problem is collected
 *
 * A fatal problem ends the load with a ConfigError that carries all problems; anything else loads without the broken entries.
 */
import type { AgentConfig } from '../../core/index.js';
import { messageOf } from '../../core/index.js';
import { readAgentSettings } from './agent-settings.js';
import type { AgentParts, LoadContext } from './context.js';
import { DynamicEntries } from './dynamic-entries.js';
import { readBasics } from './entry.js';
import { commaList, type EnvironmentVariables, readEnvironment } from './environment.js';
import { usableNames } from './filters.js';
import type { AgentFlags } from './flags.js';
import { readHttpLocations, readHttpServices } from './http.js';
import { REFER_KEYS, SERVICE_KEYS } from './keys.js';
import { findLocalIp } from './local-ip.js';
import { BUILT_NAMES, type ExtensionNames, KNOWN_NAMES } from './names.js';
import { type MapNode, toPlain } from './node.js';
import { warnOfUnbuiltSections, warnOfUnbuiltSelf } from './not-built.js';
import { replacePlaceholders } from './placeholders.js';
import { ConfigError, Problems } from './problems.js';
import { Provenance } from './provenance.js';
import { readHttpClients, readRefers } from './refers.js';
import { readRegistries } from './registries.js';
import { readServiceSchemas } from './service-schema.js';
import { readServices } from './services.js';
import {
  readMetaCacheSeconds,
  readMetaPrefix,
  readMetrics,
  readSwitchers,
  staticMetaOf,
  warnOfUnknownSections,
} from './small-sections.js';
import { readSources } from './sources.js';

export interface LoadOptions {
  readonly flags: AgentFlags;
  readonly env: EnvironmentVariables;
  /** Directory that relative paths of configuration files start from. */
  readonly cwd: string;
  /** Published address when `-localIP` is not given; found on the machine by default. */
  readonly localIp?: string;
  /** Legal names; all that the peers know by default. */
  readonly names?: ExtensionNames;
  /** Names that run; others warn and fall back. A kind that is missing is taken as built. */
  readonly built?: Partial<ExtensionNames>;
}

export interface LoadedConfig {
  readonly config: AgentConfig;
  readonly provenance: Provenance;
}

/** Throws ConfigError (`E_CONFIG`) when a file cannot be read or parsed, or the agent would not listen where it should. */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const problems = new Problems();
  try {
    return load(options, problems);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    // Whatever a configuration can cause must name itself as such; the cause keeps the stack of the defect.
    problems.fatal({
      code: 'internal',
      key: '',
      message: `the configuration cannot be processed: ${messageOf(error)}`,
    });
    throw new ConfigError(problems.sorted(), { cause: error });
  }
}

function load(options: LoadOptions, problems: Problems): LoadedConfig {
  const { flags, cwd } = options;
  const environment = readEnvironment(options.env, problems);
  const merged = readSources(
    { path: flags.c, pool: flags.pool, application: flags.application, cwd },
    problems,
  );
  if (merged === null) throw new ConfigError(problems.sorted());
  const tree = replacePlaceholders(merged, flags.pool, problems);
  const rules = { names: options.names ?? KNOWN_NAMES, built: options.built ?? BUILT_NAMES, problems };
  const filters = usableNames(environment.filters, { key: 'MESH_FILTERS' }, rules);
  const context: LoadContext = {
    ...rules,
    tree,
    flags,
    environment: { ...environment, filters },
    localIp: flags.localIP || (options.localIp ?? findLocalIp()),
    provenance: new Provenance(tree),
  };
  const config = readConfig(context);
  if (problems.hasFatal) throw new ConfigError(problems.sorted());
  return { config, provenance: context.provenance };
}

function readConfig(context: LoadContext): AgentConfig {
  const { tree, problems } = context;
  warnOfUnknownSections(context);
  const agent = readAgentSettings(context);
  const registries = readRegistries(context, agent.runtimeDir);
  warnOfUnbuiltSections(context);
  warnOfUnbuiltSelf(context, agent, registries);
  const parts: AgentParts = {
    application: agent.application,
    defaultFilters: agentFilters('defaultFilter', context),
    globalFilters: agentFilters('globalFilter', context),
    registries,
  };
  const basicRefers = readBasics(tree, 'motan-basicRefer', 'basicRefer', REFER_KEYS, problems);
  const basicServices = readBasics(tree, 'motan-basicService', 'basicService', SERVICE_KEYS, problems);
  const envMetaPrefix = readMetaPrefix(context);
  const staticMeta = staticMetaOf(context.environment.variables, envMetaPrefix);
  const refers = readRefers(context, parts, basicRefers);
  const services = readServices(context, parts, basicServices, staticMeta);
  const httpClients = readHttpClients(context, parts, basicRefers);
  const isOwnRegistryKnown = agent.registry !== null && registries.has(agent.registry);
  return Object.freeze({
    agent: isOwnRegistryKnown ? agent : Object.freeze({ ...agent, registry: null }),
    registries,
    refers: Object.freeze(refers),
    services: Object.freeze(services),
    httpClients: Object.freeze(httpClients),
    httpLocations: readHttpLocations(context, httpClients),
    httpServices: readHttpServices(context, new Set(services.map((service) => service.confId))),
    serviceSchemas: readServiceSchemas(context, new Set(refers.map((refer) => refer.url.path))),
    metrics: readMetrics(context),
    switchers: readSwitchers(context),
    envMetaPrefix,
    metaCacheExpireSeconds: readMetaCacheSeconds(context),
    directRpc: Object.freeze([...context.environment.directRpc]),
    entries: new DynamicEntries(context, parts, staticMeta),
    tree: toPlain(tree) as Readonly<Record<string, unknown>>,
    problems: Object.freeze(problems.sorted()),
  });
}

function agentFilters(name: 'defaultFilter' | 'globalFilter', context: LoadContext): string[] {
  const section = context.tree.get('motan-agent') as MapNode | undefined;
  const node = section?.kind === 'map' ? section.get(name) : undefined;
  if (node?.kind !== 'scalar' || node.type !== 'string') return [];
  return usableNames(commaList(String(node.value)), { key: `motan-agent.${name}`, node }, context);
}
