/** Commands in a real Redis, written as people write them: without a message, of any kind and length. */
import assert from 'node:assert/strict';
import { COMMAND_BYTES_MAX, type CommandScope } from '../../../src/core/index.js';
import { redisPeer } from '../../support/redis-server.js';
import { CommandWatch } from '../../support/registry-contract.js';
import { peerTest } from '../support.js';
import { clientOf, on, openRegistry, startServer } from './scene.js';

const G1: CommandScope = { kind: 'service', group: 'g1' };
const KEY = 'peony:{g1}:command';

peerTest(
  'a command is found without a message, and what is none is told and takes nothing away',
  [redisPeer],
  async () => {
    const server = await startServer();
    const client = clientOf(server);
    const { registry } = openRegistry(on(server));
    const watch = new CommandWatch();
    registry.subscribeCommand(G1, watch);
    await watch.untilText(null);

    await client.set(KEY, 'by hand');
    await watch.untilText('by hand');
    await client.set(KEY, 'x'.repeat(COMMAND_BYTES_MAX + 1));
    await client.publish(`${KEY}:changed`, '');
    await watch.until(() => watch.troubles.some((trouble) => trouble.includes('over 1048576 bytes')));
    await client.del(KEY);
    await client.rpush(KEY, 'a list');
    await client.publish(`${KEY}:changed`, '');
    await watch.until(() => watch.troubles.some((trouble) => trouble.includes('WRONGTYPE')));
    await client.set(KEY, 'again');
    await client.publish(`${KEY}:changed`, '');
    await watch.untilText('again');

    assert.deepEqual(
      watch.texts.filter((text) => text !== null),
      ['by hand', 'again'],
    );
    assert.equal(registry.report().lastError, null);
  },
);

peerTest(
  'a command is told again when a server comes back, and none when it has lost it',
  [redisPeer],
  async () => {
    const server = await startServer();
    await clientOf(server).set(KEY, 'before');
    const { registry } = openRegistry(on(server));
    const watch = new CommandWatch();
    registry.subscribeCommand(G1, watch);
    await watch.untilText('before');

    await server.restart({ isWiped: true });
    await watch.untilText(null);

    assert.ok(watch.troubles.length > 0);
  },
);
