/**
 * A url as programs post it (spec agent 3.2, 7.3), checked and made ready: one url for each group, with registry, filter, backend
 * and export in the words of a configuration entry.
 */
import {
  AgentError,
  type EntryReader,
  MeshUrl,
  type RegistrationKind,
  type RegistryConfig,
} from '../../core/index.js';
import { findRegistries } from './find-registry.js';

export interface PostedRules {
  readonly entries: EntryReader;
  readonly registries: ReadonlyMap<string, RegistryConfig>;
  /** `eport`. */
  readonly exportPort: number;
  readonly localIp: string;
}

export interface PostedUrl {
  /** Not empty; each with one group. */
  readonly urls: readonly MeshUrl[];
  readonly registryIds: readonly string[];
  /** Parameter `ttl`; null without one. */
  readonly ttlSeconds: number | null;
}

const NAME_CHARACTERS_MAX = 512;
const VALUE_CHARACTERS_MAX = 16 * 1024;
const PARAMETERS_MAX = 512;
const GROUPS_MAX = 64;
export const TTL_SECONDS_MAX = 86_400;

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i;
/** Parameters that name a host to which calls are carried. */
const BACKEND_HOSTS = ['proxy.host', 'proxyAddress', 'CGI_HOST', 'URL_FORMAT'] as const;

/**
 * Throws AgentError `E_URL`, `E_REGISTRATION` or `E_REGISTRY_NOT_FOUND`.
 * @param isNew false when it is to be removed: then its backend is not looked at
 */
export function readPosted(
  kind: RegistrationKind,
  posted: unknown,
  rules: PostedRules,
  isNew: boolean,
): PostedUrl {
  const url = MeshUrl.fromJson(posted);
  checkTexts(url);
  const groups = rules.entries.groups(url.group);
  if (url.group.trim() === '')
    throw refused('group', 'no group, neither at the top nor in parameters: nobody could find it');
  if (groups.length > GROUPS_MAX) throw refused('group', `over ${GROUPS_MAX} groups`);
  if (url.path === '') throw refused('path', 'missing; expected the name of a service');
  if (url.protocol === '') throw refused('protocol', 'missing; expected motan2 or motan');
  for (const name of [...groups, url.path]) checkPathText(name);
  if (kind === 'service' && isNew) checkBackend(url, rules);
  const ttlSeconds = ttlOf(url);
  const registryIds = findRegistries(url, rules.registries);
  const parameters = new Map(url.parameters);
  parameters.delete('ttl');
  parameters.set('registry', registryIds.join(','));
  const filter = parameters.get('filter');
  if (filter !== undefined) parameters.set('filter', agentFilters(filter));
  if (kind === 'service') {
    parameters.set('proxy', `${url.protocol}:${url.port}`);
    parameters.set('export', `${url.protocol}:${rules.exportPort}`);
    // Sockets are made where the configuration says, not where a program does.
    parameters.delete('unixSock');
  }
  const ready = url.with({ parameters });
  return { urls: groups.map((group) => ready.with({ group })), registryIds, ttlSeconds };
}

export function checkTtl(seconds: number): number {
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= TTL_SECONDS_MAX) return seconds;
  throw refused('ttl', `expected seconds from 1 to ${TTL_SECONDS_MAX}`);
}

/** Java's own filters stay at home: with names of prefix `af_`, only those are for the agent. */
function agentFilters(text: string): string {
  const names = text.split(',').map((name) => name.trim());
  const own = names.filter((name) => name.startsWith('af_')).map((name) => name.slice(3));
  return own.length === 0 ? text : own.join(',');
}

function ttlOf(url: MeshUrl): number | null {
  const text = url.text('ttl').trim();
  return text === '' ? null : checkTtl(/^\d{1,6}$/.test(text) ? Number(text) : Number.NaN);
}

function checkTexts(url: MeshUrl): void {
  for (const name of ['protocol', 'host', 'path', 'group'] as const)
    checkText(name, url[name], NAME_CHARACTERS_MAX * (name === 'group' ? GROUPS_MAX : 1));
  if (url.parameters.size > PARAMETERS_MAX) throw refused('parameters', `over ${PARAMETERS_MAX}`);
  for (const [name, value] of url.parameters) {
    checkText('name of a parameter', name, NAME_CHARACTERS_MAX);
    checkText(name, value, VALUE_CHARACTERS_MAX);
  }
}

function checkText(name: string, text: string, charactersMax: number): void {
  if (text.length > charactersMax) throw refused(name, `over ${charactersMax} characters`);
  // They would end a line of a log, of metadata or of a registry's protocol.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[\u0000-\u001f\u007f\u2028\u2029]|\p{Surrogate}/u.test(text))
    throw refused(name, 'has a control character or half a surrogate pair');
}

/** Group and path are parts of paths in registries, and of a url that is written unescaped. */
function checkPathText(text: string): void {
  if (text.length > NAME_CHARACTERS_MAX) throw refused('group', `over ${NAME_CHARACTERS_MAX} characters`);
  if (/[\s/?&#=%\\]/.test(text) || text === '.' || text === '..')
    throw refused('group or path', `${JSON.stringify(text)} has a character that no registry can carry`);
}

/** A registration offers what runs beside the agent: nobody gets the agent to call another machine this way. */
function checkBackend(url: MeshUrl, { exportPort, localIp }: PostedRules): void {
  if (!Number.isInteger(url.port) || url.port < 1 || url.port > 65_535)
    throw refused('port', `${url.port}; expected the port on which the service listens, 1 to 65535`);
  if (url.port === exportPort) throw refused('port', `${url.port} is the export port of the agent itself`);
  for (const name of BACKEND_HOSTS) {
    const value = url.text(name).trim();
    const host = hostOf(value);
    if (value === '' || value.startsWith('unix://') || host === localIp || LOOPBACK.test(host)) continue;
    throw refused(name, 'names another machine; a registered service runs on this one');
  }
}

function hostOf(text: string): string {
  const authority = text.replace(/^[a-z]+:\/\//i, '').replace(/[/?#].*$/, '');
  return authority.replace(/^.*@/, '').replace(/:\d*$/, '');
}

function refused(name: string, what: string): AgentError {
  return new AgentError('E_REGISTRATION', `${name}: ${what}`);
}
