/** `httpProxyAllow`: which servers callers of the HTTP port may reach through the agent. */
import { parseTargetEntry } from '../../core/index.js';
import type { ConfigNode } from './node.js';
import type { Problems } from './problems.js';

const KEY = 'motan-agent.httpProxyAllow';

/** The usable entries as they are written; the others are reported and left out, which allows less and never more. */
export function readAllowedTargets(
  entries: readonly string[],
  node: ConfigNode | null,
  problems: Problems,
): readonly string[] {
  const usable = entries.filter((entry) => parseTargetEntry(entry) !== null);
  for (const entry of entries) {
    if (usable.includes(entry)) continue;
    problems.error({
      code: 'value',
      key: KEY,
      node,
      value: entry,
      message: 'not a target; it is left out',
      expected:
        '`host`, `*.domain`, an address or `*`, each with or without `:port`, or a CIDR block like `10.0.0.0/8`',
      entry: KEY,
    });
  }
  return Object.freeze(usable);
}
