/**
 * Section `motan-service`: what is offered through the agent (spec agent 2.11), one service per group. A service whose
 * registries are wrong is still served, as the peers do: local callers and direct registries may depend on it.
 */
import type { MeshUrl, ServiceConfig } from '../../core/index.js';
import type { AgentParts, LoadContext } from './context.js';
import { type Basics, type EntryDraft, readEntries } from './entry.js';
import { commaList } from './environment.js';
import { assembleFilters } from './filters.js';
import { SERVICE_KEYS } from './keys.js';
import { EXPORT_PROTOCOLS, HEALTH_CHECKS, PROVIDERS } from './names.js';
import { nearestName } from './near.js';
import { placeOf } from './node.js';
import { registryIdsOf } from './registries.js';

const DEFAULT_EXPORT = 'motan2:9982';

export function readServices(
  context: LoadContext,
  agent: AgentParts,
  basics: Basics,
  staticMeta: ReadonlyMap<string, string>,
): ServiceConfig[] {
  const kind = { section: 'motan-service', table: SERVICE_KEYS, basicKey: 'basicService', basics };
  const drafts = readEntries(context.tree, kind, context.problems);
  const taken = new Set(drafts.map((draft) => draft.id));
  const services: ServiceConfig[] = [];
  for (const draft of drafts) {
    warnOfBasicRefer(draft, basics, context);
    const registryIds = readService(draft, agent, staticMeta, context);
    if (registryIds === null) continue;
    for (const { id, url } of byGroup(draft, taken, context)) {
      services.push(Object.freeze({ id, confId: draft.id, url, registryIds, place: placeOf(draft.at) }));
      context.provenance.addEntry(draft, id, url);
    }
  }
  return services;
}

/** Checks and completes one service, but for its groups: the registry ids, or null when it cannot be offered. */
export function readService(
  draft: EntryDraft,
  agent: AgentParts,
  staticMeta: ReadonlyMap<string, string>,
  context: LoadContext,
): string[] | null {
  const isUsable = [requirePath(draft, context), applyExport(draft, context), checkProvider(draft, context)];
  if (isUsable.includes(false)) return null;
  checkHealthCheck(draft, context);
  const registryIds = readRegistryIds(draft, agent, context);
  derive(draft, agent, staticMeta, context);
  return registryIds;
}

function warnOfBasicRefer(draft: EntryDraft, basics: Basics, { problems }: LoadContext): void {
  const mistake = draft.own.entries.get('basicRefer');
  if (mistake === undefined) return;
  const hasSuch = mistake.node.kind === 'scalar' && basics.has(mistake.node.source);
  problems.warning({
    code: 'no-effect',
    key: `${draft.key}.basicRefer`,
    node: mistake.node,
    at: mistake.keyAt,
    message: `a service does not inherit from motan-basicRefer${hasSuch ? '' : ', and motan-basicService has no entry of this name'}`,
    didYouMean: 'basicService',
  });
}

function refuse(
  draft: EntryDraft,
  name: string,
  code: string,
  message: string,
  expected: string,
  context: LoadContext,
): false {
  const node = draft.nodeOf(name);
  const text = node?.kind === 'scalar' ? node.source : '';
  context.problems.error({
    code,
    key: `${draft.key}.${name}`,
    ...(node === undefined ? { at: draft.at } : { node }),
    message: `${message}; the entry is left out`,
    expected,
    didYouMean: name === 'provider' ? nearestName(text, PROVIDERS) : null,
    entry: draft.key,
  });
  return false;
}

function requirePath(draft: EntryDraft, context: LoadContext): boolean {
  return (
    draft.fields.path !== '' || refuse(draft, 'path', 'missing', 'missing', 'the name of a service', context)
  );
}

/** `protocol:port`, `port` or `:port` overwrites protocol and port; the host is always the local address. */
function applyExport(draft: EntryDraft, context: LoadContext): boolean {
  const text = draft.text('export') || DEFAULT_EXPORT;
  const colonAt = text.indexOf(':');
  const protocol = (colonAt < 0 ? '' : text.slice(0, colonAt)) || 'motan2';
  const portText = text.slice(colonAt + 1).trim();
  const expected = `protocol:port with ${EXPORT_PROTOCOLS.join(', ')} and a port from 0 to 65535`;
  // motan-go would listen on a random port here, which nobody can have meant.
  if (!/^\d{1,5}$/.test(portText) || Number(portText) > 65_535) {
    return refuse(draft, 'export', 'value', 'the port is not a number', expected, context);
  }
  if (!(EXPORT_PROTOCOLS as readonly string[]).includes(protocol)) {
    return refuse(draft, 'export', 'unknown-name', 'there is no server for this protocol', expected, context);
  }
  draft.derive('protocol', protocol, 'from export');
  draft.derive('host', context.localIp, 'local address');
  draft.port = Number(portText);
  draft.derived.set('port', 'from export');
  return true;
}

