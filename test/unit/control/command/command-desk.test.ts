import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { CommandDesk, HISTORY_CHARS_MAX, HISTORY_MAX } from '../../../../src/control/command/command-desk.js';
import {
  type CommandScope,
  type CommandStore,
  commandScopeKey,
  type SavedCommand,
} from '../../../../src/core/index.js';
import { FakeClock } from '../../../support/clock.js';
import { FakeRegistry } from '../../../support/fake-registry.js';
import { RecordingLogger } from '../../../support/registry-deps.js';
import { commandList } from './texts.js';

const DEGRADE = commandList({ index: 1, commandType: 1, pattern: 'com.x.' });
const AGENT = { application: 'shop', registry: 'zk' };
const NO_AGENT = { application: 'shop', registry: null };
const G1 = [{ groups: ['g1'], registryIds: ['zk'] }];

class FakeStore implements CommandStore {
  readonly saved = new Map<string, SavedCommand>();
  readonly steps: string[] = [];
  /** Loads answer when it is called. */
  release: () => void = () => {};
  #released = new Promise<void>((resolve) => {
    this.release = resolve;
  });

  save(registry: string, scope: CommandScope, saved: SavedCommand | null): void {
    const key = `${registry} ${commandScopeKey(scope)}`;
    this.steps.push(saved === null ? `forget ${key}` : `save ${key}`);
    if (saved === null) this.saved.delete(key);
    else this.saved.set(key, saved);
  }

  async load(registry: string, scope: CommandScope): Promise<SavedCommand | null> {
    await this.#released;
    return this.saved.get(`${registry} ${commandScopeKey(scope)}`) ?? null;
  }
}

function scene(t: TestContext) {
  const [zk, other] = [new FakeRegistry('zk'), new FakeRegistry('other')];
  const registries = new Map([
    ['zk', zk],
    ['zk-again', zk],
    ['other', other],
  ]);
  const [store, clock, logger] = [new FakeStore(), new FakeClock(), new RecordingLogger()];
  const desk = new CommandDesk({ registries, store, clock, logger });
  t.after(() => desk.close());
  const only = () => {
    const reports = desk.reports();
    assert.equal(reports.length, 1);
    return reports[0]!;
  };
  const loaded = async (): Promise<void> => {
    store.release();
    await turn();
  };
  return { zk, other, store, clock, logger, desk, only, loaded };
}

test('the groups of refers and the application of the agent are watched once each', (t) => {
  const { zk, other, desk } = scene(t);

  desk.follow(AGENT, [
    { groups: ['g1'], registryIds: ['zk', 'zk-again', 'missing'] },
    { groups: ['g1', 'G1'], registryIds: ['zk', 'other'] },
  ]);

  assert.deepEqual(
    desk.reports().map(({ registry, place, source }) => [registry, place, source]),
    [
      ['zk', '/fake/agent:shop', 'none'],
      ['other', '/fake/G1', 'none'],
      ['zk', '/fake/G1', 'none'],
      ['other', '/fake/g1', 'none'],
      ['zk', '/fake/g1', 'none'],
    ],
  );
  assert.equal(zk.commandSubscriptions.size, 3);
  assert.equal(other.commandSubscriptions.size, 2);
});

test('a registry that holds no commands is not watched', (t) => {
  const { zk, desk } = scene(t);
  zk.holdsCommands = false;

  desk.follow(AGENT, G1);

  assert.deepEqual(desk.reports(), []);
  assert.equal(zk.commandSubscriptions.size, 0);
});

test('a new text is read, stamped, saved, told to listeners and logged as recorded and not applied', async (t) => {
  const { zk, store, clock, logger, desk, only, loaded } = scene(t);
  desk.follow(NO_AGENT, G1);
  await loaded();
  const told: (string | null)[] = [];
  desk.onChange(({ text }) => told.push(text));

  clock.advanceMs(5);
  zk.tellCommand('g1', DEGRADE);

  const report = only();
  assert.equal(report.source, 'registry');
  assert.equal(report.text, DEGRADE);
  assert.equal(report.receivedAtMs, clock.wallMs());
  assert.deepEqual(
    report.commands.map(({ kind, pattern }) => [kind, pattern]),
    [['degrade', 'com.x.']],
  );
  assert.deepEqual(told, [DEGRADE]);
  assert.deepEqual(store.saved.get('zk service g1'), { text: DEGRADE, receivedAtMs: clock.wallMs() });
  const lines = logger.lines.filter(({ level }) => level === 'info');
  assert.equal(lines.length, 1);
  assert.match(lines[0]!.message, /not applied in this version/);
  assert.equal(lines[0]!.fields.place, '/fake/g1');
});

test('the same text again is no news', async (t) => {
  const { zk, store, clock, logger, desk, only, loaded } = scene(t);
  desk.follow(NO_AGENT, G1);
  await loaded();
  zk.tellCommand('g1', DEGRADE);
  const [before, steps, lines] = [only(), store.steps.length, logger.lines.length];

  clock.advanceMs(1_000);
  zk.tellCommand('g1', DEGRADE);

  assert.deepEqual(only(), before);
  assert.equal(store.steps.length, steps);
  assert.equal(logger.lines.length, lines);
});

