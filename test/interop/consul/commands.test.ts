/** Commands in a real Consul: its key-value store outlives its restart, and a command what happens meanwhile. */
import assert from 'node:assert/strict';
import type { CommandScope } from '../../../src/core/index.js';
import { consulPeer } from '../../support/consul-server.js';
import { CommandWatch } from '../../support/registry-contract.js';
import { peerTest } from '../support.js';
import { openRegistry, startServer, writeKey } from './scene.js';

const G1: CommandScope = { kind: 'service', group: 'g 1/a+b' };
/** As motan-manager writes it, with the prefix that it shows. */
const KEY = 'motan/command/motanrpc_g%201/a+b';

peerTest(
  'a command outlives a restart of Consul, is followed after it, and goes when Consul is wiped',
  [consulPeer],
  async () => {
    const server = await startServer({ isPersistent: true });
    const { registry } = openRegistry([server.address]);
    await writeKey(server, KEY, 'first');
    const watch = new CommandWatch();
    registry.subscribeCommand(G1, watch);
    await watch.untilText('first');

    await server.restart();
    await writeKey(server, KEY, 'second');
    await watch.untilText('second');
    await server.restart({ isWiped: true });
    await watch.untilText(null);

    assert.deepEqual(watch.texts, ['first', 'second', null]);
    assert.equal(registry.commandPlace(G1), 'motan/command/motanrpc_g 1/a+b');
  },
);
