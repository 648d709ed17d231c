import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ServerRegistry } from '../../../../../src/control/registry/server/server-registry.js';
import { type CommandScope, MeshUrl } from '../../../../../src/core/index.js';
import { FakeDriver } from '../../../../support/fake-driver.js';
import { CommandWatch, Watch } from '../../../../support/registry-contract.js';
import { RecordingLogger, realClock } from '../../../../support/registry-deps.js';

const NODE = MeshUrl.parse('motan2://10.0.0.1:8001/com.x.Echo?group=g1');
const REFER = MeshUrl.parse('motan2://:0/com.x.Echo?group=g1');
const G1: CommandScope = { kind: 'service', group: 'g1' };

function opened(t: TestContext, lookEveryMs = 60_000) {
  const driver = new FakeDriver();
  const logger = new RecordingLogger();
  const deps = { clock: realClock, random: () => 0, logger, lookEveryMs };
  const registry = new ServerRegistry('r1', 'fake', driver, deps);
  t.after(() => registry.close());
  return { driver, registry, logger };
}

test('what is announced while the server is down is made true when it is up', async (t) => {
  const { driver, registry } = opened(t);

  registry.announce(NODE, 'unavailable');
  registry.announce(NODE, 'available');
  assert.deepEqual(driver.steps, []);
  driver.events.onUp(true);

  assert.equal(await registry.settled(1000), true);
  assert.deepEqual(driver.steps, ['put 8001 available']);
});

test('a step that fails is tried again, and the report says why meanwhile', async (t) => {
  const { driver, registry } = opened(t);
  driver.failures = ['no quorum'];
  driver.events.onUp(true);

  registry.announce(NODE, 'available');
  assert.equal(await registry.settled(0), false);
  assert.match(registry.report().lastError ?? '', /com\.x\.Echo.*no quorum/);

  assert.equal(await registry.settled(2000), true);
  assert.deepEqual(driver.steps, ['put 8001 available', 'put 8001 available']);
  assert.equal(registry.report().lastError, null);
});

test('a fresh session gets everything again, an old one nothing', async (t) => {
  const { driver, registry } = opened(t);
  driver.events.onUp(true);
  registry.announce(NODE, 'available');
  await registry.settled(1000);

  driver.events.onDown('gone');
  driver.events.onUp(false);
  assert.equal(await registry.settled(1000), true);
  assert.equal(driver.steps.length, 1);

  driver.events.onDown('gone');
  driver.events.onUp(true);
  assert.equal(await registry.settled(1000), true);
  assert.equal(driver.steps.length, 2);
});

