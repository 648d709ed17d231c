/** Loads a fixture tree with fixed surroundings, so that results do not depend on the machine. */
import { fileURLToPath } from 'node:url';
import {
  ConfigError,
  type LoadedConfig,
  type LoadOptions,
  loadConfig,
  parseGoFlags,
} from '../../../../src/control/config/index.js';
import type { AgentConfig, ReferConfig, ServiceConfig } from '../../../../src/core/agent-config.js';
import type { Problem } from '../../../../src/core/problem.js';

export const FIXTURES = fileURLToPath(new URL('../../../fixtures/config', import.meta.url));
export const REPOSITORY = fileURLToPath(new URL('../../../..', import.meta.url));

export function loadAll(words: readonly string[], options: Partial<LoadOptions> = {}): LoadedConfig {
  return loadConfig({
    flags: parseGoFlags(words).flags,
    env: {},
    cwd: FIXTURES,
    localIp: '10.1.1.1',
    ...options,
  });
}

export function load(words: readonly string[], options: Partial<LoadOptions> = {}): AgentConfig {
  return loadAll(words, options).config;
}

export function problemsOf(words: readonly string[], options: Partial<LoadOptions> = {}): readonly Problem[] {
  try {
    return load(words, options).problems;
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

export function refer(config: AgentConfig, id: string): ReferConfig {
  const found = config.refers.find((one) => one.id === id);
  if (found === undefined) throw new Error(`no refer ${id}`);
  return found;
}

export function service(config: AgentConfig, id: string): ServiceConfig {
  const found = config.services.find((one) => one.id === id);
  if (found === undefined) throw new Error(`no service ${id}`);
  return found;
}

/** `line:column severity code key`, for comparing. */
export function brief(problem: Problem): string {
  const at = problem.place === null ? '-' : `${problem.place.line}:${problem.place.column}`;
  return `${at} ${problem.severity} ${problem.code} ${problem.key}`;
}
