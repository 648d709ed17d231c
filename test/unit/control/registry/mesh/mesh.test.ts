import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { mesh } from '../../../../../src/control/registry/mesh/mesh.js';
import { MeshDriver } from '../../../../../src/control/registry/mesh/mesh-driver.js';
import { ServerRegistry } from '../../../../../src/control/registry/server/server-registry.js';
import { MeshUrl, type Registry, silentLogger } from '../../../../../src/core/index.js';
import { until } from '../../../../support/clock.js';
import { MeshAgent } from '../../../../support/mesh-agent.js';
import { registryContract, Watch } from '../../../../support/registry-contract.js';
import { realClock } from '../../../../support/registry-deps.js';

const DEPS = { clock: realClock, random: Math.random, logger: silentLogger, defaultDirectory: '' };
const NODE = MeshUrl.parse('motan2://10.0.0.5:8100/com.x.Echo?group=g1&nodeType=service');
const REFER = MeshUrl.parse('motan2://:0/com.x.Echo?group=g1&requestTimeout=7');

const ADDRESSES: Record<string, string> = {
  'mesh://:0/?proxyRegistry=a': 'localhost:8002',
  'mesh://10.0.0.1:0/?proxyRegistry=a': '10.0.0.1:8002',
  'mesh://:9002/?proxyRegistry=a': 'localhost:9002',
  'mesh://:0/?proxyRegistry=a&address=[::1]:7002': '[::1]:7002',
  'mesh://10.0.0.1:9002/?proxyRegistry=a&address=h:1': '10.0.0.1:9002',
};

for (const [url, address] of Object.entries(ADDRESSES)) {
  test(`${url} asks at ${address}`, async () => {
    const registry = mesh.create('m', MeshUrl.parse(url), DEPS);
    const { address: told } = registry.report();
    await registry.close();

    assert.equal(told, address);
  });
}

const WRONG: Record<string, RegExp> = {
  'mesh://:0/': /mesh: proxyRegistry is missing/,
  'mesh://:0/?proxyRegistry=a&address=a:1,b:2': /address is "a:1,b:2", expected one host:port/,
  'mesh://:0/?proxyRegistry=a&address=unix:///run/a': /expected one host:port/,
};

for (const [url, message] of Object.entries(WRONG)) {
  test(`${url} is refused`, () => {
    assert.throws(() => mesh.identity(MeshUrl.parse(url), DEPS), message);
  });
}

registryContract('mesh', { announces: null }, async () => {
  const agent = new MeshAgent();
  await agent.start();
  const url = MeshUrl.parse(`mesh://${agent.address}/?proxyRegistry=zk`);
  return {
    open: () => mesh.create('m', url, DEPS),
    refer: (service) => REFER.with({ path: service }),
    addMalformed: null,
    close: () => agent.stop(),
  };
});

/** Another agent, and a registry that asks it every 20 ms. */
async function open(t: TestContext): Promise<{ agent: MeshAgent; registry: Registry; watch: () => Watch }> {
  const agent = new MeshAgent();
  await agent.start();
  const [host, port] = agent.address.split(':');
  const times = { pollMs: 20, requestTimeoutMs: 300 };
  const options = { host: host!, port: Number(port), proxyRegistry: 'zookeeper://:0', times };
  const registry = new ServerRegistry('m', 'mesh', new MeshDriver(options, DEPS), {
    ...DEPS,
    lookEveryMs: 50,
  });
  t.after(async () => {
    await registry.close();
    await agent.stop();
  });
  const watch = (): Watch => {
    const made = new Watch();
    made.subscription = registry.subscribe(REFER, made);
    return made;
  };
  return { agent, registry, watch };
}

test('a service is registered as motan-go does it, at the registry that is meant', async (t) => {
  const { agent, registry } = await open(t);

  registry.announce(NODE.withParameter('provider', 'cgi'), 'available');
  const isSettled = await registry.settled(10_000);

  assert.equal(isSettled, true);
  assert.deepEqual(agent.told, [
    {
      verb: 'register',
      url: {
        protocol: 'motan2',
        host: '10.0.0.5',
        port: 8100,
        path: 'com.x.Echo',
        group: 'g1',
        parameters: { nodeType: 'service', provider: 'motan2', proxyRegistry: 'zookeeper://:0' },
      },
      contentType: 'application/json;charset=utf-8',
    },
  ]);
});

test('a service that is not available, or is withdrawn, is taken out, and not looked for', async (t) => {
  const { agent, registry } = await open(t);
  registry.announce(NODE, 'available');
  await registry.settled(10_000);

  registry.announce(NODE, 'unavailable');
  await registry.settled(10_000);
  const unavailable = [...agent.registered];
  agent.told.length = 0;
  const looksMax = agent.looks + 5;
  await until('some looks', () => agent.looks > looksMax);
  const { announced } = registry.report();
  registry.withdraw(NODE);
  await registry.settled(10_000);

  assert.deepEqual(unavailable, []);
  assert.equal(announced[0]?.seen, 'unavailable');
  assert.deepEqual(
    agent.told.map(({ verb }) => verb),
    ['unregister'],
  );
});