test('what makes no sense is named with registry, place and position, and is no command', async (t) => {
  const { zk, logger, desk, only, loaded } = scene(t);
  desk.follow(NO_AGENT, G1);
  await loaded();
  zk.tellCommand('g1', DEGRADE);

  zk.tellCommand('g1', commandList({ index: 'one' }));

  assert.deepEqual(only().commands, []);
  assert.deepEqual(
    only().odd.map(({ position, field }) => [position, field]),
    [[0, 'index']],
  );
  const warnings = logger.lines.filter(({ level }) => level === 'warn');
  assert.equal(warnings.length, 1);
  assert.deepEqual([warnings[0]!.fields.registry, warnings[0]!.fields.place], ['zk', '/fake/g1']);
  assert.match(warnings[0]!.message, /command 0 of the list, index/);
});

test('trouble takes nothing away, and an answer ends it', async (t) => {
  const { zk, desk, only, loaded } = scene(t);
  desk.follow(NO_AGENT, G1);
  await loaded();
  zk.tellCommand('g1', DEGRADE);

  zk.trouble('down');
  const [trouble, commands] = [only().trouble, only().commands.length];
  zk.tellCommand('g1', DEGRADE);

  assert.deepEqual([trouble, commands], ['down', 1]);
  assert.equal(only().trouble, null);
});

test('a saved text stands while the registry is silent, as old as it is', async (t) => {
  const { zk, store, logger, desk, only, loaded } = scene(t);
  store.saved.set('zk service g1', { text: DEGRADE, receivedAtMs: 77 });
  desk.follow(NO_AGENT, G1);

  zk.trouble('down');
  await loaded();

  const { source, receivedAtMs, trouble, commands } = only();
  assert.deepEqual([source, receivedAtMs, trouble, commands.length], ['saved', 77, 'down', 1]);
  assert.match(logger.lines.at(-1)!.message, /of an earlier run/);
});

test('the registry saying the same makes a saved text its own, with its age', async (t) => {
  const { zk, store, desk, only, loaded } = scene(t);
  store.saved.set('zk service g1', { text: DEGRADE, receivedAtMs: 77 });
  desk.follow(NO_AGENT, G1);
  await loaded();

  zk.tellCommand('g1', DEGRADE);

  assert.deepEqual([only().source, only().receivedAtMs], ['registry', 77]);
  assert.deepEqual(store.steps, []);
});

test('the registry saying that there is none clears a saved text, here and on the disk', async (t) => {
  const { zk, store, desk, only, loaded } = scene(t);
  store.saved.set('zk service g1', { text: DEGRADE, receivedAtMs: 77 });
  desk.follow(NO_AGENT, G1);
  await loaded();

  zk.tellCommand('g1', null);

  assert.deepEqual([only().source, only().text, only().receivedAtMs], ['registry', null, null]);
  assert.deepEqual(only().commands, []);
  assert.equal(store.saved.size, 0);
});

test('a registry that answers before the disk counts', async (t) => {
  const { zk, store, desk, only, loaded } = scene(t);
  store.saved.set('zk service g1', { text: 'old', receivedAtMs: 77 });
  desk.follow(NO_AGENT, G1);

  zk.tellCommand('g1', null);
  await loaded();

  assert.equal(only().text, null);
  assert.equal(store.saved.size, 0);
});

test('the last ten texts are kept, the oldest first, and long ones are cut', async (t) => {
  const { zk, desk, only, loaded } = scene(t);
  desk.follow(NO_AGENT, G1);
  await loaded();

  for (let count = 1; count <= HISTORY_MAX + 2; count += 1) zk.tellCommand('g1', `text ${count}`);
  zk.tellCommand('g1', null);
  zk.tellCommand('g1', 'x'.repeat(HISTORY_CHARS_MAX + 1));

  const texts = only().history.map(({ text }) => text);
  assert.equal(texts.length, HISTORY_MAX);
  assert.equal(texts[0], 'text 5');
  assert.equal(texts.at(-2), null);
  assert.equal(texts.at(-1)?.length, HISTORY_CHARS_MAX + 3);
});

test('a change of refers leaves alone what stays, lets go what is not wanted, and adds the rest', async (t) => {
  const { zk, desk, loaded } = scene(t);
  desk.follow(AGENT, [
    { groups: ['g1'], registryIds: ['zk'] },
    { groups: ['g2'], registryIds: ['zk'] },
  ]);
  await loaded();
  zk.tellCommand('g1', DEGRADE);
  const before = [...zk.commandSubscriptions];

  desk.follow(AGENT, [
    { groups: ['g1'], registryIds: ['zk-again'] },
    { groups: ['g3'], registryIds: ['zk'] },
  ]);
  zk.tellCommand('g2', DEGRADE);

  const reports = desk.reports();
  assert.deepEqual(
    reports.map(({ place, text }) => [place, text === null]),
    [
      ['/fake/agent:shop', true],
      ['/fake/g1', false],
      ['/fake/g3', true],
    ],
  );
  assert.equal([...zk.commandSubscriptions].filter((one) => before.includes(one)).length, 2);
});

test('nothing is watched and told after the end', async (t) => {
  const { zk, store, desk, loaded } = scene(t);
  store.saved.set('zk service g1', { text: DEGRADE, receivedAtMs: 77 });
  desk.follow(NO_AGENT, G1);

  desk.close();
  await loaded();
  desk.follow(AGENT, G1);

  assert.equal(zk.commandSubscriptions.size, 0);
  assert.ok(desk.reports().every(({ text }) => text === null));
});
