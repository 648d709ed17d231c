import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Bridge, type BridgeEvent, type BridgeOptions } from '../../../../src/control/bridge/index.js';
import { MeshUrl, type Registry, silentLogger } from '../../../../src/core/index.js';
import { until } from '../../../support/clock.js';
import { FakePlace } from '../../../support/fake-place.js';
import { realClock } from '../../../support/registry-deps.js';

const NONE = Number.MAX_SAFE_INTEGER;

function node(port: number, more = ''): MeshUrl {
  return MeshUrl.parse(`motan2://10.0.0.5:${port}/com.x.Echo?group=g1&nodeType=service${more}`);
}

interface Scene {
  readonly a: FakePlace;
  readonly b: FakePlace;
  /** A bridge from `a` to `b`; closed at the end. */
  open(options?: Partial<BridgeOptions>): {
    bridge: Bridge;
    events: BridgeEvent[];
    from: Registry;
    to: Registry;
  };
}

function scene(t: TestContext): Scene {
  const a = new FakePlace('a');
  const b = new FakePlace('b');
  const open: Scene['open'] = (options = {}) => {
    const events: BridgeEvent[] = [];
    const bridge = new Bridge({
      from: a.open('a'),
      to: b.open('b'),
      isBothWays: false,
      groups: [],
      services: [],
      holdMs: 1_000_000,
      refreshMs: 5,
      isDry: false,
      clock: realClock,
      random: Math.random,
      logger: silentLogger,
      onEvent: (event) => events.push(event),
      ...options,
    });
    bridge.start();
    t.after(() => bridge.close());
    return { bridge, events, from: options.from ?? a.open('x'), to: options.to ?? b.open('y') };
  };
  return { a, b, open };
}

function isCopied(place: FakePlace, port: number): boolean {
  return /&bridgedFrom=fake-[0-9a-f]{8}&/.test(place.nodeAt(`10.0.0.5:${port}`)?.toText() ?? '');
}

/** What both sides tell each other has ended. */
async function quiet(): Promise<void> {
  for (let turns = 0; turns < 50; turns += 1) await new Promise((resolve) => setTimeout(resolve, 1));
}

test('nodes are copied with their parameters and a mark, and follow their source', async (t) => {
  const { a, b, open } = scene(t);
  a.add(node(1, '&weight=3'), node(2), node(3));
  const { events } = open();
  await until('three copies', () => b.texts.length === 3);
  const [first] = b.texts;

  a.add(node(1, '&weight=4'), node(4).with({ path: 'com.x.New' }));
  a.drop(node(2));
  await until('changes are copied', () => b.nodeAt('10.0.0.5:1')?.text('weight') === '4');
  await until('a new service is copied', () => isCopied(b, 4));
  await until('a removal is copied', () => b.texts.length === 3);

  assert.match(
    first ?? '',
    /^motan2:\/\/10\.0\.0\.5:1\/com\.x\.Echo\?group=g1&bridgedFrom=fake-\w{8}&nodeType=service&weight=3$/,
  );
  assert.equal(b.nodeAt('10.0.0.5:2'), undefined);
  assert.deepEqual(events.map(({ kind }) => kind).sort(), [
    'changed',
    'copied',
    'copied',
    'copied',
    'copied',
    'removed',
  ]);
});

test('only the chosen groups and services are copied', async (t) => {
  const { a, b, open } = scene(t);
  a.add(node(1), node(2).with({ group: 'g2' }), node(3).with({ path: 'com.y.Other' }));

  const { bridge } = open({ groups: ['g1'], services: ['com.x.*'] });
  await until('it is settled', () => bridge.status.isSettled);
  await until('a copy', () => b.texts.length > 0);

  assert.deepEqual([isCopied(b, 1), b.texts.length], [true, 1]);
});