test('changed parameters are told, since a second registration alone is ignored', async (t) => {
  const { agent, registry } = await open(t);
  registry.announce(NODE, 'available');
  await registry.settled(10_000);

  registry.announce(NODE.withParameter('weight', '7'), 'available');
  await registry.settled(10_000);

  assert.deepEqual(
    agent.told.map(({ verb }) => verb),
    ['register', 'unregister', 'register'],
  );
  assert.equal(agent.registered[0]!.parameters.weight, '7');
});

test('an agent is listed nowhere', async (t) => {
  const { agent, registry } = await open(t);

  registry.announce(NODE.withParameter('nodeType', 'agent'), 'available');
  const isSettled = await registry.settled(10_000);

  assert.equal(isSettled, true);
  assert.deepEqual(agent.told, []);
});

test('a registration that the other agent takes and does not list is not said to be true', async (t) => {
  const { agent, registry } = await open(t);
  agent.forgetsRegistrations = true;

  registry.announce(NODE, 'available');
  await until('it is told', () => registry.report().lastError !== null);
  const { lastError, announced } = registry.report();
  agent.forgetsRegistrations = false;

  assert.match(lastError ?? '', /took it and does not list it/);
  assert.deepEqual(announced, [{ node: NODE.toText(), desired: 'available', seen: 'absent' }]);
  assert.equal(await registry.settled(10_000), true);
});

test('a refer is subscribed there, and its only node is the other agent', async (t) => {
  const { agent, watch } = await open(t);
  agent.meshPort = 7777;

  const watched = watch();
  await watched.until(() => watched.answers > 0);

  assert.deepEqual(watched.texts(), ['motan2://127.0.0.1:7777/com.x.Echo?group=g1&requestTimeout=7']);
  assert.deepEqual(agent.told[0]!.url, {
    protocol: 'motan2',
    host: '',
    port: 0,
    path: 'com.x.Echo',
    group: 'g1',
    parameters: { requestTimeout: '7', proxyRegistry: 'zookeeper://:0' },
  });
});

test('another forward port is taken over', async (t) => {
  const { agent, watch } = await open(t);
  const watched = watch();
  await watched.until(() => watched.answers > 0);

  agent.meshPort = 7778;
  await watched.until(() => watched.ports()[0] === 7778);

  assert.equal(agent.told.length, 1);
});

test('an agent that was restarted has all again, also when its end was not seen', async (t) => {
  const { agent, registry, watch } = await open(t);
  registry.announce(NODE, 'available');
  const watched = watch();
  await watched.until(() => watched.answers > 0);
  await registry.settled(10_000);

  agent.registered = [];
  agent.subscribed = [];
  await until('all is there', () => agent.registered.length === 1 && agent.subscribed.length === 1);
  await agent.stop();
  await watched.until(() => watched.troubles.length > 0);
  agent.registered = [];
  agent.subscribed = [];
  await agent.start();
  await until('all is there again', () => agent.registered.length === 1 && agent.subscribed.length === 1);

  assert.match(watched.troubles[0]!, /^127\.0\.0\.1:\d+\/registry\/info: .*ECONN/);
});

const TROUBLES: Record<string, { status: number; text: string; message: RegExp }> = {
  'no such API': { status: 404, text: '', message: /subscribe: HTTP 404: no such API there$/ },
  'a registry that is not known': {
    status: 400,
    text: '{"code":400,"message":"registry not found"}',
    message: /subscribe: HTTP 400: registry not found$/,
  },
  'a code of its own': {
    status: 200,
    text: '{"code":500,"message":"no"}',
    message: /HTTP 200 with code 500: no$/,
  },
  'a problem document': {
    status: 403,
    text: '{"title":"x","detail":"needs a token"}',
    message: /HTTP 403: needs a token$/,
  },
  'no JSON': { status: 200, text: '<html>', message: /HTTP 200, and the answer is no JSON object$/ },
};

for (const [name, { status, text, message }] of Object.entries(TROUBLES)) {
  test(`${name} is told, and asked again`, async (t) => {
    const { agent, watch } = await open(t);
    agent.given.set('/registry/subscribe', { status, text });

    const watched = watch();
    await watched.until(() => watched.troubles.length > 0);
    agent.given.clear();
    await watched.until(() => watched.nodes.length === 1);

    assert.match(watched.troubles[0]!, message);
  });
}

test('an agent that takes questions and is silent, or tells no port, is down', async (t) => {
  const { agent, registry, watch } = await open(t);
  const watched = watch();
  await watched.until(() => watched.answers > 0);

  agent.silent.add('/registry/info');
  await watched.until(() => watched.troubles.length > 0);
  agent.silent.clear();
  agent.given.set('/registry/info', { status: 200, text: '{"code":200,"body":{"mesh_port":"x"}}' });
  await until('it is told', () => /no mesh_port/.test(registry.report().lastError ?? ''));

  assert.match(watched.troubles[0]!, /no answer within 300 ms/);
  assert.equal(watched.nodes.length, 1);
});

test('a service or refer without a group is refused, as the other agent would lose it', async (t) => {
  const { agent, registry } = await open(t);
  const watched = new Watch();

  registry.announce(NODE.with({ group: '' }), 'available');
  registry.subscribe(REFER.with({ group: '' }), watched);
  await watched.until(() => watched.troubles.length > 0);
  await until('it is told', () => registry.report().lastError !== null);

  assert.match(watched.troubles[0]!, /without a group/);
  assert.match(registry.report().lastError ?? '', /without a group/);
  assert.deepEqual(agent.told, []);
});
