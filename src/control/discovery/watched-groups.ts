/** The groups that a configuration refers to, for whoever watches something else about them. */
import type { AgentConfig } from '../../core/index.js';
import { allRefers } from './mesh-parts.js';
import { candidateGroups, directNodes } from './refer-targets.js';

export interface WatchedGroups {
  /** All in which the refer may be served. */
  readonly groups: readonly string[];
  readonly registryIds: readonly string[];
}

/** One for each refer that asks registries. */
export function watchedGroups(config: AgentConfig): WatchedGroups[] {
  return allRefers(config)
    .filter(({ refer }) => directNodes(config, refer.url) === null)
    .map(({ refer }) => ({
      groups: candidateGroups(refer.url.group, config.agent.idc),
      registryIds: refer.registryIds,
    }));
}
