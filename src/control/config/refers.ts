/**
 * Sections `motan-refer` and `http-client`: what is used through the agent (spec agent 2.10, 2.12). A broken entry is reported
 * and left out, the others load.
 */
import type { HttpClientConfig, ReferConfig } from '../../core/index.js';
import { type AgentParts, checkName, type LoadContext } from './context.js';
import { type Basics, type EntryDraft, readEntries } from './entry.js';
import { commaList, directRuleFor } from './environment.js';
import { assembleFilters } from './filters.js';
import { HTTP_CLIENT_KEYS, REFER_KEYS } from './keys.js';
import { JAVA_HA_STRATEGIES, JAVA_LOAD_BALANCERS } from './names.js';
import { nearestName } from './near.js';
import { placeOf } from './node.js';
import { warnOfMixedGroups } from './not-built.js';
import { registryIdsOf } from './registries.js';

export function readRefers(context: LoadContext, agent: AgentParts, basics: Basics): ReferConfig[] {
  const kind = { section: 'motan-refer', table: REFER_KEYS, basicKey: 'basicRefer', basics };
  const refers: ReferConfig[] = [];
  for (const draft of readEntries(context.tree, kind, context.problems)) {
    const ids = readRefer(draft, agent, context);
    if (ids === null) continue;
    warnOfMixedGroups(draft, context);
    const url = draft.toUrl();
    refers.push(Object.freeze({ id: draft.id, url, registryIds: ids, place: placeOf(draft.at) }));
    context.provenance.addEntry(draft, draft.id, url);
  }
  return withSuffixedGroups(refers, context);
}

/** Checks and completes one refer: the registry ids, or null when it is of no use. */
export function readRefer(draft: EntryDraft, agent: AgentParts, context: LoadContext): string[] | null {
  if (draft.fields.protocol === 'motanV1Compatible')
    draft.derive('protocol', 'motan', 'motanV1Compatible means motan');
  const hasPath = requireField(draft, 'path', 'the name of a service', context);
  const protocols = `one of ${context.names.protocols.join(', ')}`;
  const hasProtocol = requireField(draft, 'protocol', protocols, context);
  const ids = readCommon(draft, agent, context);
  return hasPath && hasProtocol ? ids : null;
}

export function readHttpClients(context: LoadContext, agent: AgentParts, basics: Basics): HttpClientConfig[] {
  const kind = { section: 'http-client', table: HTTP_CLIENT_KEYS, basicKey: 'basicRefer', basics };
  const clients: HttpClientConfig[] = [];
  for (const draft of readEntries(context.tree, kind, context.problems)) {
    if (draft.fields.protocol === '') draft.derive('protocol', 'motan2', 'default');
    const domain = draft.text('domain');
    if (domain === '') missing(draft, 'domain', 'the domain that is served', context);
    const ids = readCommon(draft, agent, context);
    if (ids === null || domain === '') continue;
    if (ids.length > 1) {
      const node = draft.nodeOf('registry');
      context.problems.warning({
        code: 'no-effect',
        key: `${draft.key}.registry`,
        ...(node === undefined ? {} : { node }),
        message: `an http-client has one registry; "${ids[0]}" is used`,
      });
    }
    const url = draft.toUrl();
    const preload = commaList(draft.text('preload'));
    clients.push(
      Object.freeze({
        id: draft.id,
        domain,
        preload,
        url,
        registryIds: ids.slice(0, 1),
        place: placeOf(draft.at),
      }),
    );
    context.provenance.addEntry(draft, draft.id, url);
  }
  return clients;
}

