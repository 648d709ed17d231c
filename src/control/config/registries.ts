/** Section `motan-registry` (spec agent 2.9), and the check of ids that name its entries. */
import type { RegistryConfig } from '../../core/index.js';
import type { LoadContext } from './context.js';
import { type EntryDraft, readEntries } from './entry.js';
import { commaList, isAddress } from './environment.js';
import { REGISTRY_KEYS } from './keys.js';
import { REGISTRY_ALIASES } from './names.js';
import { nearestName } from './near.js';
import { placeOf } from './node.js';

const SECTION = 'motan-registry';

export function readRegistries(
  context: LoadContext,
  runtimeDir: string,
): ReadonlyMap<string, RegistryConfig> {
  const { tree, problems, provenance } = context;
  const kind = { section: SECTION, table: REGISTRY_KEYS, basicKey: '', basics: new Map() };
  const registries = new Map<string, RegistryConfig>();
  for (const draft of readEntries(tree, kind, problems)) {
    const alias = REGISTRY_ALIASES.get(draft.fields.protocol);
    if (alias !== undefined) draft.derive('protocol', alias, `another name of ${alias}`);
    if (!checkProtocol(draft, context) || !checkAddresses(draft, context)) continue;
    if (draft.fields.protocol === 'file' && draft.fields.path === '') {
      draft.derive('path', `${runtimeDir}/registry`, 'default of the file registry');
    }
    const url = draft.toUrl();
    registries.set(draft.id, Object.freeze({ id: draft.id, url, place: placeOf(draft.at) }));
    provenance.addEntry(draft, draft.id, url);
  }
  return registries;
}

function checkProtocol(draft: EntryDraft, { names, built, problems }: LoadContext): boolean {
  const { protocol } = draft.fields;
  const node = draft.nodeOf('protocol');
  const about = { key: `${draft.key}.protocol`, ...(node === undefined ? { at: draft.at } : { node }) };
  const expected = `one of ${names.registries.join(', ')}`;
  if (protocol === '') {
    problems.error({
      ...about,
      code: 'missing',
      message: 'missing; the registry is left out',
      expected,
      entry: draft.key,
    });
    return false;
  }
  if (!names.registries.includes(protocol)) {
    const didYouMean = nearestName(protocol, names.registries);
    problems.error({
      ...about,
      code: 'unknown-name',
      message: 'unknown registry protocol; the registry is left out',
      expected,
      didYouMean,
      entry: draft.key,
    });
    return false;
  }
  if (built.registries !== undefined && !built.registries.includes(protocol)) {
    problems.warning({
      ...about,
      code: 'not-built',
      message: 'this version does not talk to this registry yet: it finds and announces nothing',
      expected: `one of ${built.registries.join(', ')}`,
    });
  }
  return true;
}

function checkAddresses(draft: EntryDraft, { problems }: LoadContext): boolean {
  const { protocol, host } = draft.fields;
  const addressKey = protocol === 'redis' && draft.text('sentinels') !== '' ? 'sentinels' : 'address';
  const node = draft.nodeOf(addressKey);
  const addresses = commaList(draft.text(addressKey));
  const about = { key: `${draft.key}.${addressKey}`, ...(node === undefined ? { at: draft.at } : { node }) };
  if (protocol === 'mesh' && draft.text('proxyRegistry') === '') {
    problems.error({
      key: `${draft.key}.proxyRegistry`,
      at: draft.at,
      code: 'missing',
      message: 'missing; the registry is left out',
      expected: 'the id of a registry of the other agent',
      entry: draft.key,
    });
    return false;
  }
  const hasServer = host !== '' && draft.port !== 0;
  if (hasServer && addresses.length > 0) {
    problems.warning({ ...about, code: 'no-effect', message: 'ignored, because host and port are set' });
  }
  for (const [index, address] of (hasServer ? [] : addresses).entries()) {
    // As in a connect string of ZooKeeper: the last one has the chroot.
    const hasChroot = protocol === 'zookeeper' && index === addresses.length - 1;
    if (isAddress(hasChroot ? address.replace(/\/.*$/, '') : address)) continue;
    problems.error({
      ...about,
      code: 'address',
      value: address,
      message: 'not an address; the registry is left out',
      expected: protocol === 'direct' ? 'host:port or unix://path' : 'host:port',
      entry: draft.key,
    });
    return false;
  }
  if (['direct', 'zookeeper', 'redis'].includes(protocol) && !hasServer && addresses.length === 0) {
    problems.warning({
      ...about,
      code: 'missing',
      message: `this ${protocol} registry names no server and has no nodes`,
      expected: 'host and port, or address',
    });
  }
  return true;
}

/** What happens to an entry without a usable registry: it is left out, it is served unannounced, or its nodes come from elsewhere. */
export type RegistryNeed = 'required' | 'announced' | 'bypassed';

/** The usable registry ids of an entry; others are reported. */
export function registryIdsOf(
  draft: EntryDraft,
  registries: ReadonlyMap<string, RegistryConfig>,
  need: RegistryNeed,
  context: LoadContext,
): string[] {
  const ids = commaList(draft.text('registry'));
  const known = ids.filter((id) => registries.has(id));
  const node = draft.nodeOf('registry');
  for (const id of ids) {
    if (registries.has(id)) continue;
    const written = context.tree.get(SECTION);
    const isQuarantined = written?.kind === 'map' && written.entries.has(id);
    const isLost = known.length === 0 && need === 'required';
    const consequence = isLost
      ? 'the entry is left out'
      : known.length > 0
        ? 'the others are used'
        : 'the entry works without it';
    const report = need === 'bypassed' ? 'warning' : 'error';
    context.problems[report]({
      code: 'unknown-registry',
      key: `${draft.key}.registry`,
      ...(node === undefined ? { at: draft.at } : { node }),
      value: id,
      message: `${isQuarantined ? 'this registry is itself left out' : 'no such registry'}; ${consequence}`,
      expected:
        registries.size === 0
          ? `an id in ${SECTION}`
          : `one of ${[...registries.keys()].slice(0, 10).join(', ')}`,
      didYouMean: nearestName(id, registries.keys()),
      entry: isLost ? draft.key : null,
    });
  }
  return known;
}
