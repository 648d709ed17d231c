/** What the management API tells of commands. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandsAnswer } from '../../../../src/control/management/commands-answer.js';
import { runtimeInfo } from '../../../../src/control/management/runtime-info.js';
import type { CommandReport } from '../../../../src/core/index.js';
import { FakeView } from './fake-view.js';

const TEXT = '{"clientCommandList":[]}';
const OF_GROUP: CommandReport = {
  registry: 'direct',
  protocol: 'direct',
  scope: { kind: 'service', group: 'g1' },
  place: '/motan/g1/command',
  source: 'registry',
  text: TEXT,
  receivedAtMs: 20,
  commands: [],
  odd: [],
  trouble: null,
  history: [
    { atMs: 10, text: 'first' },
    { atMs: 20, text: TEXT },
  ],
};
const OF_AGENT: CommandReport = {
  ...OF_GROUP,
  scope: { kind: 'agent', application: 'app' },
  text: 'for agents',
  history: [
    { atMs: 5, text: null },
    { atMs: 15, text: 'for agents' },
  ],
};

interface Info {
  readonly clusters: Readonly<Record<string, { registries: Readonly<Record<string, object>> }>>;
}

function registryInfo(reports: CommandReport[]): object {
  const view = new FakeView();
  view.commandReports = reports;
  const { clusters } = runtimeInfo(view, 'clusters') as Info;
  return Object.values(Object.values(clusters)[0]!.registries)[0]!;
}

test('/runtime/info shows the commands of a cluster as the peers do', () => {
  assert.deepEqual(registryInfo([OF_AGENT, OF_GROUP]), {
    agentCommand: 'for agents',
    commandHistory: { '0:5': '', '1:10': 'first', '2:15': 'for agents', '3:20': TEXT },
    name: 'commandWrapper:direct',
    notifyHistory: {},
    serviceCommand: TEXT,
    weight: {},
  });
});

test('/runtime/info keeps ten commands, and cuts long ones', () => {
  const history = Array.from({ length: 10 }, (_, atMs) => ({ atMs, text: 'x'.repeat(5_000) }));
  const info = registryInfo([
    { ...OF_AGENT, history },
    { ...OF_GROUP, text: 'x'.repeat(1_000_000), history },
  ]) as { commandHistory: Record<string, string>; serviceCommand: string };

  assert.equal(Object.keys(info.commandHistory).length, 10);
  assert.equal(info.commandHistory['0:5']!.length, 1_027);
  assert.equal(info.serviceCommand.length, 16_387);
});

test('/runtime/info shows a registry without commands for the group as it is', () => {
  const other: CommandReport = { ...OF_GROUP, scope: { kind: 'service', group: 'g2' } };

  assert.deepEqual(registryInfo([other]), { name: 'direct' });
});

test('/v1/commands says that nothing is applied, and cuts long texts', () => {
  const view = new FakeView();
  view.commandReports = [OF_AGENT, { ...OF_GROUP, text: 'x'.repeat(20_000) }];

  const answer = commandsAnswer(view) as { applied: boolean; note: string; scopes: CommandReport[] };

  assert.equal(answer.applied, false);
  assert.match(answer.note, /not applied/);
  assert.deepEqual(answer.scopes[0], OF_AGENT);
  assert.equal(answer.scopes[1]!.text!.length, 16 * 1024 + 3);
});

test('/v1/commands stays of a size however long all texts together are', () => {
  const view = new FakeView();
  const text = 'x'.repeat(1_000_000);
  const odd = [{ position: 0, field: 'pattern', message: text }];
  view.commandReports = Array.from({ length: 50 }, () => ({ ...OF_GROUP, text, odd }));

  const { scopes } = commandsAnswer(view) as { scopes: CommandReport[] };

  const shown = scopes.filter((scope) => scope.odd[0]!.message === text);
  assert.ok(shown.length > 30 && shown.length < 35, `${shown.length}`);
  assert.match(scopes.at(-1)!.odd[0]!.message, /not shown/);
});
