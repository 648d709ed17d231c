/** When registrations end by themselves, on a clock that the test moves; and what a later start makes of them. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { AgentError, HeldConnection } from '../../../../src/core/index.js';
import { until } from '../../../support/clock.js';
import { makeFolder, posted, Scene } from './scene.js';

class FakeConnection implements HeldConnection {
  isClosed = false;
  #listener: () => void = () => {};

  onClosed(listener: () => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.isClosed = true;
    this.#listener();
  }
}

test('a ttl ends when nobody renews, and counts anew from each renewal', async (t) => {
  const scene = await Scene.open(t);
  const { registrations } = scene;
  await registrations.add('service', posted({}, { ttl: '3' }), null);
  const [typed] = await registrations.add('service', posted({ path: 'com.x.T' }), {
    kind: 'ttl',
    seconds: 3,
  });

  await scene.tick(2);
  await registrations.add('service', posted({}, { ttl: '3' }), null);
  await registrations.renew(typed!.id, null);
  await scene.tick(2);
  const kept = scene.paths;
  await scene.tick(1);

  assert.deepEqual(kept, ['com.x.Echo', 'com.x.T']);
  assert.deepEqual(scene.paths, []);
  assert.equal(await registrations.renew(typed!.id, null), null);
  assert.equal(scene.services.length, 0);
});

test('a ttl is not announced', async (t) => {
  const scene = await Scene.open(t);

  const [made] = await scene.registrations.add('service', posted({}, { ttl: '3' }), null);

  assert.equal(made!.url.parameters.has('ttl'), false);
  assert.deepEqual([made!.lease.kind, made!.lease.seconds, made!.lease.endsInMs], ['ttl', 3, 3000]);
});

test('without a ttl the next registration stays for good', async (t) => {
  const scene = await Scene.open(t);
  await scene.registrations.add('service', posted({}, { ttl: '3' }), null);

  await scene.registrations.add('service', posted(), null);
  await scene.tick(10);

  assert.deepEqual(scene.paths, ['com.x.Echo']);
});

test('time in which the agent itself stood still ends nothing', async (t) => {
  const scene = await Scene.open(t);
  await scene.registrations.add('service', posted({}, { ttl: '5' }), null);
  await scene.tick(1);

  scene.clock.advanceMs(60_000);
  await scene.tick(3);
  const kept = scene.paths;
  await scene.tick(3);

  assert.deepEqual(kept, ['com.x.Echo']);
  assert.deepEqual(scene.paths, []);
});

test('a registration ends with its process', async (t) => {
  const scene = await Scene.open(t);
  await scene.registrations.add('service', posted(), { kind: 'process', pid: 41 });
  await scene.registrations.add('refer', posted(), { kind: 'process', pid: 42 });
  await scene.tick(100);
  const kept = scene.registrations.list().length;

  scene.running.delete(41);
  await scene.tick();

  assert.equal(kept, 2);
  assert.deepEqual(
    scene.registrations.list().map(({ kind }) => kind),
    ['refer'],
  );
  await assert.rejects(
    scene.registrations.add('service', posted(), { kind: 'process', pid: 41 }),
    (error: AgentError) => error.code === 'E_REGISTRATION' && error.message.includes('41'),
  );
});

test('a registration ends with its connection, at once, and one that came too late is refused', async (t) => {
  const scene = await Scene.open(t);
  const connection = new FakeConnection();
  await scene.registrations.add('service', posted(), { kind: 'connection', connection });

  connection.close();
  await until('the end of the registration', () => scene.services.length === 0);

  await assert.rejects(scene.registrations.add('service', posted(), { kind: 'connection', connection }));
});

test('a refer that two programs want stays for the one that needs it longer', async (t) => {
  const scene = await Scene.open(t);
  await scene.registrations.add('refer', posted({}, { ttl: '9' }), null);
  await scene.registrations.add('refer', posted({}, { ttl: '3' }), null);

  await scene.tick(6);
  const kept = scene.refers.length;
  await scene.tick(6);

  assert.deepEqual([kept, scene.refers.length], [1, 0]);
});

test('a later start restores what has not ended, for no longer than it was given', async (t) => {
  const folder = makeFolder(t);
  const first = new Scene(folder);
  await first.registrations.open(false);
  const connection = new FakeConnection();
  await first.registrations.add('service', posted({ path: 'com.x.Stays' }), null);
  await first.registrations.add('service', posted({ path: 'com.x.Long' }), { kind: 'ttl', seconds: 100 });
  await first.registrations.add('service', posted({ path: 'com.x.Short' }), { kind: 'ttl', seconds: 10 });
  await first.registrations.add('service', posted({ path: 'com.x.Alive' }), { kind: 'process', pid: 41 });
  await first.registrations.add('service', posted({ path: 'com.x.Dead' }), { kind: 'process', pid: 42 });
  await first.registrations.add('service', posted({ path: 'com.x.Held' }), {
    kind: 'connection',
    connection,
  });
  await first.registrations.close();

  const later = new Scene(folder);
  later.clock.advanceMs(20_000);
  later.running.delete(42);
  await later.registrations.open(true);
  const restored = [...later.paths].sort();
  const endsInMs = later.registrations.list().find(({ url }) => url.path === 'com.x.Long')!.lease.endsInMs;
  await later.tick(81);

  assert.deepEqual(restored, ['com.x.Alive', 'com.x.Long', 'com.x.Stays']);
  assert.equal(endsInMs, 80_000);
  assert.deepEqual([...later.paths].sort(), ['com.x.Alive', 'com.x.Stays']);
});

test('a wall clock that was set back gives no lease more than it had', async (t) => {
  const folder = makeFolder(t);
  const first = new Scene(folder);
  await first.registrations.open(false);
  await first.registrations.add('service', posted(), { kind: 'ttl', seconds: 10 });
  await first.registrations.close();
  const text = readFileSync(first.snap.file, 'utf8');
  writeFileSync(first.snap.file, text.replace(/"endsAtMs":\d+/, `"endsAtMs":${Date.UTC(2040, 1, 1)}`));

  const later = new Scene(folder);
  await later.registrations.open(true);

  assert.equal(later.registrations.list()[0]!.lease.endsInMs, 10_000);
});
