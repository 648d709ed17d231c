import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FilterFactory, failed, failure, MeshUrl, type Reply } from '../../../../src/core/index.js';
import { chainBuilder } from '../../../../src/data/filter/index.js';
import { answer, call } from '../../../support/calls.js';

const TARGET = { refer: new MeshUrl({}), address: '', role: 'client-agent' } as const;

/** Filters that note what happens in `seen`; the one named in `refusing` refuses with `reply`. */
function table(seen: string[], refusing = '', reply: Reply | null = null): Map<string, FilterFactory> {
  const factory = (name: string, order: number, scope: 'endpoint' | 'cluster'): FilterFactory => ({
    order,
    scope,
    create: () => ({
      before: () => {
        seen.push(`> ${name}`);
        return name === refusing ? reply : null;
      },
      after: () => seen.push(`< ${name}`),
    }),
  });
  const silent: FilterFactory = {
    order: 2,
    scope: 'endpoint',
    create: () => ({ before: null, after: null }),
  };
  return new Map([
    ['outer', factory('outer', 1, 'endpoint')],
    ['silent', silent],
    ['middle', factory('middle', 3, 'endpoint')],
    ['inner', factory('inner', 5, 'endpoint')],
    ['other', factory('other', 1, 'cluster')],
  ]);
}

test('filters run by their order on the way in and backwards on the way out', () => {
  const seen: string[] = [];
  const chain = chainBuilder(table(seen))('inner, silent,outer,middle', 'endpoint', TARGET)!;

  assert.equal(chain.before(call(), 0), null);
  chain.after(call(), answer(), 0, 1);

  assert.deepEqual(seen, ['> outer', '> middle', '> inner', '< inner', '< middle', '< outer']);
});

test('a refusal is seen by exactly those filters that let the call pass', () => {
  const seen: string[] = [];
  const refusal = failed(failure('E_OVERLOADED', 'full'));
  const chain = chainBuilder(table(seen, 'middle', refusal))(
    'outer,silent,middle,inner',
    'endpoint',
    TARGET,
  )!;

  assert.equal(chain.before(call(), 0), refusal);

  assert.deepEqual(seen, ['> outer', '> middle', '< outer']);
});

test('names of the other scope and unknown ones are left out; nothing left is null', () => {
  const build = chainBuilder(table([]));

  assert.equal(build('', 'endpoint', TARGET), null);
  assert.equal(build('other,unknown, ,', 'endpoint', TARGET), null);
  assert.notEqual(build('other', 'cluster', TARGET), null);
});
