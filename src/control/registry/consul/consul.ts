/** `consul`: the registry of Motan Java and OpenResty, which motan-go takes and never uses. What its entry may say; the rest is `consul-driver.ts`. */
import { AgentError, type MeshUrl, parseNodeAddress } from '../../../core/index.js';
import { defineRegistry, type RegistryDeps, type RegistryOptions } from '../define-registry.js';
import { ServerRegistry } from '../server/server-registry.js';
import type { ServerAddress } from './consul-api.js';
import { CONSUL_TIMES, ConsulDriver, type ConsulOptions } from './consul-driver.js';

/** As Motan Java has it. */
const DEFAULT_SERVER: ServerAddress = { host: 'localhost', port: 8500 };

const options: RegistryOptions<ConsulOptions> = {
  keys: {
    host: 'host of the only Consul agent; default localhost',
    port: 'port of the only Consul agent; default 8500. With host, address is ignored',
    address: 'comma list of host:port; the first that answers is used, the others stand in for it',
    scheme: 'http or https',
    token: 'ACL token',
    datacenter: 'where nodes are looked for; default that of the agent',
  },
  read(url) {
    const token = url.text('token');
    if (/[^\x21-\x7e]/.test(token))
      throw new AgentError(
        'E_REGISTRY',
        'registry protocol consul: token holds a character that no token has',
      );
    return {
      servers: readServers(url),
      isSecure: readScheme(url) === 'https',
      token,
      datacenter: url.text('datacenter'),
      times: CONSUL_TIMES,
    };
  },
  identity: ({ servers, isSecure, token, datacenter }) =>
    `consul:${JSON.stringify([servers, isSecure, token, datacenter])}`,
};

class ConsulRegistry extends ServerRegistry {
  constructor(id: string, protocol: string, chosen: ConsulOptions, deps: RegistryDeps) {
    const logger = deps.logger.child({ registry: id });
    super(id, protocol, new ConsulDriver(chosen, { ...deps, logger }), deps);
  }
}

export const consul = defineRegistry(options, ConsulRegistry);

function readServers(url: MeshUrl): readonly ServerAddress[] {
  if (url.host !== '' && url.port > 0) return [{ host: url.host, port: url.port }];
  const text = url.text('address');
  const servers: ServerAddress[] = [];
  for (const element of text.split(',')) {
    if (element.trim() === '') continue;
    const server = parseNodeAddress(element);
    if (server === null || server.port === 0)
      throw invalid('address', text, 'host:port, several separated by commas');
    // An address of IPv6 is written in brackets, and dialed without.
    servers.push({ host: server.host.replace(/^\[(.*)\]$/, '$1'), port: server.port });
  }
  if (servers.length > 0) return servers;
  return [{ host: url.host || DEFAULT_SERVER.host, port: url.port || DEFAULT_SERVER.port }];
}

function readScheme(url: MeshUrl): string {
  const scheme = url.text('scheme', 'http').toLowerCase();
  if (scheme !== 'http' && scheme !== 'https') throw invalid('scheme', scheme, 'http or https');
  return scheme;
}

function invalid(key: string, value: string, expected: string): AgentError {
  return new AgentError('E_REGISTRY', `registry protocol consul: ${key} is "${value}", expected ${expected}`);
}