test('a node that vanished from the server is announced again', async (t) => {
  const { driver, registry } = opened(t, 20);
  driver.events.onUp(true);
  registry.announce(NODE, 'available');
  await registry.settled(1000);

  driver.listed.clear();

  while (driver.listed.size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(driver.listed.get(NODE.identity)?.availability, 'available');
});

test('an answer without news counts as contact, also for who announces nothing', async (t) => {
  let wallMs = 1_000;
  const driver = new FakeDriver();
  const clock = { nowMs: realClock.nowMs, wallMs: () => wallMs };
  const registry = new ServerRegistry('r1', 'fake', driver, {
    clock,
    random: () => 0,
    logger: new RecordingLogger(),
  });
  t.after(() => registry.close());
  driver.events.onUp(true);

  wallMs = 61_000;
  driver.events.onHeard();

  assert.equal(registry.report().lastContactMs, 61_000);
});

test('a node that the driver misses is announced again at once', async (t) => {
  const { driver, registry } = opened(t);
  driver.events.onUp(true);
  registry.announce(NODE, 'available');
  await registry.settled(1000);
  driver.listed.clear();

  driver.events.onLost(NODE);
  assert.equal(registry.report().announced[0]!.seen, 'absent');

  assert.equal(await registry.settled(1000), true);
  assert.equal(driver.listed.get(NODE.identity)?.availability, 'available');
});

test('a node that was withdrawn stays so when the driver misses it', async (t) => {
  const { driver, registry } = opened(t);
  driver.events.onUp(true);
  registry.announce(NODE, 'available');
  registry.withdraw(NODE);
  await registry.settled(1000);

  driver.events.onLost(NODE);

  assert.equal(await registry.settled(1000), true);
  assert.deepEqual([driver.listed.size, registry.report().announced.length], [0, 0]);
});

test('the last word counts when it comes during a step', async (t) => {
  const { driver, registry } = opened(t);
  driver.events.onUp(true);

  registry.announce(NODE, 'available');
  registry.announce(NODE, 'unavailable');
  registry.withdraw(NODE);
  registry.announce(NODE, 'unavailable');

  assert.equal(await registry.settled(1000), true);
  assert.equal(driver.listed.get(NODE.identity)?.availability, 'unavailable');
});

test('a service is watched once for all who refer to it', async (t) => {
  const { driver, registry } = opened(t);
  const [first, second] = [new Watch(), new Watch()];
  first.subscription = registry.subscribe(REFER, first);
  second.subscription = registry.subscribe(REFER, second);
  await turn();
  assert.equal(driver.watches.size, 1);

  const [watch] = driver.watches;
  watch!.events.onNodes([NODE]);
  const late = new Watch();
  late.subscription = registry.subscribe(REFER, late);
  await late.until(() => late.answers === 1);
  assert.deepEqual([first.ports(), second.ports(), late.ports()], [[8001], [8001], [8001]]);

  for (const each of [first, second, late]) each.subscription.close();
  assert.equal(driver.watches.size, 0);
});

test('an outage is told once, also to who comes during it', async (t) => {
  const { driver, registry, logger } = opened(t);
  const watch = new Watch();
  watch.subscription = registry.subscribe(REFER, watch);
  await turn();

  driver.events.onDown('connect refused');
  driver.events.onDown('connect refused again');
  const late = new Watch();
  late.subscription = registry.subscribe(REFER, late);
  await late.until(() => late.troubles.length === 1);

  assert.deepEqual(watch.troubles, ['connect refused']);
  assert.equal(registry.report().lastError, 'connect refused again');
  assert.equal(logger.lines.filter(({ level }) => level === 'warn').length, 1);
});

test('closing withdraws what was announced, and does not wait for a server that is down', async (t) => {
  const { driver, registry } = opened(t);
  driver.events.onUp(true);
  registry.announce(NODE, 'available');
  await registry.settled(1000);

  await registry.close();

  assert.deepEqual([driver.listed.size, driver.isClosed], [0, true]);
});

test('commands of one scope are watched once for all who want them, until nobody does', async (t) => {
  const { driver, registry } = opened(t);
  const watches = [new CommandWatch(), new CommandWatch()];
  const subscriptions = watches.map((watch) => registry.subscribeCommand(G1, watch));
  await turn();
  const [driven] = driver.commandWatches;

  driven!.listener.onCommand('text');
  const late = new CommandWatch();
  const lateSubscription = registry.subscribeCommand(G1, late);
  await late.untilText('text');

  assert.equal(driver.commandWatches.size, 1);
  assert.deepEqual(
    watches.map(({ texts }) => texts),
    [['text'], ['text']],
  );
  for (const subscription of [...subscriptions, lateSubscription]) subscription.close();
  assert.equal(driver.commandWatches.size, 0);
});

test('an outage of the server, and trouble with one command, are told to its listeners', async (t) => {
  const { driver, registry } = opened(t);
  const watch = new CommandWatch();
  registry.subscribeCommand(G1, watch);
  driver.events.onUp(true);
  await turn();
  const [driven] = driver.commandWatches;
  driven!.listener.onCommand('text');

  driven!.listener.onTrouble('too long');
  driven!.listener.onTrouble('too long');
  const reported = registry.report().lastError;
  driven!.listener.onCommand(' \n');
  driver.events.onDown('down');

  assert.deepEqual(watch.troubles, ['too long', 'down']);
  assert.equal(reported, 'too long');
  assert.deepEqual(watch.texts, ['text', null]);
});

test('a scope that can have no place is told as trouble, and ends nothing', async (t) => {
  const { driver, registry } = opened(t);
  driver.commands.watch = () => {
    throw new Error('no place');
  };
  const watch = new CommandWatch();

  const place = registry.commandPlace({ kind: 'service', group: '' });
  registry.subscribeCommand({ kind: 'service', group: '' }, watch);
  await watch.until(() => watch.troubles.length > 0);

  assert.equal(place, 'no name');
  assert.deepEqual(watch.troubles, ['no place']);
});
