/** Being let in: users with few rights, passwords everywhere, encrypted connections. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn, setTimeout } from 'node:timers/promises';
import { redisPeer } from '../../support/redis-server.js';
import { makeFolder, peerTest } from '../support.js';
import { clientOf, keyOf, node, on, openRegistry, startServer, watchOn } from './scene.js';

const SOON_MS = 10_000;
const PEERS = [redisPeer];
const openssl = {
  name: 'openssl',
  available: existsSync('/usr/bin/openssl'),
  hint: 'install the package openssl',
};

const RIGHTS =
  '~peony:* &peony:* -@all +@connection +info +mget +getrange +set +del +exists +expire +pexpire +sadd +srem +srandmember +multi +exec +eval +publish +subscribe +unsubscribe';
const RIGHTS_TO_LOOK =
  '%R~peony:* &peony:* -@all +@connection +info +getrange +srandmember +subscribe +unsubscribe';

peerTest('a user with the rights of the documentation is enough', PEERS, async () => {
  const server = await startServer();
  const client = clientOf(server);
  await client.call('ACL', 'SETUSER', 'agent', 'on', '>word-1', ...RIGHTS.split(' '));
  await client.call('ACL', 'SETUSER', 'looker', 'on', '>word-2', ...RIGHTS_TO_LOOK.split(' '));
  const { registry } = openRegistry(`${on(server)}&username=agent&password=word-1`);
  const looker = openRegistry(`${on(server)}&username=looker&password=word-2`);
  const watch = watchOn(looker.registry);

  registry.announce(node(8001), 'available');
  await watch.until(() => watch.nodes.length === 1);
  registry.announce(node(8002), 'available');
  await watch.until(() => watch.nodes.length === 2);
  registry.withdraw(node(8001));
  await watch.until(() => watch.nodes.length === 1);

  assert.equal(registry.report().lastError, null);
  assert.equal(looker.registry.report().lastError, null);
  assert.deepEqual(watch.troubles, []);
});

peerTest('leases are renewed for a user who may run no scripts', PEERS, async () => {
  const server = await startServer();
  const client = clientOf(server);
  await client.call('ACL', 'SETUSER', 'agent', 'on', '>word-1', ...RIGHTS.split(' '), '-eval');
  const { registry, logger } = openRegistry(`${on(server)}&username=agent&password=word-1&leaseTime=3`);
  registry.announce(node(8001), 'available');
  assert.ok(await registry.settled(SOON_MS));

  const deadlineMs = performance.now() + SOON_MS;
  let leftMs = await client.pttl(keyOf(8001));
  for (let renewals = 0; renewals < 3; ) {
    assert.ok(performance.now() < deadlineMs, 'the lease is not renewed');
    await setTimeout(50);
    const before = leftMs;
    leftMs = await client.pttl(keyOf(8001));
    if (leftMs > before) renewals += 1;
  }

  assert.equal(
    logger.lines.filter((line) => JSON.stringify(line).includes('no scripts may be run')).length,
    1,
  );
  assert.equal(registry.report().lastError, null);
});

peerTest('a user who may not write is told so, and no secret is', PEERS, async () => {
  const server = await startServer();
  await clientOf(server).call('ACL', 'SETUSER', 'looker', 'on', '>word-2', ...RIGHTS_TO_LOOK.split(' '));
  const { registry, logger } = openRegistry(`${on(server)}&username=looker&password=word-2`);
  const watch = watchOn(registry);
  await watch.until(() => watch.answers > 0);

  registry.announce(node(8001), 'available');

  assert.equal(await registry.settled(500), false);
  assert.match(registry.report().lastError ?? '', /com\.x\.Echo.*NOPERM/);
  assert.doesNotMatch(JSON.stringify([logger.lines, registry.report()]), /word-2/);
});

peerTest('a user who may not listen finds changes by looking', PEERS, async () => {
  const server = await startServer();
  const rights = RIGHTS.replace('&peony:*', 'resetchannels').replace('+publish ', '').split(' ');
  const client = clientOf(server);
  await client.call('ACL', 'SETUSER', 'deaf', 'on', '>word-3', ...rights);
  const { registry, logger } = openRegistry(`${on(server)}&username=deaf&password=word-3`);
  const watch = watchOn(registry);
  await watch.until(() => watch.answers > 0);

  openRegistry(on(server)).registry.announce(node(8001), 'available');
  await watch.until(() => watch.nodes.length === 1);

  assert.match(JSON.stringify(logger.lines), /tells no changes; they are looked for meanwhile/);
});

peerTest('a Sentinel and a master with passwords of their own let us in', PEERS, async () => {
  const master = await startServer({ password: 'master-word' });
  const sentinel = await startServer({
    isSentinel: true,
    settings: [
      'requirepass sentinel-word',
      `sentinel monitor m 127.0.0.1 ${master.port} 1`,
      'sentinel auth-pass m master-word',
    ],
  });
  const words = 'password=master-word&sentinelPassword=sentinel-word';
  const { registry, logger } = openRegistry(`sentinels=${sentinel.address}&masterName=m&${words}`);
  const watch = watchOn(registry);

  registry.announce(node(8001), 'available');
  await watch.until(() => watch.nodes.length === 1);

  assert.doesNotMatch(JSON.stringify([logger.lines, registry.report()]), /-word/);
});

peerTest('a server that is reached over TLS is trusted by its certificate', [...PEERS, openssl], async () => {
  const folder = makeFolder();
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const files = ['-keyout', key, '-out', certificate];
  execFileSync('openssl', ['req', ...kind, ...files, ...subject], { stdio: 'ignore' });
  const server = await startServer();
  const client = clientOf(server);
  // A port that is free for a moment becomes the encrypted one.
  const other = await startServer();
  const tlsPort = other.port;
  await other.close();
  for (const [name, value] of [
    ['tls-cert-file', certificate],
    ['tls-key-file', key],
    ['tls-ca-cert-file', certificate],
    ['tls-auth-clients', 'no'],
    ['tls-port', String(tlsPort)],
  ] as const)
    await client.config('SET', name, value);

  const { registry } = openRegistry(`address=127.0.0.1:${tlsPort}&tls=true&tlsCaFile=${certificate}`);
  registry.announce(node(8001), 'available');
  assert.equal(await registry.settled(SOON_MS), true);
  assert.equal(await client.exists(keyOf(8001)), 1);

  const strange = watchOn(openRegistry(`address=127.0.0.1:${tlsPort}&tls=true`).registry);
  await strange.until(() => strange.troubles.length > 0);
  assert.match(strange.troubles[0]!, /self-signed certificate/);

  // Closed at any moment of a handshake: an error that nobody hears would fail this file.
  for (let turns = 0; turns < 200; turns += 1) {
    const { registry: closed } = openRegistry(`address=127.0.0.1:${tlsPort}&tls=true`);
    for (let turn = 0; turn < turns; turn += 1) await nextTurn();
    await closed.close();
  }
});
