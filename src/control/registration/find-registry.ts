/**
 * Which configured registry a posted url means (spec agent 7.3 step 2). Programs name it in many ways:
 *
 *   proxyRegistry           id; protocol://host:port of the registry, or of any of its servers; Java's name of it, which is an id
 *   proxyRegistryUrlString  Java's url of the registry, escaped
 *   meshRegistryName        id
 *   registry                ids, as in the configuration
 *
 * `zk` is zookeeper. `zookeeper://:0` is how motan-go prints, and is asked for, a registry that is configured by `address`.
 */
import { AgentError, MeshUrl, type RegistryConfig, redactText } from '../../core/index.js';

const ALIASES: ReadonlyMap<string, string> = new Map([['zk', 'zookeeper']]);
const SHOWN_MAX = 10;

type Registries = ReadonlyMap<string, RegistryConfig>;

/** Ids of the registries. Throws AgentError `E_REGISTRY_NOT_FOUND`, which begins with the words of motan-go. */
export function findRegistries(url: MeshUrl, registries: Registries): readonly string[] {
  const proxyRegistry = url.text('proxyRegistry').trim();
  const urlString = decoded(url.text('proxyRegistryUrlString').trim());
  const found =
    byName(proxyRegistry, registries) ??
    byUrl(proxyRegistry, registries) ??
    byUrl(urlString, registries) ??
    byName(url.text('meshRegistryName').trim(), registries) ??
    byName(url.text('registry').trim(), registries);
  if (found !== null) return found;
  const asked = [proxyRegistry, urlString, url.text('meshRegistryName'), url.text('registry')].find(
    (text) => text !== '',
  );
  throw new AgentError('E_REGISTRY_NOT_FOUND', `registry not found${askedText(asked)}; ${there(registries)}`);
}

/** `host:port` of every server of a registry. */
export function addressesOf({ url }: RegistryConfig): readonly string[] {
  if (url.host !== '' && url.port !== 0) return [url.address];
  return [...pieces(url.text('address')), ...pieces(url.text('sentinels'))].map((address) =>
    address.replace(/\/.*$/, ''),
  );
}

/** Several ids separated by commas count when each is one. */
function byName(text: string, registries: Registries): readonly string[] | null {
  if (text === '') return null;
  if (registries.has(text)) return [text];
  const ids = [...new Set(pieces(text))];
  return ids.length > 0 && ids.every((id) => registries.has(id)) ? ids : null;
}

function byUrl(text: string, registries: Registries): readonly string[] | null {
  if (!text.includes('://')) return null;
  const url = MeshUrl.parse(text);
  const protocol = ALIASES.get(url.protocol) ?? url.protocol;
  const candidates = [...registries.values()].filter((one) => one.url.protocol === protocol);
  const authority = text.slice(text.indexOf('://') + 3).replace(/[/?].*$/, '');
  const asked = new Set([
    ...pieces(authority),
    ...pieces(url.text('address')),
    ...pieces(url.text('backup')),
  ]);
  const exact = candidates.find((one) => addressesOf(one).some((address) => asked.has(address)));
  if (exact !== undefined) return [exact.id];
  if (authority !== '' && authority !== ':0') return null;
  // The first of several: motan-go makes one registry of all that are configured by address.
  const nameless = candidates.find((one) => one.url.host === '' || one.url.port === 0);
  return nameless === undefined ? null : [nameless.id];
}

function pieces(text: string): string[] {
  return text
    .split(',')
    .map((piece) => piece.trim())
    .filter((piece) => piece !== '');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text; // it was not escaped
    throw error;
  }
}

function askedText(asked: string | undefined): string {
  return asked === undefined
    ? ': none is named (proxyRegistry, proxyRegistryUrlString or registry)'
    : `: ${redactText(asked.slice(0, 200))}`;
}

function there(registries: Registries): string {
  if (registries.size === 0) return 'none is configured';
  const shown = [...registries.values()].slice(0, SHOWN_MAX).map((one) => {
    const addresses = addressesOf(one);
    const at = addresses.length === 0 ? '' : ` (${one.url.protocol}://${addresses.join(',')})`;
    return `${one.id}${at}`;
  });
  const more = registries.size > SHOWN_MAX ? ` and ${registries.size - SHOWN_MAX} more` : '';
  return `there are ${redactText(shown.join(', '))}${more}`;
}
