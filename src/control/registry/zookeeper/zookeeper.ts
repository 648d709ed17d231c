/** `zookeeper`, also called `zk`: the registry of motan-go and Motan Java. What its entry may say; the rest is `zookeeper-driver.ts`. */
import { AgentError, type MeshUrl, parseNodeAddress } from '../../../core/index.js';
import { defineRegistry, type RegistryDeps, type RegistryOptions } from '../define-registry.js';
import { ServerRegistry } from '../server/server-registry.js';
import type { ServerAddress } from './connection.js';
import { toChroot } from './node-paths.js';
import { ZooKeeperDriver, type ZooKeeperOptions } from './zookeeper-driver.js';

/** As motan-go asks for. The servers cap it, by default at 40 s. */
const SESSION_TIMEOUT_S = 1_000;
/** Milliseconds travel as a 32-bit number. */
const SESSION_TIMEOUT_S_MAX = 2_147_483;

const options: RegistryOptions<ZooKeeperOptions> = {
  keys: {
    host: 'host of the only server; needs port',
    port: 'port of the only server; with host, address is ignored',
    address: 'comma list of host:port, the last one with /chroot if there is one',
    path: 'chroot: the node below which everything stands',
    registrySessionTimeout: 'seconds after which the servers give up a process that is silent; they cap it',
    username: 'user of the scheme digest; needs password',
    password: 'password of that user',
  },
  read(url) {
    const { servers, suffix } = readServers(url);
    const timeoutS = Math.min(
      url.positiveInt('registrySessionTimeout', SESSION_TIMEOUT_S),
      SESSION_TIMEOUT_S_MAX,
    );
    return {
      servers,
      chroot: toChroot(suffix || url.path || url.text('path')),
      sessionTimeoutMs: timeoutS * 1000,
      digest: readDigest(url),
    };
  },
  identity: ({ servers, chroot, sessionTimeoutMs, digest }) =>
    `zookeeper:${JSON.stringify([servers, chroot, sessionTimeoutMs, digest])}`,
};

class ZooKeeperRegistry extends ServerRegistry {
  constructor(id: string, protocol: string, chosen: ZooKeeperOptions, deps: RegistryDeps) {
    const logger = deps.logger.child({ registry: id });
    const driver = new ZooKeeperDriver(chosen, { ...deps, logger, localIp: deps.localIp ?? '' });
    super(id, protocol, driver, deps);
  }
}

export const zookeeper = defineRegistry(options, ZooKeeperRegistry);

function readServers(url: MeshUrl): { servers: readonly ServerAddress[]; suffix: string } {
  if (url.host !== '' && url.port > 0) return { servers: [{ host: url.host, port: url.port }], suffix: '' };
  const text = url.text('address');
  // As in a connect string of ZooKeeper: the chroot stands once, at the end.
  const slashAt = text.indexOf('/');
  const list = slashAt < 0 ? text : text.slice(0, slashAt);
  const servers: ServerAddress[] = [];
  for (const element of list.split(',')) {
    if (element.trim() === '') continue;
    const server = parseNodeAddress(element);
    if (server === null || server.port === 0)
      throw invalid('address', text, 'host:port, several separated by commas, then /chroot');
    // An address of IPv6 is written in brackets, and dialed without.
    servers.push({ host: server.host.replace(/^\[(.*)\]$/, '$1'), port: server.port });
  }
  if (servers.length === 0) throw invalid('address', text, 'host:port, or host and port');
  return { servers, suffix: slashAt < 0 ? '' : text.slice(slashAt) };
}

function readDigest(url: MeshUrl): string | null {
  const username = url.text('username');
  const password = url.text('password');
  if (username === '' && password === '') return null;
  if (username === '' || username.includes(':')) throw invalid('username', username, 'a name without ":"');
  if (password === '')
    throw new AgentError('E_REGISTRY', 'registry protocol zookeeper: username without password');
  return `${username}:${password}`;
}

function invalid(key: string, value: string, expected: string): AgentError {
  return new AgentError(
    'E_REGISTRY',
    `registry protocol zookeeper: ${key} is "${value}", expected ${expected}`,
  );
}