/** Names, registries, filters and defaults of refers and http-clients: the registry ids, or null when the entry is quarantined. */
function readCommon(draft: EntryDraft, agent: AgentParts, context: LoadContext): string[] | null {
  replaceJavaNames(draft, context);
  const { names, built, problems } = context;
  const checks = [
    checkName(
      draft,
      {
        key: 'protocol',
        what: 'endpoint protocol',
        legal: names.protocols,
        built: built.protocols,
        fallback: null,
      },
      problems,
    ),
    checkName(
      draft,
      {
        key: 'loadbalance',
        what: 'load balancer',
        legal: names.loadBalancers,
        built: built.loadBalancers,
        fallback: 'random',
      },
      problems,
    ),
    checkName(
      draft,
      {
        key: 'haStrategy',
        what: 'high-availability strategy',
        legal: names.haStrategies,
        built: built.haStrategies,
        fallback: 'failover',
      },
      problems,
    ),
  ];
  // A refer that MESH_DIRECT_RPC gives nodes to needs no registry.
  const needsRegistry = directRuleFor(draft.fields.path, context.environment.directRpc) === null;
  const ids = registryIdsOf(draft, agent.registries, needsRegistry ? 'required' : 'bypassed', context);
  const isWithout = draft.text('registry') === '' && needsRegistry;
  if (isWithout) missing(draft, 'registry', 'ids in motan-registry', context);
  if (checks.includes(false) || (ids.length === 0 && needsRegistry)) return null;
  warnOfUnknownPriorities(draft, ids, context);
  if (draft.text('application') === '')
    draft.derive('application', agent.application, 'application of the agent');
  assembleFilters(draft, agent, context);
  return ids;
}

/** A slip of the pen would put a registry last without a word. */
function warnOfUnknownPriorities(draft: EntryDraft, ids: readonly string[], { problems }: LoadContext): void {
  const node = draft.nodeOf('registryPriority');
  const named = draft
    .text('registryPriority')
    .split(/[>,]/)
    .map((id) => id.trim());
  for (const id of named) {
    if (id === '' || ids.includes(id)) continue;
    problems.warning({
      code: 'no-effect',
      key: `${draft.key}.registryPriority`,
      ...(node === undefined ? {} : { node }),
      message: `"${id}" is not among the registries of the entry, and is passed over`,
      expected: `${ids.join(' > ')}, or another order`,
      didYouMean: nearestName(id, ids),
    });
  }
}

function requireField(
  draft: EntryDraft,
  field: 'path' | 'protocol',
  expected: string,
  context: LoadContext,
): boolean {
  if (draft.fields[field] !== '') return true;
  missing(draft, field, expected, context);
  return false;
}

function missing(draft: EntryDraft, name: string, expected: string, context: LoadContext): void {
  context.problems.error({
    code: 'missing',
    key: `${draft.key}.${name}`,
    at: draft.at,
    message: 'missing; the entry is left out',
    expected,
    entry: draft.key,
  });
}

/** Names of Motan Java become their nearest equivalent instead of a cluster that never works. */
function replaceJavaNames(draft: EntryDraft, context: LoadContext): void {
  for (const [key, aliases, legal] of [
    ['loadbalance', JAVA_LOAD_BALANCERS, context.names.loadBalancers],
    ['haStrategy', JAVA_HA_STRATEGIES, context.names.haStrategies],
  ] as const) {
    const name = draft.text(key);
    const alias = aliases.get(name);
    if (alias === undefined || legal.includes(name)) continue;
    const node = draft.nodeOf(key);
    context.problems.warning({
      code: 'java-name',
      key: `${draft.key}.${key}`,
      ...(node === undefined ? {} : { node }),
      message: `a name of Motan Java; "${alias}" is used${name === 'failfast' ? ' without retries' : ''}`,
      expected: `one of ${legal.join(', ')}`,
    });
    draft.derive(key, alias, `"${name}" of Motan Java`);
    if (name !== 'failfast') continue;
    for (const parameter of [...draft.parameters.keys(), 'retries']) {
      if (parameter === 'retries' || parameter.endsWith(').retries'))
        draft.derive(parameter, '0', 'failfast does not retry');
    }
  }
}

/** `MESH_MULTI_SUB_GROUP_SUFFIX`: every refer a second time with the suffixed group, unless that exists (spec agent 2.7). */
function withSuffixedGroups(refers: ReferConfig[], context: LoadContext): ReferConfig[] {
  const suffix = context.environment.referGroupSuffix;
  if (suffix === '') return refers;
  const identities = new Set(refers.map((refer) => refer.url.identity));
  const all = [...refers];
  for (const refer of refers) {
    if (refer.url.group.endsWith(suffix)) continue;
    const url = refer.url.with({ group: refer.url.group + suffix });
    if (identities.has(url.identity)) continue;
    identities.add(url.identity);
    const id = `auto_${refer.id}${url.group}`;
    all.push(Object.freeze({ ...refer, id, url }));
    context.provenance.addCopy(
      `motan-refer.${id}`,
      `motan-refer.${refer.id}`,
      url,
      'MESH_MULTI_SUB_GROUP_SUFFIX',
    );
  }
  return all;
}
