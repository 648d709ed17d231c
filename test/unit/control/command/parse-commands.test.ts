import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { COMMANDS_MAX, ODD_MAX, parseCommands } from '../../../../src/control/command/parse-commands.js';
import { commandList } from './texts.js';

test('a command text is read with all that it says', () => {
  const text = commandList({
    index: 3,
    version: '1.0',
    commandType: 0,
    dc: 'yf',
    pattern: 'com.x.',
    mergeGroups: ['g1:3', 'g2'],
    routeRules: ['10.1.* to !10.2.*'],
    remark: 'move',
    owner: 'ops',
  });

  const { commands, odd } = parseCommands(text);

  assert.deepEqual(commands, [
    {
      kind: 'traffic',
      index: 3,
      position: 0,
      pattern: 'com.x.',
      version: '1.0',
      dc: 'yf',
      remark: 'move',
      more: { owner: 'ops' },
      mergeGroups: [
        { group: 'g1', weight: 3 },
        { group: 'g2', weight: null },
      ],
      routeRules: [{ from: '10.1.*', to: '!10.2.*' }],
    },
  ]);
  assert.deepEqual(odd, []);
});

test('commands stand in the order of their index, equal ones as they were written', () => {
  const degrade = (index: number, pattern: string) => ({ index, commandType: 1, pattern });
  const text = commandList(degrade(2, 'a'), degrade(1, 'b'), degrade(2, 'c'), degrade(-1, 'd'));

  const { commands } = parseCommands(text);

  assert.deepEqual(
    commands.map(({ pattern, position }) => `${pattern}${position}`),
    ['d3', 'b1', 'a0', 'c2'],
  );
});

test('names of fields may be written in any case, and what is missing or null is 0 or empty', () => {
  const text =
    '{"CLIENTCOMMANDLIST":[{"Index":7,"COMMANDTYPE":1,"pattern":"*","dc":null,"mergegroups":null}]}';

  const [command] = parseCommands(text).commands;

  assert.equal(command?.kind, 'degrade');
  assert.equal(command?.index, 7);
  assert.equal(command?.dc, '');
});

test('null, an empty object and an empty list are no commands, and nothing odd', () => {
  for (const text of ['null', '{}', '{"clientCommandList":null}', '{"clientCommandList":[]}', '{"other":1}'])
    assert.deepEqual(parseCommands(text), { commands: [], odd: [] }, text);
});

test('a text that is no JSON, or of another shape, is no command at all and named', () => {
  for (const text of ['', 'stop', '[]', '7', '{"clientCommandList":[]} x', '{"clientCommandList":{}}']) {
    const { commands, odd } = parseCommands(text);
    assert.deepEqual(commands, [], text);
    assert.equal(odd.length, 1, text);
    assert.match(odd[0]!.message, /the whole text is no command$/, text);
  }
});

test('one value of a wrong type makes the whole text no command, as with motan-go, and is named with its place', () => {
  const good = { index: 1, commandType: 1, pattern: '*' };
  const cases: [object, string][] = [
    [{ index: '1' }, 'index'],
    [{ index: 1.5 }, 'index'],
    [{ commandType: true }, 'commandType'],
    [{ pattern: 3 }, 'pattern'],
    [{ version: 1 }, 'version'],
    [{ mergeGroups: 'g1' }, 'mergeGroups'],
    [{ commandType: 1, mergeGroups: [1] }, 'mergeGroups'],
    [{ routeRules: [{}] }, 'routeRules'],
  ];
  for (const [entry, field] of cases) {
    const { commands, odd } = parseCommands(commandList(good, entry));
    assert.deepEqual(commands, [], field);
    assert.deepEqual(
      odd.map((one) => [one.position, one.field]),
      [[1, field]],
    );
  }
  assert.equal(parseCommands(commandList(good, 'text')).odd[0]?.position, 1);
});

test('an entry that is null or of an unknown kind is left out and named, and the others stay', () => {
  const text = commandList(null, { commandType: 9, pattern: '*' }, { commandType: 1, pattern: '*' });

  const { commands, odd } = parseCommands(text);

  assert.deepEqual(
    commands.map(({ kind, position }) => [kind, position]),
    [['degrade', 2]],
  );
  assert.deepEqual(
    odd.map(({ position, field }) => [position, field]),
    [
      [0, ''],
      [1, 'commandType'],
    ],
  );
});

