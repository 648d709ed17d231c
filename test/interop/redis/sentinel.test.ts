/** A master that fails, and Sentinels that choose another one. */
import assert from 'node:assert/strict';
import { MASTER_NAME, redisPeer, SentinelTrio } from '../../support/redis-server.js';
import { atEnd, eventually, peerTest } from '../support.js';
import { clientOf, keyOf, node, openRegistry, watchOn } from './scene.js';

/** The Sentinels agree, choose, and all parts find their ways. */
const FAILOVER_MS_MAX = 30_000;
const PEERS = [redisPeer];

async function trioWithNode() {
  const trio = await SentinelTrio.start();
  atEnd(() => trio.close());
  const { registry } = openRegistry(`sentinels=${trio.addresses}&masterName=${MASTER_NAME}`);
  registry.announce(node(8001), 'available');
  const watch = watchOn(registry);
  await watch.until(() => watch.nodes.length === 1);
  return { trio, registry, watch };
}

peerTest(
  'the death of the master is outlived under watch, and what changes later is told',
  PEERS,
  async () => {
    const { trio, registry, watch } = await trioWithNode();
    const promoted = clientOf(trio.replica);

    await trio.master.kill();
    await watch.until(() => watch.troubles.length > 0, FAILOVER_MS_MAX);
    registry.announce(node(8002), 'available');
    await watch.until(() => watch.nodes.length === 2, FAILOVER_MS_MAX);

    await eventually('the node is kept on the new master', FAILOVER_MS_MAX, async () => {
      return (await promoted.pttl(keyOf(8001))) > 2_000;
    });
    assert.equal(await registry.settled(FAILOVER_MS_MAX), true);
  },
);

peerTest('a master that is silent is left, and is not written to when it is back', PEERS, async () => {
  const { trio, registry, watch } = await trioWithNode();

  trio.master.pause();
  await watch.until(() => watch.troubles.length > 0, FAILOVER_MS_MAX);
  registry.announce(node(8002), 'available');
  await watch.until(() => watch.nodes.length === 2, FAILOVER_MS_MAX);
  trio.master.resume();
  const demoted = clientOf(trio.master);
  await eventually('it is a replica', FAILOVER_MS_MAX, async () => {
    return /role:slave[\s\S]*master_link_status:up/.test(await demoted.info('replication'));
  });
  registry.announce(node(8003), 'available');
  await watch.until(() => watch.nodes.length === 3, FAILOVER_MS_MAX);

  await eventually(
    'the replica has it',
    FAILOVER_MS_MAX,
    async () => (await demoted.exists(keyOf(8003))) === 1,
  );
});

peerTest('Sentinels that are all gone are named, and a name that they do not know too', PEERS, async () => {
  const trio = await SentinelTrio.start();
  atEnd(() => trio.close());
  const unknown = watchOn(openRegistry(`sentinels=${trio.addresses}&masterName=other`).registry);
  await unknown.until(() => unknown.troubles.length > 0);
  assert.match(unknown.troubles[0]!, /^other of the Sentinels 127.*: .* No such master with that name$/);

  for (const each of trio.sentinels) await each.kill();
  const gone = watchOn(openRegistry(`sentinels=${trio.addresses}&masterName=${MASTER_NAME}`).registry);

  await gone.until(() => gone.troubles.length > 0);
  assert.match(gone.troubles[0]!, /: failed to connect to sentinel 127\.0\.0\.1:\d+ because ./);
});
