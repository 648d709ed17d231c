/** What happens to a real Consul agent, and what is true again afterwards. The intervals are short: two beats are less than two seconds. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ConsulServer, consulPeer } from '../../support/consul-server.js';
import { atEnd, eventually, peerTest } from '../support.js';
import {
  addEntry,
  CuttableWire,
  listen,
  node,
  openRegistry,
  registered,
  slowTo,
  startServer,
  TIMES,
  untilRegistered,
  watch,
} from './scene.js';

const PEERS = [consulPeer];
const WITHIN_TWO_BEATS_MS = 2 * TIMES.beatMs + TIMES.requestTimeoutMs;
const ID = '127.0.0.1:8001-com.x.Echo@motan2:g1';
const PASSING = { [ID]: 'passing' };

peerTest('what is registered is kept alive beyond its TTL, in its state', PEERS, async () => {
  const server = await startServer();
  const opened = openRegistry([server.address]);
  const id2 = ID.replace('8001', '8002');
  opened.registry.announce(node(8001), 'available');
  opened.registry.announce(node(8002), 'unavailable');
  await untilRegistered(server, { ...PASSING, [id2]: 'critical' });

  const states = new Set<string>();
  const endMs = performance.now() + 2 * TIMES.ttlMs;
  await eventually('two TTLs have passed', 3 * TIMES.ttlMs, async () => {
    states.add(JSON.stringify([...(await registered(server))].sort()));
    return performance.now() > endMs;
  });

  assert.deepEqual(
    [...states],
    [
      JSON.stringify([
        [ID, 'passing'],
        [id2, 'critical'],
      ]),
    ],
  );
});

peerTest('a process that dies without a word is not found any more after one TTL', PEERS, async () => {
  const server = await startServer();
  await addEntry(server, 'dead-com.x.Echo', ['protocol_motan2'], { Check: { TTL: '1s', Status: 'passing' } });
  const found = watch(openRegistry([server.address]));

  await found.until(() => found.nodes.length === 1);
  await found.until(() => found.nodes.length === 0);

  assert.equal(found.answers, 2);
});

peerTest('an agent that was killed and has forgotten everything has our services again', PEERS, async () => {
  const server = await startServer();
  const opened = openRegistry([server.address]);
  const found = watch(openRegistry([server.address]));
  opened.registry.announce(node(8001, '&weight=7'), 'available');
  await found.until(() => found.nodes.length === 1);

  await server.restart();
  await untilRegistered(server, PASSING, WITHIN_TWO_BEATS_MS);
  await found.until(() => found.nodes[0]?.text('weight') === '7');

  assert.equal(await opened.registry.settled(0), true);
});

peerTest('services that somebody took out are registered anew by the next beat', PEERS, async () => {
  const server = await startServer();
  const opened = openRegistry([server.address]);
  opened.registry.announce(node(8001), 'available');
  await untilRegistered(server, PASSING);

  await server.ask('PUT', `agent/service/deregister/${encodeURIComponent(ID)}`);

  await untilRegistered(server, PASSING, WITHIN_TWO_BEATS_MS);
});

peerTest(
  'what was wanted while nobody answered is true afterwards, and the last word counts',
  PEERS,
  async () => {
    const server = await startServer();
    const opened = openRegistry([server.address]);
    opened.registry.announce(node(8001), 'available');
    opened.registry.announce(node(8002), 'available');
    assert.equal(await opened.registry.settled(5_000), true);

    await server.kill();
    await eventually('the registry names the cause', 5_000, async () =>
      /ECONNREFUSED/.test(opened.registry.report().lastError ?? ''),
    );
    opened.registry.announce(node(8001), 'unavailable');
    opened.registry.announce(node(8001), 'available');
    opened.registry.announce(node(8001), 'unavailable');
    opened.registry.withdraw(node(8002));
    opened.registry.announce(node(8003), 'available');
    await server.restart();

    await untilRegistered(server, { [ID]: 'critical', [ID.replace('8001', '8003')]: 'passing' });
    assert.equal(await opened.registry.settled(5_000), true);
  },
);

peerTest('a frozen agent is trouble that is told once; afterwards all is well again', PEERS, async () => {
  const server = await startServer();
  const opened = openRegistry([server.address]);
  const found = watch(opened);
  opened.registry.announce(node(8001), 'available');
  await found.until(() => found.nodes.length === 1);

  server.pause();
  await found.until(() => found.troubles.length > 0);
  const answers = found.answers;
  const trouble = opened.registry.report().lastError ?? '';
  server.resume();
  await found.until(() => found.answers > answers && found.nodes.length === 1);
  await untilRegistered(server, PASSING);

  assert.deepEqual(found.troubles.length, 1);
  assert.equal(trouble, `${server.address}: no answer within ${TIMES.requestTimeoutMs} ms`);
});

peerTest('a registry that starts while nobody answers works as soon as somebody does', PEERS, async () => {
  const server = await startServer();
  await server.kill();
  const opened = openRegistry([server.address]);
  const found = watch(opened);
  opened.registry.announce(node(8001), 'available');
  await found.until(() => found.troubles.length > 0);

  await server.restart();
  await found.until(() => found.nodes.length === 1);

  assert.equal(await opened.registry.settled(5_000), true);
});

peerTest('on a slow network everything is slow and true', PEERS, async () => {
  const server = await startServer();
  const opened = openRegistry([await slowTo(server, TIMES.requestTimeoutMs / 3)]);
  const found = watch(opened);

  opened.registry.announce(node(8001), 'available');
  await found.until(() => found.nodes.length === 1);
  opened.registry.withdraw(node(8001));
  await found.until(() => found.nodes.length === 0);

  assert.deepEqual(found.troubles, []);
});

peerTest('50 flaps in a row end in the last state, seen by others', PEERS, async () => {
  const server = await startServer();
  const opened = openRegistry([server.address]);
  const found = watch(openRegistry([server.address]));

  for (let flap = 0; flap < 50; flap += 1) {
    opened.registry.announce(node(8001), flap % 2 === 0 ? 'available' : 'unavailable');
    if (flap % 5 === 0) assert.equal(await opened.registry.settled(5_000), true);
  }
  opened.registry.announce(node(8001, '&weight=50'), 'available');
  await found.until(() => found.nodes[0]?.text('weight') === '50');

  await untilRegistered(server, PASSING);
  assert.equal(found.nodes.length, 1);
});

peerTest('five restarts in a row, and 50 broken networks, leave all true', PEERS, async () => {
  const server = await startServer();
  const wire = await CuttableWire.to(server.port);
  const opened = openRegistry([wire.address]);
  const found = watch(opened);
  opened.registry.announce(node(8001), 'available');
  await found.until(() => found.nodes.length === 1);

  for (let restart = 0; restart < 5; restart += 1) await server.restart();
  for (let cut = 1; cut <= 50; cut += 1) await wire.cutNext();

  await untilRegistered(server, PASSING, WITHIN_TWO_BEATS_MS);
  await found.until(() => found.nodes.length === 1);
});

peerTest('without a leader what any server knows is found, and there is no trouble', PEERS, async () => {
  const [first, second] = await ConsulServer.startPair();
  atEnd(() => first.close());
  atEnd(() => second.close());
  const opened = openRegistry([second.address]);
  opened.registry.announce(node(8001), 'available');
  await untilRegistered(second, PASSING);
  const before = watch(openRegistry([second.address]));
  await before.until(() => before.nodes.length === 1);

  await eventually('both servers know it', 10_000, async () => {
    const known = await second.ask('GET', 'health/service/motanrpc_g1?passing&stale');
    return (known as unknown[]).length === 1;
  });
  await first.kill();
  await eventually(
    'there is no leader',
    20_000,
    async () => (await second.ask('GET', 'status/leader')) === '',
  );
  const later = watch(openRegistry([second.address]));
  await later.until(() => later.nodes.length === 1, 20_000);

  assert.deepEqual([...before.troubles, ...later.troubles], []);
  assert.equal(before.nodes.length, 1);
});

test('https speaks TLS', async () => {
  const first = new Promise<Buffer>((resolve) => {
    void listen((socket) => socket.once('data', resolve)).then((address) =>
      openRegistry([address], { isSecure: true }),
    );
  });

  const [type, major] = await first;

  assert.deepEqual([type, major], [0x16, 3]); // a handshake
});

peerTest(
  'the second agent stands in for the first, and the first is used again when it is back',
  PEERS,
  async () => {
    const first = await startServer();
    const second = await startServer();
    const opened = openRegistry([first.address, second.address]);
    opened.registry.announce(node(8001), 'available');
    await untilRegistered(first, PASSING);
    assert.equal((await registered(second)).size, 0);

    await first.kill();
    await untilRegistered(second, PASSING, WITHIN_TWO_BEATS_MS);
    await first.restart();
    await untilRegistered(first, PASSING, WITHIN_TWO_BEATS_MS);

    await untilRegistered(second, { [ID]: 'critical' });
  },
);

peerTest('closing takes out what is ours and leaves what another process took over', PEERS, async () => {
  const server = await startServer();
  const before = openRegistry([server.address]);
  before.registry.announce(node(8001), 'available');
  before.registry.announce(node(8002), 'available');
  assert.equal(await before.registry.settled(5_000), true);
  const next = openRegistry([server.address]);
  next.registry.announce(node(8001), 'available');
  assert.equal(await next.registry.settled(5_000), true);

  await before.registry.close();

  assert.deepEqual(Object.fromEntries(await registered(server)), PASSING);
});

const WRONG_SERVERS: Record<string, [answer: string, trouble: RegExp]> = {
  'that speaks no HTTP': ['-ERR unknown command\r\n', /Parse Error|HTTP/],
  'that is another web server': [
    'HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>',
    /no Consul agent/,
  ],
  'that finds nothing': ['HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n', /404/],
  'that sends elsewhere': ['HTTP/1.1 302 Found\r\nlocation: /ui\r\ncontent-length: 0\r\n\r\n', /302/],
  'that breaks off': [
    'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{',
    /amid an answer/,
  ],
  'that never ends': [
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${2 ** 40}\r\n\r\n{`,
    /no answer within|bytes/,
  ],
};

for (const [what, [answer, trouble]] of Object.entries(WRONG_SERVERS)) {
  peerTest(`a server ${what} is named, and the next address is used`, PEERS, async () => {
    const wrong = await listen((socket) => {
      socket.once('data', () => {
        socket.write(answer);
        if (what === 'that breaks off') socket.end();
      });
    });
    const server = await startServer();
    const alone = openRegistry([wrong]);
    const found = watch(alone);

    await found.until(() => found.troubles.length > 0);
    const both = openRegistry([wrong, server.address]);
    both.registry.announce(node(8001), 'available');
    await untilRegistered(server, PASSING);

    assert.match(found.troubles[0]!, trouble);
    assert.ok(found.troubles[0]!.startsWith(`${wrong}: `), found.troubles[0]);
  });
}

peerTest('rubbish in a group is named once and hides nobody', PEERS, async () => {
  const server = await startServer();
  const opened = openRegistry([server.address]);
  const found = watch(opened);
  await addEntry(server, 'r1', ['URL_%zz']);
  await addEntry(server, 'r2', []);
  await addEntry(server, 'r3', [`URL_${encodeURIComponent('motan2://h/com.x.Echo?group=g1')}`]);
  await addEntry(server, 'r4', ['URL_', 'protocol_motan2']);
  await addEntry(server, 'r5', [`URL_${'a'.repeat(70_000)}`]);
  await addEntry(server, '127.0.0.1:7001-com.x.Echo', ['protocol_motan2']);
  opened.registry.announce(node(8001), 'available');

  await found.until(() => found.nodes.length === 2);

  assert.deepEqual(found.ports(), [7001, 8001]);
  assert.match(
    opened.registry.report().lastError ?? '',
    /^motanrpc_g1: service "r\d" is left out: .*, and 4 more$/,
  );
});

const ACL = [
  'acl { enabled = true, default_policy = "deny", tokens { master = "root-token", agent = "root-token" } }',
];

peerTest('a token opens what is closed; a wrong one is trouble that does not tell it', PEERS, async () => {
  const server = await startServer({ settings: ACL, token: 'root-token' });
  const right = openRegistry([server.address], { token: 'root-token' });
  const wrong = openRegistry([server.address], { token: 'another-token' });
  const none = openRegistry([server.address]);
  const unseen = watch(wrong);

  right.registry.announce(node(8001), 'available');
  none.registry.announce(node(8002), 'available');
  const found = watch(right);
  await found.until(() => found.nodes.length === 1);
  await unseen.until(() => unseen.troubles.length > 0);
  await eventually('the refusal is told', 5_000, async () => none.registry.report().lastError !== null);

  assert.match(unseen.troubles[0]!, /403 ACL not found/);
  assert.match(none.registry.report().lastError!, /403 Permission denied/);
  const said = JSON.stringify(
    [wrong, right].map(({ registry, logger }) => [registry.report(), logger.lines]),
  );
  assert.ok(!said.includes('another-token') && !said.includes('root-token'));
});
