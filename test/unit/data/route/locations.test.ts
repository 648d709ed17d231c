/** Locations and rewrite rules; the tables are what motan-go gave for the same input (spec traffic B.1). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpLocationConfig } from '../../../../src/core/index.js';
import { LocationTable } from '../../../../src/data/route/index.js';

function location(
  type: string,
  match: string,
  upstream: string,
  rewriteRules: string[] = [],
): HttpLocationConfig {
  return { type: type as HttpLocationConfig['type'], match, upstream, rewriteRules };
}

const TABLE = new LocationTable([
  location('start', '/a', 'pA'),
  location('start', '/a/b', 'pAB'),
  location('start', '/a/b', 'pAB2'),
  location('regexp', '^/a/b/x', 're1'),
  location('iregexp', '^/A/B/X', 're2'),
  location('exact', '/a/b/x', 'ex'),
  location('start', '', 'e'),
  location('regexp', '(', 'bad'),
  location('prefix', '/z', 'u'),
]);

const MATCHES: [string, string | null][] = [
  ['/a/b/x', 'ex'],
  ['/a/b/xy', 're1'],
  ['/a/B/xz', 're2'],
  ['/A/b/X', 're2'],
  ['/a/b/c', 'pAB'],
  ['/a/c', 'pA'],
  ['/abc', 'pA'],
  ['/b', null],
  ['/z', null],
  ['', null],
];
for (const [path, upstream] of MATCHES) {
  test(`"${path}" belongs to ${upstream ?? 'nobody'}`, () => {
    assert.equal(TABLE.match(path)?.upstream ?? null, upstream);
  });
}

function rewrite(rules: string | string[], path: string, query = ''): string {
  const list = typeof rules === 'string' ? [rules] : rules;
  return new LocationTable([location('regexp', '', 's', list)]).match(path)!.rewrite(path, query);
}

const VAR = 'regexpVar ^/f ^/(.*) /v/{a}/$1';
const REWRITES: [string | string[], string, string, string][] = [
  ['start / ^/(.*) /x/$1', '/foo/bar', '', '/x/foo/bar'],
  ['start / ^/(.*) /x/$1suffix', '/foo', '', '/x/'],
  [`start / ^/(.*) /x/\${1}suffix`, '/foo', '', '/x/foosuffix'],
  ['start / ^/(.*) /x/$$1', '/foo', '', '/x/$1'],
  ['start / ^/(?P<n>[a-z]+) /x/$n/y', '/foo', '', '/x/foo/y'],
  ['start / ^/(.*) /x/$2', '/foo', '', '/x/'],
  ['start / oo /x/$0', '/foo/bar', '', '/x/oo'],
  ['start / (?i)^/FOO /hit', '/foo', '', '/hit'],
  ['exact /foo ^/(.*) /x/$1', '/foo/', '', '/foo/'],
  ['!exact /foo ^/(.*) /x/$1', '/foo/', '', '/x/foo/'],
  ['!regexp ^/f ^/(.*) /x/$1', '/foo', '', '/foo'],
  ['regexpVar ^/f ^/(.*) /v/{a}/{b}/$1', '/foo', 'a=1&a=2', '/v/1//foo'],
  [VAR, '/foo', '', '/v/{a}/foo'],
  [VAR, '/foo', 'a=%2Fx%3F', '/v//x?/foo'],
  [VAR, '/f{a}oo', 'a=z', '/v/z/fzoo'],
  ['regexp ^/(?!x) ^/(.*) /x', '/any', '', '/any'],
  [' start / ^/(.*) /x', '/foo', '', '/foo'],
  ['start / ^/(.*) /x ', '/foo', '', '/foo'],
  ['start / ^/(.*)', '/foo', '', '/foo'],
  ['start / ^/(.*) /x y', '/foo', '', '/foo'],
  ['START / ^/(.*) /x', '/foo', '', '/foo'],
  [['start / ^/a /b', 'start / ^/b /c'], '/a', '', '/b'],
  ['!regexp ^/2/.* ^/(.*) /2/$1', '/a/b', '', '/2/a/b'],
  ['iregexp ^/FOO ^/(.*) /x/$1', '/foo', '', '/x/foo'],
  ['start\t/  ^/(.*)\t/x/$1', '/foo', '', '/x/foo'],
  // Go's Expand: a lone dollar and an unclosed brace stand for themselves, a number has no superfluous 0.
  ['start / ^/(.*) /x$/${1/$01', '/foo', '', '/x$/${1/'],
];
for (const [rules, path, query, expected] of REWRITES) {
  test(`${JSON.stringify(rules)} makes "${expected}" of "${path}" with "${query}"`, () => {
    assert.equal(rewrite(rules, path, query), expected);
  });
}

test('the first rule that fits is the only one that is applied', () => {
  const rules = ['exact /no ^/ /1', 'start / nowhere /2', 'start / ^/(.*) /3/$1', 'start / ^/ /4'];

  assert.equal(rewrite(rules, '/p'), '/3/p');
});

test('paths are bytes: characters match as UTF-8, other bytes pass unchanged', () => {
  const utf8 = Buffer.from('/größe/x').toString('latin1');
  const odd = '/gr\xf6\xdfe/x';

  assert.equal(rewrite('start / ^/gr.{2}e/(.*) /ß/$1', utf8), Buffer.from('/ß/x').toString('latin1'));
  assert.equal(rewrite('start / ^/(.*) /y/$1', odd), `/y${odd}`);
  assert.equal(rewrite('start / ^/(.*) /上/$1', odd), `/\xe4\xb8\x8a${odd}`);
});

test('literal locations of other scripts match the bytes of a path', () => {
  const table = new LocationTable([location('exact', '/größe', 'ex'), location('start', '/中', 'st')]);

  assert.equal(table.match(Buffer.from('/größe').toString('latin1'))?.upstream, 'ex');
  assert.equal(table.match(Buffer.from('/中文').toString('latin1'))?.upstream, 'st');
});

test('an expression that backtracking would not survive takes no time', () => {
  const table = new LocationTable([location('regexp', '^/(a+)+$', 's')]);
  const startedMs = performance.now();

  const found = table.match(`/${'a'.repeat(20_000)}!`);

  assert.equal(found, null);
  assert.ok(performance.now() - startedMs < 2000);
});

test('a path of unreasonable length matches nothing', () => {
  assert.equal(new LocationTable([location('start', '/', 's')]).match(`/${'a'.repeat(40_000)}`), null);
});