test('a bridge both ways copies each side to the other, once, and then is quiet', async (t) => {
  const { a, b, open } = scene(t);
  a.add(node(1), node(3));
  b.add(node(2), node(3));
  const { bridge } = open({ isBothWays: true });
  await until('all is copied', () => isCopied(b, 1) && isCopied(a, 2));
  await quiet();
  const writes = a.writes + b.writes;
  await quiet();

  assert.equal(a.writes + b.writes, writes);
  assert.equal(writes, 2);
  assert.deepEqual([isCopied(a, 3), isCopied(b, 3)], [false, false]);
  assert.deepEqual(
    bridge.status.lanes.map(({ copied, skipped }) => [copied, skipped]),
    [
      [1, 1],
      [1, 1],
    ],
  );
});

test('two bridges of the same, one against them, and a third place neither loop nor flap', async (t) => {
  const { a, b, open } = scene(t);
  const c = new FakePlace('c');
  a.add(node(1), node(2));
  b.add(node(9));
  const first = open();
  open();
  open({ from: b.open('b'), to: a.open('a') });
  open({ from: b.open('b'), to: c.open('c') });
  open({ from: c.open('c'), to: a.open('a') });
  await until('all is copied', () => isCopied(b, 1) && isCopied(b, 2) && isCopied(a, 9) && isCopied(c, 9));
  await quiet();
  const writes = [a.writes, b.writes, c.writes];
  await quiet();
  const after = [a.writes, b.writes, c.writes];
  first.bridge.close();
  await quiet();

  assert.deepEqual(after, writes);
  assert.deepEqual([c.texts.length, a.texts.length], [1, 3]);
  assert.deepEqual([isCopied(b, 1), isCopied(b, 2)], [true, true]);
});

test('when a bridge ends that had taken over the copies of another, that one puts them back', async (t) => {
  const { a, b, open } = scene(t);
  a.add(node(1));
  const { events } = open();
  await until('a copy', () => isCopied(b, 1));
  const second = open();
  await until('it is copied once more', () => second.events.length > 0);
  await quiet();

  second.bridge.close();
  await until('it is put back', () => events.some(({ kind }) => kind === 'restored'));

  assert.equal(isCopied(b, 1), true);
});

test('a node that comes to the target itself takes the place of its copy, and is never touched', async (t) => {
  const { a, b, open } = scene(t);
  a.add(node(1, '&weight=1'));
  const { bridge, events } = open();
  await until('a copy', () => isCopied(b, 1));

  b.add(node(1, '&weight=2'));
  await until('it yields', () => events.at(-1)?.kind === 'skipped');
  a.add(node(1, '&weight=3'));
  a.drop(node(1));
  await quiet();
  bridge.close();

  assert.equal(b.nodeAt('10.0.0.5:1')?.toText(), node(1, '&weight=2').toText());
  assert.deepEqual(events.map(({ kind, detail }) => [kind, detail]).slice(1, 3), [
    ['yielded', null],
    ['skipped', 'there itself'],
  ]);
});

test('a node that leaves the target is not copied until it is sure that the process lives', async (t) => {
  const { a, b, open } = scene(t);
  a.add(node(1));
  b.add(node(1));
  const { events } = open();
  await until('it is skipped', () => events.length === 1);

  b.drop(node(1));
  await until('it is waited for', () => events.at(-1)?.detail === 'was there itself until just now');
  const during = b.texts.length;
  await until('it is copied', () => isCopied(b, 1), 10_000);

  assert.equal(during, 0);
});

test('copies stay when the source is suddenly empty, and go when it stays so', async (t) => {
  const { a, b, open } = scene(t);
  a.add(node(1), node(2), node(3));
  const { bridge, events } = open({ holdMs: 300 });
  await until('copies', () => b.texts.length === 3);

  a.wipe();
  await until('they are held', () => events.at(-1)?.kind === 'held');
  const { copied, held } = bridge.status.lanes[0]!;
  await until('they go', () => b.texts.length === 0);

  assert.deepEqual([copied, held], [3, 3]);
  assert.ok(events.some(({ kind }) => kind === 'let-go'));
});

