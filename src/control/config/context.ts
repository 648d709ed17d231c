/** What the readers of sections share while one configuration is loaded. */
import type { RegistryConfig } from '../../core/index.js';
import type { EntryDraft } from './entry.js';
import type { Environment } from './environment.js';
import type { AgentFlags } from './flags.js';
import type { ExtensionNames } from './names.js';
import { nearestName } from './near.js';
import type { MapNode } from './node.js';
import type { Problems } from './problems.js';
import type { Provenance } from './provenance.js';

export interface LoadContext {
  readonly tree: MapNode;
  readonly flags: AgentFlags;
  readonly environment: Environment;
  readonly localIp: string;
  readonly names: ExtensionNames;
  /** A kind that is missing is not checked. */
  readonly built: Partial<ExtensionNames>;
  readonly problems: Problems;
  readonly provenance: Provenance;
}

/** What sections after `motan-agent` and `motan-registry` need of them. */
export interface AgentParts {
  readonly application: string;
  readonly defaultFilters: readonly string[];
  readonly globalFilters: readonly string[];
  readonly registries: ReadonlyMap<string, RegistryConfig>;
}

export interface NameRule {
  readonly key: 'protocol' | 'loadbalance' | 'haStrategy';
  readonly what: string;
  readonly legal: readonly string[];
  readonly built: readonly string[] | undefined;
  /** Used when the name is legal but not built; null quarantines the entry. */
  readonly fallback: string | null;
}

/** Checks a name that the entry chose; false quarantines the entry, and has been reported. */
export function checkName(draft: EntryDraft, rule: NameRule, problems: Problems): boolean {
  const name = rule.key === 'protocol' ? draft.fields.protocol : draft.text(rule.key);
  if (name === '') return true;
  const node = draft.nodeOf(rule.key);
  const about = {
    key: `${draft.key}.${rule.key}`,
    ...(node === undefined ? { value: name, at: draft.at } : { node }),
  };
  const expected = `one of ${(rule.built ?? rule.legal).join(', ')}`;
  if (!rule.legal.includes(name)) {
    problems.error({
      ...about,
      code: 'unknown-name',
      message: `unknown ${rule.what}; the entry is left out`,
      expected: `one of ${rule.legal.join(', ')}`,
      didYouMean: nearestName(name, rule.legal),
      entry: draft.key,
    });
    return false;
  }
  if (rule.built === undefined || rule.built.includes(name)) return true;
  if (rule.fallback === null) {
    problems.error({
      ...about,
      code: 'not-built',
      message: `this version does not run this ${rule.what} yet; the entry is left out`,
      expected,
      entry: draft.key,
    });
    return false;
  }
  problems.warning({
    ...about,
    code: 'not-built',
    message: `this version does not run this ${rule.what} yet; "${rule.fallback}" is used`,
    expected,
  });
  draft.derive(rule.key, rule.fallback, `"${name}" is not in this version`);
  return true;
}
