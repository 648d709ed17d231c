/** `mesh`: the dynamic API of another agent on this machine as a registry (spec agent 6.10). What its entry may say; the rest is `mesh-driver.ts`. */
import { AgentError, type MeshUrl, parseNodeAddress } from '../../../core/index.js';
import { defineRegistry, type RegistryDeps, type RegistryOptions } from '../define-registry.js';
import { ServerRegistry } from '../server/server-registry.js';
import { MESH_TIMES, MeshDriver, type MeshOptions } from './mesh-driver.js';

/** As motan-go has it. */
const DEFAULT_HOST = 'localhost';
const DEFAULT_PORT = 8002;

const options: RegistryOptions<MeshOptions> = {
  keys: {
    host: 'where the other agent is; default localhost',
    port: 'its management port; default 8002',
    address: 'host:port, instead of host and port',
    proxyRegistry: 'which registry of the other agent: protocol://host:port, or an id where it takes one',
  },
  read(url) {
    const proxyRegistry = url.text('proxyRegistry');
    if (proxyRegistry === '')
      throw new AgentError(
        'E_REGISTRY',
        'registry protocol mesh: proxyRegistry is missing, expected a registry of the other agent',
      );
    return { ...readServer(url), proxyRegistry, times: MESH_TIMES };
  },
  identity: ({ host, port, proxyRegistry }) => `mesh:${JSON.stringify([host, port, proxyRegistry])}`,
};

class MeshRegistry extends ServerRegistry {
  constructor(id: string, protocol: string, chosen: MeshOptions, deps: RegistryDeps) {
    const logger = deps.logger.child({ registry: id });
    super(id, protocol, new MeshDriver(chosen, { ...deps, logger }), deps);
  }
}

export const mesh = defineRegistry(options, MeshRegistry);

function readServer(url: MeshUrl): { host: string; port: number } {
  const text = url.text('address').trim();
  if (text === '' || (url.host !== '' && url.port > 0))
    return { host: url.host || DEFAULT_HOST, port: url.port || DEFAULT_PORT };
  const server = parseNodeAddress(text);
  if (server === null || server.port === 0 || text.includes(','))
    throw new AgentError(
      'E_REGISTRY',
      `registry protocol mesh: address is "${text}", expected one host:port, the management port of the other agent`,
    );
  // An address of IPv6 is written in brackets, and dialed without.
  return { host: server.host.replace(/^\[(.*)\]$/, '$1'), port: server.port };
}
