// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are placeholders of the configuration language
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { rewriteTrouble } from '../../../../src/control/config/http.js';
import { ConfigError, problemText } from '../../../../src/control/config/index.js';
import { brief, load, loadAll, problemsOf } from './load-fixture.js';

test('every broken entry is reported at its place and left out, the others load', () => {
  const config = load(['-c', 'broken/motan.yaml']);

  assert.deepEqual(
    config.refers.map((one) => one.id),
    ['fine', 'near'],
  );
  assert.deepEqual(config.services, []);
  assert.deepEqual([...config.registries.keys()], ['good']);
  assert.deepEqual(config.httpLocations.get('a.example.com'), [
    { match: '/ok', type: 'start', upstream: 's', rewriteRules: ['start / ^/a /b'] },
  ]);
  assert.deepEqual([...config.switchers], [['b', true]]);
  assert.deepEqual(config.problems.map(brief), [
    '2:16 error type motan-agent.application',
    '3:14 error type motan-agent.log_async',
    '4:23 error type motan-agent.initClusterTimeout',
    '5:13 error unknown-registry motan-agent.registry',
    '8:20 error unknown-name motan-registry.typo.protocol',
    '9:3 error missing motan-registry.proxy.proxyRegistry',
    '10:40 error address motan-registry.address.address',
    '12:16 error type motan-basicRefer.bad.group',
    '14:62 error unknown-registry motan-refer.fine.registry',
    '15:3 error null-entry motan-refer.empty',
    '16:11 error type motan-refer.scalar',
    '17:3 error key-type motan-refer.7',
    '18:59 error type motan-refer.port.port',
    '19:61 error type motan-refer.group.group',
    '20:26 error bad-basic motan-refer.inherits.basicRefer',
    '21:3 error missing motan-refer.noPath.path',
    '22:3 error missing motan-refer.noRegistry.registry',
    '23:54 error unknown-registry motan-refer.badRegistry.registry',
    '24:24 error unknown-name motan-refer.protocol.protocol',
    '25:69 error unknown-name motan-refer.balance.loadbalance',
    '25:93 error unknown-name motan-refer.balance.haStrategy',
    '26:53 warning unknown-key motan-refer.near.requestTimeOut',
    '26:81 warning value motan-refer.near.retries',
    '26:95 warning unknown-filter motan-refer.near.filter',
    '28:55 error value motan-service.export.export',
    '29:55 error unknown-name motan-service.server.export',
    '30:3 error missing motan-service.nothing.provider',
    '31:59 error unknown-name motan-service.provider.provider',
    '33:3 error missing http-client.domainless.domain',
    '36:25 error unknown-name http-locations.a.example.com[0].type',
    '37:15 error regexp http-locations.a.example.com[1].match',
    '38:7 error missing http-locations.a.example.com[2].match',
    '39:48 error rewrite-rule http-locations.a.example.com[3].rewriteRules[0]',
    '39:66 error rewrite-rule http-locations.a.example.com[3].rewriteRules[1]',
    '39:88 error rewrite-rule http-locations.a.example.com[3].rewriteRules[2]',
    '41:3 warning no-effect http-service.s',
    '41:23 error type http-service.s.m.URL_FORMAT',
    '42:19 error type metrics.period',
    '42:22 warning not-built metrics.graphite',
    '42:33 error type metrics.graphite[0]',
    '43:15 error type switcher.a',
    '44:1 warning unknown-key motan-refr',
  ]);
});

test('a problem tells value, expectation and the near name', () => {
  const line = problemsOf(['-c', 'broken/motan.yaml']).map(problemText)[4];

  assert.equal(
    line,
    'broken/motan.yaml:8:20: error: motan-registry.typo.protocol: unknown registry protocol; the registry is left out ' +
      '(value "zookeper"; expected one of direct, local, file, zookeeper, consul, mesh, redis; did you mean zookeeper?)',
  );
});

test('what cannot be read, parsed or listened on is fatal, and all of it is reported', () => {
  for (const [words, expected] of [
    [
      ['-c', 'broken/ports.yaml'],
      [
        '2:9 fatal type motan-agent.port',
        '3:10 fatal type motan-agent.mport',
        '4:9 fatal type motan-agent.host',
      ],
    ],
    [['-c', 'broken/cycle.yaml'], ['1:8 fatal yaml-syntax ']],
    [['-c', 'broken/list.yaml'], ['1:1 fatal not-a-map ']],
    [['-c', 'broken/tab.yaml'], ['3:2 fatal yaml-syntax ']],
    [['-c', 'broken/none.yaml'], ['1:1 fatal file ']],
    [['-c', 'pool'], ['1:1 fatal file ']],
    [['-c', 'pool', '-pool', ''], ['1:1 fatal file ']],
    [['-c', 'broken', '-pool', 'nobody'], ['1:1 fatal file ']],
  ] as const) {
    assert.throws(() => load(words), { name: 'ConfigError', code: 'E_CONFIG' });
    assert.deepEqual(problemsOf(words).map(brief), expected);
  }
});

