import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CommandsAnswer, commandsText } from '../../../src/cli/commands.js';
import type { CommandReport } from '../../../src/core/index.js';

const NOW_MS = 1_000_000_000;
const COMMON = { position: 0, version: '1.0', dc: '', remark: '', more: {} };
const REPORT: CommandReport = {
  registry: 'zk',
  protocol: 'zookeeper',
  scope: { kind: 'service', group: 'g1' },
  place: '/motan/g1/command',
  source: 'registry',
  text: '{}',
  receivedAtMs: NOW_MS - 5_000,
  commands: [
    {
      kind: 'traffic',
      ...COMMON,
      index: 1,
      pattern: 'com.x.',
      remark: 'move out',
      mergeGroups: [
        { group: 'g1', weight: 3 },
        { group: 'g2', weight: null },
      ],
      routeRules: [{ from: '10.1.*', to: '!10.2.*' }],
    },
    { kind: 'degrade', ...COMMON, index: 2, pattern: '*' },
    { kind: 'switcher', ...COMMON, index: 3, pattern: 'a:true', switches: [{ name: 'a', value: true }] },
  ],
  odd: [],
  trouble: null,
  history: [],
};
const SAVED: CommandReport = {
  ...REPORT,
  scope: { kind: 'agent', application: 'shop' },
  place: '/motan/agent/shop/command',
  source: 'saved',
  receivedAtMs: NOW_MS - 7_200_000,
  commands: [REPORT.commands[1]!],
  odd: [
    { position: 4, field: 'mergeGroups', message: '"g1:x" has no weight' },
    { position: null, field: '', message: 'and\u001b[2J 3 more' },
  ],
  trouble: '127.0.0.1:2181: refused',
};

function shown(...scopes: CommandReport[]): string {
  const answer: CommandsAnswer = { applied: false, note: 'Commands are recorded, not applied.', scopes };
  return commandsText(answer, NOW_MS);
}

test('every command has a line with where it is from, for whom, and what it would do', () => {
  const text = shown(REPORT);

  assert.match(text, /^Commands are recorded, not applied\./);
  assert.match(
    text,
    /zk +group g1 +registry +5 s ago +traffic +1 +com\.x\. +call g1:3, g2; 10\.1\.\* to !10\.2\.\* \(move out\)/,
  );
  assert.match(text, /degrade +2 +\* +refuse calls/);
  assert.match(text, /switcher +3 +set a:true/);
  assert.match(text, /zk +group g1 +\/motan\/g1\/command +3 commands/);
  assert.doesNotMatch(text, /Makes no sense/);
});

test('a saved command, a registry in trouble and what makes no sense are said', () => {
  const text = shown(SAVED);

  assert.match(text, /agents of shop +saved +2 h ago +degrade/);
  assert.match(text, /1 command, saved by an earlier run; IN TROUBLE: 127\.0\.0\.1:2181: refused/);
  assert.match(text, /\/motan\/agent\/shop\/command +4 of the list +mergeGroups +"g1:x" has no weight/);
  assert.ok(!text.includes('\u001b'));
});

test('no command, no answer yet, and nothing watched are told apart', () => {
  const none: CommandReport = { ...REPORT, text: null, receivedAtMs: null, commands: [] };

  assert.match(shown(none), /Commands\n {2}none\n/);
  assert.match(shown(none), /\/motan\/g1\/command +no command/);
  assert.match(shown({ ...none, source: 'none' }), /no answer yet/);
  assert.match(shown(), /Watched\n {2}none: no refer/);
});
