/** Configuration: read, merge, check, explain. */
export type { EnvironmentVariables } from './environment.js';
export { type AgentFlags, FLAGS, flagsUsage, type GoFlagsResult, parseGoFlags } from './flags.js';
export { rewriteTrouble } from './http.js';
export { type LoadedConfig, type LoadOptions, loadConfig } from './load-config.js';
export { BUILT_NAMES, type ExtensionNames, KNOWN_NAMES, PROVIDERS, REGISTRY_ALIASES } from './names.js';
export { ConfigError, printable, problemText } from './problems.js';
export { type Explanation, type Origin, Provenance } from './provenance.js';
