import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceFilter } from '../../../../src/control/bridge/service-filter.js';

const SERVICE = { group: 'shop-g1', path: 'com.x.Echo' };

const CASES: [groups: string[], services: string[], takes: boolean][] = [
  [[], [], true],
  [['shop-*'], [], true],
  [['shop'], [], false],
  [['other', 'shop-g?'], ['*.Echo'], true],
  [[], ['com.x.Ech'], false],
  [[], ['com?x?Echo'], true],
  [[], ['comxxxEcho'], false],
  [['*'], ['com.x.[A-Z]*'], false],
];

for (const [groups, services, takes] of CASES) {
  test(`groups ${groups.join() || 'all'} and services ${services.join() || 'all'} ${takes ? 'take' : 'leave out'} it`, () => {
    assert.equal(new ServiceFilter(groups, services).takes(SERVICE), takes);
  });
}

test('many stars cost no more than one', () => {
  const filter = new ServiceFilter([], [`${'*'.repeat(1000)}x`]);

  assert.equal(filter.takes({ group: '', path: 'a'.repeat(10_000) }), false);
});