test('a broken file of a pool directory is fatal, a missing one is not', () => {
  const problems = problemsOf(['-c', 'broken-yaml', '-pool', 'app']);

  assert.deepEqual(problems.map(brief), ['4:1 fatal yaml-syntax ']);
  assert.equal(problems[0]?.place?.file, 'broken-yaml/pools/app.yaml');
});

test('rewrite rules follow the grammar of the peers', () => {
  for (const rule of [
    'start / ^/(.*) /x/$1',
    '!exact /foo ^/(.*) /x',
    'regexpVar ^/f ^/(.*) /v/{a}',
    'start\t/  ^/a   /b',
  ]) {
    assert.equal(rewriteTrouble(rule), null, rule);
  }
  for (const rule of [
    'regexp ^/(?!x) ^/(.*) /x',
    ' start / ^/a',
    'start / ^/a',
    'start / ^/a /b ',
    'start / ^/a /b c',
    'START / ^/a /b',
    'start / ( /b',
  ]) {
    assert.notEqual(rewriteTrouble(rule), null, rule);
  }
});

function withFile(body: (path: string, write: (text: string | Buffer) => void) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'peony-config-'));
  const path = join(directory, 'motan.yaml');
  try {
    body(path, (text) => writeFileSync(path, text));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function isLoadedOrRefused(path: string): boolean {
  try {
    load(['-c', path]);
    return true;
  } catch (error) {
    return (
      error instanceof ConfigError &&
      error.problems.length > 0 &&
      !error.problems.some((one) => one.code === 'internal')
    );
  }
}

test('values of secret keys are neither in problems nor in provenance', () => {
  withFile((path, write) => {
    write('motan-registry:\n  r: {protocol: direct, address: "a:1", password: 0123}\n');
    const { config, provenance } = loadAll(['-c', path]);

    assert.equal(config.problems[0]?.key, 'motan-registry.r.password');
    assert.ok(!JSON.stringify([config.problems, provenance.all()]).includes('0123'));
    assert.equal(config.registries.get('r')?.url.text('password'), '83');
  });
});

test('the servers of a redis registry are its address or its Sentinels', () => {
  withFile((path, write) => {
    write(`motan-registry:
  sentinels: {protocol: redis, sentinels: "a:1,b:2", masterName: m}
  wrong: {protocol: redis, sentinels: "a:1,b", masterName: m}
  none: {protocol: redis, masterName: m}
`);
    const config = load(['-c', path]);

    assert.deepEqual([...config.registries.keys()], ['sentinels', 'none']);
    assert.deepEqual(
      config.problems.map(brief).filter((text) => text.includes('motan-registry')),
      [
        '3:39 error address motan-registry.wrong.sentinels',
        '4:3 warning missing motan-registry.none.address',
      ],
    );
  });
});

test('an alias bomb is refused before it grows', () => {
  withFile((path, write) => {
    const levels = Array.from(
      { length: 12 },
      (_, index) => `l${index + 1}: &l${index + 1} [${`*l${index},`.repeat(10)}]`,
    );
    write(['l0: &l0 x', ...levels].join('\n'));

    assert.deepEqual(
      problemsOf(['-c', path]).map((one) => one.code),
      ['yaml-syntax'],
    );
  });
});

test('arbitrary text and deep nesting are loaded or refused with a ConfigError', () => {
  withFile((path, write) => {
    write('['.repeat(20_000));
    assert.ok(isLoadedOrRefused(path));
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.uint8Array()), (text) => {
        write(typeof text === 'string' ? text : Buffer.from(text));
        return isLoadedOrRefused(path);
      }),
      { numRuns: 300 },
    );
  });
});

test('arbitrary values in any section are loaded or refused with a ConfigError', () => {
  const name = fc.constantFrom(
    ...[
      'motan-agent',
      'motan-registry',
      'motan-refer',
      'motan-basicRefer',
      'motan-service',
      'http-client',
      'http-locations',
    ],
    ...[
      'http-service',
      'metrics',
      'switcher',
      'switchers',
      'dynamic-param',
      'envMetaPrefix',
      'graphite',
      'import-refer',
    ],
    ...[
      'port',
      'protocol',
      'path',
      'group',
      'registry',
      'filter',
      'basicRefer',
      'export',
      'provider',
      'a',
      '__proto__',
      'constructor',
    ],
    ...[
      'match',
      'type',
      'rewriteRules',
      'managementPortRange',
      'unixSock',
      'host',
      '<<',
      'regexp:(',
      'default',
      'domain',
    ],
  );
  const leaf = fc.oneof(
    fc.constantFrom(
      'motan2',
      'direct',
      'a',
      '${a}',
      '${b}',
      'wrr',
      '9982',
      'motan2:9982',
      'http',
      '8002-8003',
      '127.0.0.1:1',
      'regexp ( ( x',
    ),
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.string(),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      leaf,
      fc.dictionary(name, tie('tree'), { maxKeys: 6 }),
      fc.array(tie('tree'), { maxLength: 3 }),
    ),
  }));
  withFile((path, write) => {
    fc.assert(
      fc.property(fc.dictionary(name, tree, { maxKeys: 8 }), (value) => {
        write(JSON.stringify(value)); // JSON is YAML
        return isLoadedOrRefused(path);
      }),
      { numRuns: 500 },
    );
  });
});