function checkProvider(draft: EntryDraft, context: LoadContext): boolean {
  const proxyProtocol = draft.text('proxy').includes(':') ? draft.text('proxy').split(':')[0]! : '';
  const provider = draft.text('provider') || proxyProtocol;
  const expected = `provider: one of ${PROVIDERS.filter((name) => name !== 'default').join(', ')}, or proxy: protocol:port`;
  if (provider === '' || provider === 'default') {
    return refuse(draft, 'provider', 'missing', 'nothing says what serves this service', expected, context);
  }
  const name = draft.text('provider') === '' ? 'proxy' : 'provider';
  if (!(PROVIDERS as readonly string[]).includes(provider))
    return refuse(draft, name, 'unknown-name', 'unknown provider', expected, context);
  if (provider === 'http') warnOfHttpTraps(draft, context);
  return true;
}

/** Every call is answered 404 when rewriting is on, which is the default, and the domain has no location. */
function warnOfHttpTraps(draft: EntryDraft, { tree, problems }: LoadContext): void {
  if (
    draft.text('proxyAddress') === '' ||
    ['false', '0', 'f', 'F', 'FALSE', 'False'].includes(draft.text('enableRewrite'))
  )
    return;
  const locations = tree.get('http-locations');
  const domain = draft.text('domain');
  if (locations?.kind === 'map' && locations.get(domain) !== undefined) return;
  problems.warning({
    code: 'no-locations',
    key: `${draft.key}.enableRewrite`,
    at: draft.at,
    message: `rewriting is on and http-locations has no domain "${domain}": every call gets 404`,
    expected: 'enableRewrite: false for a plain backend, or locations for the domain',
  });
}

function checkHealthCheck(draft: EntryDraft, { problems }: LoadContext): void {
  const check = draft.text('healthCheck');
  if (check === '' || (HEALTH_CHECKS as readonly string[]).includes(check)) return;
  const node = draft.nodeOf('healthCheck');
  problems.error({
    code: 'unknown-name',
    key: `${draft.key}.healthCheck`,
    ...(node === undefined ? { at: draft.at } : { node }),
    message: 'unknown check; the backend is not checked',
    expected: `one of ${HEALTH_CHECKS.join(', ')}`,
    didYouMean: nearestName(check, HEALTH_CHECKS),
  });
}

function readRegistryIds(draft: EntryDraft, agent: AgentParts, context: LoadContext): string[] {
  const ids = registryIdsOf(draft, agent.registries, 'announced', context);
  if (draft.text('registry') === '') {
    context.problems.warning({
      code: 'missing',
      key: `${draft.key}.registry`,
      at: draft.at,
      message: 'no registry: the service is served but announced nowhere',
      expected: 'ids in motan-registry',
    });
  }
  return ids;
}

function derive(
  draft: EntryDraft,
  agent: AgentParts,
  staticMeta: ReadonlyMap<string, string>,
  context: LoadContext,
): void {
  if (draft.text('application') === '')
    draft.derive('application', agent.application, 'application of the agent');
  draft.derive('nodeType', 'service', 'kind of node');
  if (/^(?:1|t|T|true|TRUE|True)$/.test(draft.text('registerMeta'))) {
    for (const [name, value] of staticMeta) draft.derive(name, value, 'environment variable');
  }
  assembleFilters(draft, agent, context);
}

/**
 * Groups in the order of the peers (spec agent 2.7): additional groups are appended, the list is split, the suffix comes last. The first
 * keeps the id, the others get `<id>-0`, `<id>-1`.
 */
function byGroup(
  draft: EntryDraft,
  taken: Set<string>,
  context: LoadContext,
): { id: string; url: MeshUrl }[] {
  const { additionalGroups, serviceGroupSuffix } = context.environment;
  const written = commaList([draft.fields.group, ...additionalGroups].join(','));
  const groups = new Set(
    (written.length === 0 ? [''] : written).map((group) => withSuffix(group, serviceGroupSuffix)),
  );
  if (String([...groups]) !== draft.fields.group)
    draft.derived.set('group', 'split, with additional groups and suffix of the environment');
  const url = draft.toUrl();
  return [...groups].map((group, index) => ({
    id: index === 0 ? draft.id : freeId(draft.id, index - 1, taken),
    url: url.with({ group }),
  }));
}

export function withSuffix(group: string, suffix: string): string {
  return group.endsWith(suffix) ? group : group + suffix;
}

/** motan-go overwrites an entry that already has the id; then one of the two would not be served. */
function freeId(id: string, index: number, taken: Set<string>): string {
  let free = index;
  while (taken.has(`${id}-${free}`)) free += 1;
  taken.add(`${id}-${free}`);
  return `${id}-${free}`;
}