test('a source that comes back after a sudden loss costs nothing', async (t) => {
  const { a, b, open } = scene(t);
  a.add(node(1), node(2), node(3));
  const { events } = open();
  await until('copies', () => b.texts.length === 3);
  const { writes } = b;

  a.wipe();
  await until('they are held', () => events.at(-1)?.kind === 'held');
  a.add(node(1), node(2), node(3));
  await quiet();

  assert.equal(b.writes, writes);
});

test('while the source is down nothing is done, but to yield', async (t) => {
  const { a, b, open } = scene(t);
  a.add(node(1), node(2));
  const { bridge, events } = open();
  await until('copies', () => b.texts.length === 2);

  a.goDown();
  await until('it is told', () => bridge.status.lanes[0]!.trouble !== null);
  b.add(node(1));
  await until('it yields', () => events.some(({ kind }) => kind === 'yielded'));
  const during = b.texts.length;
  a.comeUp();
  await until('it is told', () => bridge.status.lanes[0]!.trouble === null);

  assert.equal(during, 2);
  assert.equal(isCopied(b, 2), true);
  assert.match(events.find(({ kind }) => kind === 'trouble')?.detail ?? '', /a is down/);
});

test('a target that was down and wiped has the copies again', async (t) => {
  const { a, b, open } = scene(t);
  a.add(node(1), node(2));
  open();
  await until('copies', () => b.texts.length === 2);

  b.goDown();
  a.add(node(3));
  await quiet();
  b.wipe();
  b.comeUp();
  await until('all are there', () => b.texts.length === 3);

  assert.equal(isCopied(b, 3), true);
});

test('a dry run says what it would do, and writes nothing', async (t) => {
  const { a, b, open } = scene(t);
  a.add(node(1), node(2));
  b.add(node(2));

  const { bridge, events } = open({ isDry: true });
  const isSettled = await bridge.settled(5000);

  assert.equal(isSettled, true);
  assert.equal(b.writes, 0);
  assert.deepEqual(events.map(({ kind }) => kind).sort(), ['copied', 'skipped']);
});

test('what is listed under the wrong service, and a second protocol at an address, are skipped with the reason', async (t) => {
  const { a, b, open } = scene(t);
  const registry = a.open('a');
  const wrong = node(7).with({ path: 'com.x.Elsewhere' });
  const twice = node(1).with({ protocol: 'motan' });
  const from: Registry = {
    ...registry,
    subscribe: (refer, listener) => {
      setImmediate(() => listener.onNodes([wrong, node(1), twice]));
      return registry.subscribe(refer, { onNodes: () => {}, onTrouble: () => {} });
    },
  };
  a.add(node(1));

  const { events } = open({ from });
  await until('one is copied', () => b.texts.length === 1);
  await quiet();

  assert.deepEqual(
    events.filter(({ kind }) => kind === 'skipped').map(({ node: at, detail }) => [at, detail]),
    [
      ['motan2://10.0.0.5:7', 'its url is of service com.x.Elsewhere in group g1'],
      ['motan://10.0.0.5:1', 'another protocol at this address'],
    ],
  );
  assert.equal(b.nodeAt('10.0.0.5:1')?.protocol, 'motan2');
});

test('the end of a bridge takes its copies out, and nothing else', async (t) => {
  const { a, b, open } = scene(t);
  a.add(node(1));
  b.add(node(5));
  const { bridge } = open();
  await until('a copy', () => isCopied(b, 1));

  bridge.close();

  assert.deepEqual(b.texts, [node(5).toText()]);
});

test('registries that cannot be bridged are refused', () => {
  const place = new FakePlace('a');
  const from = place.open('a');
  const { listServices: _none, ...to } = place.open('plain');
  const options = {
    isBothWays: false,
    groups: [],
    services: [],
    holdMs: NONE,
    refreshMs: NONE,
    isDry: false,
    clock: realClock,
    random: Math.random,
    logger: silentLogger,
    onEvent: () => {},
  };

  assert.throws(() => new Bridge({ ...options, from, to: from }), /cannot be bridged to itself/);
  assert.throws(
    () => new Bridge({ ...options, from, to }),
    /registry plain of protocol fake cannot be bridged/,
  );
});
