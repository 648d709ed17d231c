/**
 * Warns of what a configuration asks for and this version has no server or client for, so that nobody finds out by its absence.
 * Names of filters, balancers, strategies, protocols and registries are warned about where they are read.
 */
import type { AgentSettings, RegistryConfig } from '../../core/index.js';
import type { LoadContext } from './context.js';
import type { EntryDraft } from './entry.js';
import type { ConfigNode, MapEntry } from './node.js';

const CODE = 'not-built';

export function warnOfUnbuiltSections(context: LoadContext): void {
  const { tree } = context;
  warnOfGraphite(context);
  const name = 'metaCacheExpireSecond';
  const node = tree.get(name);
  if (node !== undefined && !isNull(node))
    warn(name, name, node, 'asks nobody for meta yet: there is nothing to keep', context);
}

/** The registry in which the agent announces itself; its own entry has a warning of what refers lose. */
export function warnOfUnbuiltSelf(
  context: LoadContext,
  agent: AgentSettings,
  registries: ReadonlyMap<string, RegistryConfig>,
): void {
  const protocol = agent.registry === null ? undefined : registries.get(agent.registry)?.url.protocol;
  const built = context.built.registries;
  if (protocol === undefined || built === undefined || built.includes(protocol)) return;
  context.problems.warning({
    code: CODE,
    key: 'motan-agent.registry',
    node: entryOf(context.tree, 'motan-agent', 'registry')?.node ?? null,
    message: `this version does not talk to ${protocol} registries yet: the agent does not announce itself`,
    expected: `a registry of protocol ${built.join(', ')}`,
  });
}

export function warnOfMixedGroups(draft: EntryDraft, context: LoadContext): void {
  const node = draft.nodeOf('mixGroups');
  if (node === undefined || draft.text('mixGroups') === '') return;
  const what = 'does not mix groups yet: nodes of these groups are not used';
  warn('mixGroups', `${draft.key}.mixGroups`, node, what, context);
}

function warnOfGraphite(context: LoadContext): void {
  const section = context.tree.get('metrics');
  if (section?.kind !== 'map' || isBuilt('metrics.graphite', context)) return;
  for (const { key, keyAt, node } of section.entries.values()) {
    if (key.toLowerCase() !== 'graphite' || node.kind !== 'list' || node.items.length === 0) continue;
    const count = node.items.length;
    context.problems.warning({
      code: CODE,
      key: `metrics.${key}`,
      at: keyAt,
      message: `this version sends nothing to graphite yet: ${count === 1 ? 'this target gets' : `these ${count} targets get`} no statistics; /metrics has them`,
    });
  }
}

function warn(feature: string, key: string, node: ConfigNode, what: string, context: LoadContext): void {
  if (isBuilt(feature, context)) return;
  context.problems.warning({ code: CODE, key, node, message: `this version ${what}` });
}

function isBuilt(feature: string, { built }: LoadContext): boolean {
  return built.features === undefined || built.features.includes(feature);
}

function entryOf(tree: LoadContext['tree'], section: string, name: string): MapEntry | undefined {
  const node = tree.get(section);
  return node?.kind === 'map' ? node.entries.get(name) : undefined;
}

function isNull(node: ConfigNode): boolean {
  return node.kind === 'scalar' && node.type === 'null';
}