test('groups without a name go, and a bad weight is 1', () => {
  const mergeGroups = ['g1:0', 'g2:101', 'g3:x', 'g4:100', 'g5:', ':3', '', 'g6:2:3'];

  const { commands, odd } = parseCommands(commandList({ pattern: '*', mergeGroups }));

  const [command] = commands;
  assert.ok(command?.kind === 'traffic');
  assert.deepEqual(
    command.mergeGroups.map(({ group, weight }) => `${group}=${weight}`),
    ['g1=1', 'g2=1', 'g3=1', 'g4=100', 'g5=1', 'g6=2'],
  );
  assert.equal(odd.length, 7);
  assert.ok(odd.every(({ position, field }) => position === 0 && field === 'mergeGroups'));
});

test('a rule without exactly two sides goes', () => {
  const routeRules = ['10.1.*to10.2.*', 'a to b to c', ' to b', 'a', '', '* to *'];

  const { commands, odd } = parseCommands(commandList({ pattern: '*', mergeGroups: ['g1'], routeRules }));

  const [command] = commands;
  assert.ok(command?.kind === 'traffic');
  assert.deepEqual(command.routeRules, [
    { from: '10.1.*', to: '10.2.*' },
    { from: '*', to: '*' },
  ]);
  assert.equal(odd.filter(({ field }) => field === 'routeRules').length, 4);
});

test('the pattern of a switcher command is its switches', () => {
  const { commands, odd } = parseCommands(
    commandList({ commandType: 2, pattern: 'a:true,b:false,c:1,d:maybe,e,:true,f:F' }),
  );

  const [command] = commands;
  assert.ok(command?.kind === 'switcher');
  assert.deepEqual(
    command.switches.map(({ name, value }) => `${name}=${value}`),
    ['a=true', 'b=false', 'c=true', 'f=false'],
  );
  assert.equal(odd.length, 3);
});

test('a command for everything, by an empty pattern or without groups, is told', () => {
  const { commands, odd } = parseCommands(commandList({}));

  assert.equal(commands.length, 1);
  assert.deepEqual(
    odd.map(({ field }) => field),
    ['pattern', 'mergeGroups'],
  );
});

test('lists, oddities and nesting have a bound', () => {
  const many = parseCommands(commandList(...Array.from({ length: COMMANDS_MAX + 5 }, () => ({}))));
  const deep = parseCommands(
    `{"clientCommandList":[{"commandType":1,"pattern":"*","deep":${'['.repeat(50_000)}${']'.repeat(50_000)}}]}`,
  );

  assert.equal(many.commands.length, COMMANDS_MAX);
  assert.equal(many.odd.length, ODD_MAX + 1);
  assert.match(many.odd[0]!.message, /5 left out/);
  assert.deepEqual(deep.commands[0]?.more, {});
  assert.equal(deep.odd[0]?.field, 'deep');
});

test('a field named like a part of every object is a field like any other', () => {
  const { commands } = parseCommands(
    '{"clientCommandList":[{"commandType":1,"pattern":"*","__proto__":{"kind":"x"},"constructor":1}]}',
  );

  assert.equal(commands[0]?.kind, 'degrade');
  assert.deepEqual(Object.keys(commands[0]!.more), ['__proto__', 'constructor']);
});

test('whatever stands in a text is commands in their order, or a reason, and can be shown', () => {
  const field = fc.constantFrom(
    'index',
    'commandType',
    'pattern',
    'MERGEGROUPS',
    'routeRules',
    'dc',
    'x',
    '__proto__',
  );
  const value = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.string(), fc.array(fc.string()), fc.jsonValue());
  const entry = fc.oneof(
    { weight: 5, arbitrary: fc.dictionary(field, value) },
    { weight: 1, arbitrary: fc.jsonValue() },
  );
  const text = fc.oneof(
    fc.array(entry).map((entries) => commandList(...entries)),
    fc.json(),
    fc.string(),
  );

  fc.assert(
    fc.property(text, (given) => {
      const { commands, odd } = parseCommands(given);

      const indexes = commands.map(({ index }) => index);
      assert.deepEqual(
        indexes,
        [...indexes].sort((one, other) => one - other),
      );
      assert.ok(commands.every(({ kind }) => ['traffic', 'degrade', 'switcher'].includes(kind)));
      assert.ok(commands.length > 0 || odd.length > 0 || isNothing(given), given);
      assert.deepEqual(JSON.parse(JSON.stringify(commands)), commands);
    }),
    { numRuns: 500 },
  );
});

function isNothing(text: string): boolean {
  const value = JSON.parse(text) as Record<string, unknown> | null;
  if (value === null) return true;
  const [, list] =
    Object.entries(value).findLast(([name]) => name.toLowerCase() === 'clientcommandlist') ?? [];
  return list === undefined || list === null || (Array.isArray(list) && list.length === 0);
}
