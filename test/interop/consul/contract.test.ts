/** The registry contract on a real Consul; every test has groups of its own. */
import test from 'node:test';
import { consul } from '../../../src/control/registry/consul/consul.js';
import { MeshUrl, silentLogger } from '../../../src/core/index.js';
import { consulPeer } from '../../support/consul-server.js';
import { peerOrSkip } from '../../support/peers.js';
import { registryContract } from '../../support/registry-contract.js';
import { realClock } from '../../support/registry-deps.js';
import { shared } from '../support.js';
import { addEntry, startServer, writeKey } from './scene.js';

const { name, available, hint } = consulPeer;

if (available) {
  const place = shared(() => startServer());
  let harnesses = 0;
  registryContract('consul', { announces: true }, async () => {
    const server = await place();
    harnesses += 1;
    const group = `contract-${harnesses}`;
    const url = MeshUrl.parse(`consul://:0/?address=${server.address}`);
    const deps = { clock: realClock, logger: silentLogger, random: Math.random, defaultDirectory: '' };
    return {
      open: () => consul.create('r1', url, deps),
      refer: (service) => new MeshUrl({ protocol: 'motan2', path: service, group }),
      addMalformed: (refer) =>
        addEntry(server, `rubbish-${group}`, ['URL_%zz'], { Name: `motanrpc_${refer.group}` }),
      writeCommand: (scope, text) =>
        writeKey(
          server,
          `motan/command/${scope.kind === 'service' ? `motanrpc_${scope.group}` : `agent/${scope.application}`}`,
          text,
        ),
      close: async () => {},
    };
  });
} else {
  test('consul registry fulfils the contract', (t) => void peerOrSkip(t, name, available, hint));
}
