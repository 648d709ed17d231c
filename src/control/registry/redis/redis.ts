/** `redis`: a registry for those who have Redis already. What its entry may say; the rest is `redis-driver.ts`. */
import { readFileSync } from 'node:fs';
import { AgentError, type MeshUrl, messageOf, parseNodeAddress } from '../../../core/index.js';
import { defineRegistry, type RegistryDeps, type RegistryOptions } from '../define-registry.js';
import { ServerRegistry } from '../server/server-registry.js';
import type { RedisSettings, ServerAddress } from './make-client.js';
import { RedisDriver, type RedisOptions } from './redis-driver.js';

const KEY_PREFIX = 'peony';
const LEASE_S = 15;
/** A pause of the process or of the server must not be taken for its end. */
const LEASE_S_MIN = 3;
/** The set of names outlives every lease. */
const LEASE_S_MAX = 3_600;
const LOOK_EVERY_S = 5;
const LOOK_EVERY_S_MAX = 3_600;

const options: RegistryOptions<RedisOptions> = {
  keys: {
    host: 'host of the only server; needs port',
    port: 'port of the only server; with host, address is ignored',
    address: 'host:port of the server, or of several nodes of a cluster',
    cluster: 'the servers are nodes of a Redis Cluster',
    sentinels: 'comma list of host:port of the Sentinels, instead of the servers; needs masterName',
    masterName: 'how the Sentinels call the master',
    username: 'user of the access control list; needs password',
    password: 'password of the user, or of the server',
    sentinelUsername: 'user at the Sentinels; needs sentinelPassword',
    sentinelPassword: 'password at the Sentinels',
    db: 'number of the database',
    tls: 'whether connections are encrypted',
    tlsCaFile: 'file with the certificates that are trusted, instead of those that Node trusts',
    keyPrefix: 'what keys and channels begin with',
    leaseTime: 'seconds after which Redis takes a node away that was not renewed',
    lookInterval: 'seconds between two looks at a service about which nothing was told',
  },
  read(url) {
    return {
      ...readServers(url),
      ...readCredentials(url),
      tls: readTls(url),
      keyPrefix: readKeyPrefix(url),
      leaseMs: seconds(url, 'leaseTime', LEASE_S, LEASE_S_MIN, LEASE_S_MAX),
      lookEveryMs: seconds(url, 'lookInterval', LOOK_EVERY_S, 1, LOOK_EVERY_S_MAX),
    };
  },
  identity: (chosen) => `redis:${JSON.stringify(chosen)}`,
};

class RedisRegistry extends ServerRegistry {
  constructor(id: string, protocol: string, chosen: RedisOptions, deps: RegistryDeps) {
    super(
      id,
      protocol,
      new RedisDriver(chosen, { ...deps, logger: deps.logger.child({ registry: id }) }),
      deps,
    );
  }
}

export const redis = defineRegistry(options, RedisRegistry);

function readServers(url: MeshUrl): Pick<RedisSettings, 'kind' | 'servers' | 'masterName' | 'db'> {
  const masterName = url.text('masterName');
  const sentinels = url.text('sentinels');
  const isCluster = url.bool('cluster', false);
  const db = url.int('db', 0);
  if (url.text('db') !== '' && (db < 0 || String(db) !== url.text('db')))
    throw invalid('db', url.text('db'), 'a number from 0');
  if (sentinels !== '' || masterName !== '') {
    if (masterName === '')
      throw new AgentError('E_REGISTRY', 'registry protocol redis: sentinels without masterName');
    if (isCluster) throw invalid('cluster', 'true', 'a cluster, or sentinels and masterName');
    return { kind: 'sentinel', servers: addressesOf('sentinels', sentinels), masterName, db };
  }
  const hasServer = url.host !== '' && url.port > 0;
  const servers = hasServer
    ? [{ host: url.host, port: url.port }]
    : addressesOf('address', url.text('address'));
  if (isCluster && db !== 0) throw invalid('db', String(db), '0, the only one that a cluster has');
  if (!isCluster && servers.length > 1)
    throw invalid(
      'address',
      url.text('address'),
      'one server, or `cluster: true`, or sentinels and masterName',
    );
  return { kind: isCluster ? 'cluster' : 'single', servers, masterName: '', db };
}

function addressesOf(key: string, text: string): ServerAddress[] {
  const servers: ServerAddress[] = [];
  for (const element of text.split(',')) {
    if (element.trim() === '') continue;
    const server = parseNodeAddress(element);
    if (server === null || server.port === 0)
      throw invalid(key, text, 'host:port, several separated by commas');
    // An address of IPv6 is written in brackets, and dialed without.
    servers.push({ host: server.host.replace(/^\[(.*)\]$/, '$1'), port: server.port });
  }
  if (servers.length === 0)
    throw invalid(key, text, key === 'address' ? 'host:port, or host and port' : 'host:port');
  return servers;
}

function readCredentials(
  url: MeshUrl,
): Pick<RedisSettings, 'username' | 'password' | 'sentinelUsername' | 'sentinelPassword'> {
  const [username, password] = [url.text('username'), url.text('password')];
  const [sentinelUsername, sentinelPassword] = [url.text('sentinelUsername'), url.text('sentinelPassword')];
  if (username !== '' && password === '')
    throw new AgentError('E_REGISTRY', 'registry protocol redis: username without password');
  if (sentinelUsername !== '' && sentinelPassword === '')
    throw new AgentError('E_REGISTRY', 'registry protocol redis: sentinelUsername without sentinelPassword');
  return { username, password, sentinelUsername, sentinelPassword };
}

function readTls(url: MeshUrl): RedisSettings['tls'] {
  const file = url.text('tlsCaFile');
  if (!url.bool('tls', false)) {
    if (file !== '') throw invalid('tlsCaFile', file, '`tls: true` beside it');
    return null;
  }
  if (file === '') return { ca: null };
  try {
    return { ca: readFileSync(file, 'utf8') };
  } catch (error) {
    throw invalid('tlsCaFile', file, `a file that can be read (${messageOf(error)})`);
  }
}

function readKeyPrefix(url: MeshUrl): string {
  const prefix = url.text('keyPrefix', KEY_PREFIX) || KEY_PREFIX;
  // Braces would decide the slot in a cluster.
  if (/^[\w.:-]{1,100}$/.test(prefix)) return prefix;
  throw invalid('keyPrefix', prefix, 'letters, digits, "_", ".", ":" and "-"');
}

function seconds(url: MeshUrl, key: string, otherwise: number, min: number, max: number): number {
  const text = url.text(key);
  const value = url.int(key, text === '' ? otherwise : -1);
  if (value < min || value > max) throw invalid(key, text, `seconds from ${min} to ${max}`);
  return value * 1000;
}

function invalid(key: string, value: string, expected: string): AgentError {
  return new AgentError('E_REGISTRY', `registry protocol redis: ${key} is "${value}", expected ${expected}`);
}
