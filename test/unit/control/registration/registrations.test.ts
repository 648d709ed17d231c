/** What a posted url becomes, what stands in the way of what, and what a change that fails leaves behind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REGISTRATIONS_MAX } from '../../../../src/control/registration/table.js';
import type { AgentError } from '../../../../src/core/index.js';
import { posted, Scene } from './scene.js';

const code = (wanted: string) => (error: AgentError) => error.code === wanted;

test('a service is announced as the local address and export port, with the backend it came from', async (t) => {
  const { registrations, scene } = await open(t);
  const [made] = await registrations.add(
    'service',
    posted({}, { filter: 'af_metrics,jtoken', unixSock: '/x' }),
    null,
  );

  const { url, registryIds } = scene.services[0]!;
  assert.deepEqual(registryIds, ['zk']);
  assert.equal(
    url.toText(),
    'motan2://10.9.9.9:9990/com.x.Echo?group=g1&application=app&export=motan2:9990&filter=accessLog,metrics' +
      '&nodeType=service&proxy=motan2:8100&proxyRegistry=zk&registry=zk',
  );
  assert.match(made!.id, /^[0-9a-f]{16}$/);
});

test('groups are split, with those of the environment, and get its suffix', async (t) => {
  const { registrations, scene } = await open(t, {
    MESH_SERVICE_ADDITIONAL_GROUP: 'more',
    RPC_REG_GROUP_SUFFIX: '-s',
    MESH_MULTI_SUB_GROUP_SUFFIX: '-t',
  });

  await registrations.add('service', posted({ group: 'a, b-s' }), null);
  await registrations.add('refer', posted({ group: 'a' }), null);
  const removed = await registrations.remove('service', posted({ group: 'a, b-s' }));

  assert.deepEqual(removed.map(({ url }) => url.group).sort(), ['a-s', 'b-s', 'more-s']);
  assert.deepEqual(scene.refers.map(({ url }) => url.group).sort(), ['a', 'a-t', 'more', 'more-t']);
  assert.deepEqual(scene.paths, []);
});

test('an empty group at the top falls back to the one in parameters; names of fields have no case', async (t) => {
  const { registrations } = await open(t);

  const [made] = await registrations.add('service', posted({ group: '' }, { group: 'p' }), null);
  const [other] = await registrations.add(
    'service',
    {
      PROTOCOL: 'motan2',
      Host: 'h',
      Port: 1,
      pAth: 'com.x.Case',
      Group: 'g',
      Parameters: { proxyRegistry: 'zk' },
    },
    null,
  );

  assert.equal(made!.url.group, 'p');
  assert.equal(other!.url.path, 'com.x.Case');
  await assert.rejects(registrations.add('service', posted({ group: '' }), null), code('E_REGISTRATION'));
});

for (const [asked, ids] of [
  [{ proxyRegistry: 'zk' }, ['zk']],
  [{ proxyRegistry: 'zookeeper://:0' }, ['zk']],
  [{ proxyRegistry: 'zookeeper://10.0.0.2:2181' }, ['zk']],
  [{ proxyRegistry: 'zk://10.0.0.1:2181' }, ['zk']],
  [{ proxyRegistry: 'zookeeper://10.0.0.2:2181,10.0.0.1:2181/motan' }, ['zk']],
  [{ proxyRegistry: 'zookeeper://10.0.0.9:2181' }, ['lone']],
  [{ proxyRegistry: 'zk, con' }, ['zk', 'con']],
  [{ proxyRegistry: '', registry: 'con' }, ['con']],
  [{ proxyRegistry: '', meshRegistryName: 'con' }, ['con']],
  [
    {
      proxyRegistry: 'unknown',
      proxyRegistryUrlString: encodeURIComponent(
        'zk://10.0.0.9:2181/com.weibo.RegistryService?group=default_rpc&',
      ),
    },
    ['lone'],
  ],
  [
    { proxyRegistry: '', proxyRegistryUrlString: encodeURIComponent('consul://127.0.0.1:8500/x?a=b') },
    ['con'],
  ],
] as [Record<string, string>, string[]][]) {
  test(`${JSON.stringify(asked)} names ${ids.join()}`, async (t) => {
    const { registrations } = await open(t);

    const [made] = await registrations.add('service', posted({}, asked), null);

    assert.deepEqual(made!.registryIds, ids);
  });
}

for (const asked of ['nobody', 'zookeeper://10.0.0.3:2181', 'consul://:0', 'zk,nobody', '']) {
  test(`"${asked}" names no registry, and those that are there are told`, async (t) => {
    const { registrations } = await open(t);

    await assert.rejects(
      registrations.add('service', posted({}, { proxyRegistry: asked }), null),
      (error: AgentError) =>
        error.code === 'E_REGISTRY_NOT_FOUND' &&
        error.message.startsWith('registry not found') &&
        error.message.includes('lone (zookeeper://10.0.0.9:2181)'),
    );
  });
}

for (const [what, url] of Object.entries({
  'a line feed in the path': posted({ path: 'a\nb' }),
  'a slash in the group': posted({ group: 'a/b' }),
  'a path upwards': posted({ path: '..' }),
  'a zero byte in a parameter': posted({}, { x: '\0' }),
  'half a surrogate pair': posted({}, { x: '\ud800' }),
  'a long parameter': posted({}, { x: 'x'.repeat(20_000) }),
  'a port that is none': posted({ port: 65_536 }),
  'the export port as backend': posted({ port: 9990 }),
  'a backend elsewhere': posted({}, { provider: 'http', proxyAddress: '127.0.0.1.evil.example:80' }),
  'a url elsewhere': posted({}, { provider: 'http', URL_FORMAT: 'http://127.0.0.1@10.0.0.1/%s' }),
  'too many groups': posted({ group: Array.from({ length: 65 }, (_, index) => `g${index}`).join() }),
  'no protocol': posted({ protocol: '' }),
  'a ttl that is none': posted({}, { ttl: '1.5' }),
})) {
  test(`${what} is refused`, async (t) => {
    const { registrations } = await open(t);

    await assert.rejects(registrations.add('service', url, null), code('E_REGISTRATION'));
    assert.deepEqual(registrations.list(), []);
  });
}

test('an unknown protocol is refused with the known ones', async (t) => {
  const { registrations } = await open(t);

  await assert.rejects(
    registrations.add('service', posted({ protocol: 'breeze' }), null),
    (error: AgentError) => error.code === 'E_ENTRY' && /export "breeze:9990".*motan2/.test(error.message),
  );
});

test('one service in two registries is one export, announced in both', async (t) => {
  const { registrations, scene } = await open(t);

  await registrations.add('service', posted({}, { proxyRegistry: 'zk' }), null);
  await registrations.add('service', posted({}, { proxyRegistry: 'con' }), null);
  const both = scene.services.map(({ registryIds }) => [...registryIds]);
  await registrations.remove('service', posted({}, { proxyRegistry: 'zk' }));

  assert.deepEqual(both, [['zk', 'con']]);
  assert.deepEqual(
    scene.services.map(({ registryIds }) => [...registryIds]),
    [['con']],
  );
});

test('the same registration again builds nothing anew, a changed one does', async (t) => {
  const { registrations, scene } = await open(t);
  await registrations.add('service', posted(), null);
  const [first] = scene.services;

  await registrations.add('service', posted(), null);
  const unchanged = scene.applied;
  await registrations.add('service', posted({}, { requestTimeout: '7' }), null);

  assert.equal(unchanged, 1);
  assert.notEqual(scene.services[0], first);
  assert.equal(scene.services[0]!.url.text('requestTimeout'), '7');
  assert.equal(registrations.list().length, 1);
});

test('other services keep their very objects while one comes and goes', async (t) => {
  const { registrations, scene } = await open(t);
  await registrations.add('service', posted(), null);
  const [first] = scene.services;

  await registrations.add('service', posted({ path: 'com.x.Other', port: 8101 }), null);
  await registrations.remove('service', posted({ path: 'com.x.Other', port: 8101 }));

  assert.equal(scene.services[0], first);
});

test('what the configuration offers cannot be taken over, and equal to it needs nothing', async (t) => {
  const { registrations, scene } = await open(t);

  await assert.rejects(
    registrations.add('service', posted({ path: 'com.x.Fixed' }), null),
    code('E_SERVICE_TAKEN'),
  );
  await registrations.add('service', posted({ path: 'com.x.Fixed', port: 7000 }), null);
  await registrations.add('refer', posted({ path: 'com.x.Fixed' }), null);

  assert.equal(registrations.list().length, 2);
  assert.deepEqual([scene.services, scene.refers], [[], []]);
});

test('a refer that is there stays as it was first asked for', async (t) => {
  const { registrations, scene } = await open(t);
  await registrations.add('refer', posted({}, { requestTimeout: '1' }), null);

  await registrations.add('refer', posted({}, { requestTimeout: '2', proxyRegistry: 'con' }), null);

  assert.deepEqual(
    scene.refers.map(({ url }) => [url.text('requestTimeout'), url.host, url.port]),
    [['1', '', 0]],
  );
});

test('one that cannot be applied is refused, and the others that came with it are not', async (t) => {
  const { registrations, scene } = await open(t);
  scene.refused.add('com.x.Bad');

  const outcomes = await Promise.allSettled(
    ['com.x.A', 'com.x.Bad', 'com.x.B'].map((path) => registrations.add('service', posted({ path }), null)),
  );

  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.deepEqual(scene.paths.sort(), ['com.x.A', 'com.x.B']);
  assert.equal(registrations.list().length, 2);
});

test('many that come together are one change', async (t) => {
  const { registrations, scene } = await open(t);

  await Promise.all(
    Array.from({ length: 500 }, (_, index) =>
      registrations.add('service', posted({ path: `com.x.S${index}` }), null),
    ),
  );

  assert.equal(scene.services.length, 500);
  assert.ok(scene.applied <= 3, `${scene.applied} changes`);
});

test('what comes before the agent is ready waits, and is refused once it stops', async (t) => {
  const { registrations, scene } = await open(t);
  const early = new Scene(scene.snap.file.replace(/\/run\/.*$/, ''));

  const waiting = early.registrations.add('service', posted(), null);
  await early.registrations.close();

  await assert.rejects(waiting, code('E_STOPPING'));
  await assert.rejects(early.registrations.add('service', posted(), null), code('E_STOPPING'));
  assert.deepEqual(registrations.list(), []);
});

test('there is a bound for each kind', async (t) => {
  const { registrations } = await open(t);
  const fill = Array.from({ length: REGISTRATIONS_MAX / 50 }, (_, index) =>
    registrations.add(
      'refer',
      posted({ path: `com.x.R${index}`, group: Array.from({ length: 50 }, (_, at) => `g${at}`).join() }),
      null,
    ),
  );
  await Promise.all(fill);

  await assert.rejects(registrations.add('refer', posted(), null), code('E_REGISTRATIONS_FULL'));
  await registrations.add('service', posted(), null);

  assert.equal(registrations.list().length, REGISTRATIONS_MAX + 1);
});

async function open(t: Parameters<typeof Scene.open>[0], env: Record<string, string> = {}) {
  const scene = await Scene.open(t, env);
  return { scene, registrations: scene.registrations };
}
