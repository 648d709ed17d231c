import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { KNOWN_NAMES } from '../../../../src/control/config/index.js';
import type { AgentConfig, Problem } from '../../../../src/core/index.js';
import { brief, load } from './load-fixture.js';

const REFERS = `
motan-registry: {r: {protocol: direct, address: "127.0.0.1:1"}}
motan-refer: {echo: {protocol: motan2, path: com.x.Echo, group: g, registry: r}}
`;

/** The configuration that this text makes, with its problems apart from those of other sections. */
function configOf(text: string): { config: AgentConfig; problems: readonly Problem[] } {
  const directory = mkdtempSync(join(tmpdir(), 'peony-schema-'));
  try {
    const path = join(directory, 'motan.yaml');
    writeFileSync(path, text.trimStart());
    const config = load(['-c', path], { built: KNOWN_NAMES });
    return { config, problems: config.problems };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function schemaOf(text: string): ReturnType<typeof configOf> & { briefs: string[] } {
  const found = configOf(`service-schema:\n${text}${REFERS}`);
  return { ...found, briefs: found.problems.map(brief) };
}

test('a schema has the types of arguments and answer, the description for Java and a text', () => {
  const { config, briefs } = schemaOf(`
  com.x.Echo:
    hello: {args: [string, int32, "null", null], returns: stringMap, desc: "java.lang.String,int", description: Greets.}
    ping: {args: [], returns: null}
    page: {returns: json}
    any: {}
    blank: {args: , returns: , desc: ~}
`);

  assert.deepEqual(briefs, []);
  const methods = config.serviceSchemas.get('com.x.Echo')!;
  assert.deepEqual(methods.get('hello'), {
    args: ['string', 'int32', 'null', 'null'],
    returns: 'stringMap',
    desc: 'java.lang.String,int',
    description: 'Greets.',
  });
  assert.deepEqual(methods.get('ping'), { args: [], returns: 'null', desc: '', description: '' });
  assert.equal(methods.get('page')?.returns, 'json');
  const unknown = { args: null, returns: null, desc: '', description: '' };
  assert.deepEqual(methods.get('any'), unknown);
  assert.deepEqual(methods.get('blank'), unknown);
});

test('every broken method is reported at its place and left out, the others load', () => {
  const { config, briefs } = schemaOf(`  com.x.Echo:
    fine: {args: [bytes]}
    types: {args: [int, stringmap, 7, [string]], returns: voi}
    list: {args: string}
    desc: {desc: "a\\nb"}
    number: {description: 7}
    key: {arg: [string]}
    empty:
    text: hello
    1: {args: []}
  com.x.Empty:
  2: {}
`);

  assert.deepEqual([...config.serviceSchemas.keys()], ['com.x.Echo']);
  assert.deepEqual([...config.serviceSchemas.get('com.x.Echo')!.keys()], ['fine']);
  assert.deepEqual(briefs, [
    '4:20 error unknown-name service-schema.com.x.Echo.types.args[0]',
    '4:25 error unknown-name service-schema.com.x.Echo.types.args[1]',
    '4:36 error unknown-name service-schema.com.x.Echo.types.args[2]',
    '4:39 error unknown-name service-schema.com.x.Echo.types.args[3]',
    '4:59 error unknown-name service-schema.com.x.Echo.types.returns',
    '5:18 error type service-schema.com.x.Echo.list.args',
    '6:18 error type service-schema.com.x.Echo.desc.desc',
    '7:27 error type service-schema.com.x.Echo.number.description',
    '8:11 error unknown-key service-schema.com.x.Echo.key.arg',
    '9:5 error null-entry service-schema.com.x.Echo.empty',
    '10:11 error type service-schema.com.x.Echo.text',
    '11:5 error key-type service-schema.com.x.Echo.1',
    '12:3 error null-entry service-schema.com.x.Empty',
    '13:3 error key-type service-schema.2',
  ]);
});

test('names of other languages and misspelt names are answered with the right one', () => {
  const { problems } = schemaOf(`
  com.x.Echo:
    one: {args: [int, Long, boolean, double, "byte[]", list, void, stringAray]}
    two: {arg: []}
  com.x.Ecko: {}
`);

  assert.deepEqual(
    problems.map((problem) => problem.didYouMean),
    ['int32', 'int64', 'bool', 'float64', 'bytes', 'array', 'null', 'stringArray', 'args', 'com.x.Echo'],
  );
});

test('a schema without a refer is kept and warned about', () => {
  const { config, briefs } = schemaOf('  com.other.Service: {a: {args: []}}\n');

  assert.deepEqual(briefs, ['2:3 warning no-effect service-schema.com.other.Service']);
  assert.equal(config.serviceSchemas.get('com.other.Service')?.size, 1);
});

test('a section that is no map is ignored with an error', () => {
  const { config, briefs } = schemaOf('  - com.x.Echo\n');

  assert.deepEqual(briefs, ['2:3 error type service-schema']);
  assert.equal(config.serviceSchemas.size, 0);
});

test('services and methods may be named like parts of an object', () => {
  const { config, briefs } = schemaOf('  __proto__: {constructor: {args: [string]}}\n');

  assert.deepEqual(briefs, ['2:3 warning no-effect service-schema.__proto__']);
  assert.deepEqual(config.serviceSchemas.get('__proto__')?.get('constructor')?.args, ['string']);
});

test('headers that typed calls carry are kept in lower case, each once', () => {
  const { config, problems } = configOf(
    `motan-agent: {httpMetadataAllow: "X-User, x-user,Authorization,x_tenant"}\n${REFERS}`,
  );

  assert.deepEqual(problems, []);
  assert.deepEqual(config.agent.http.metadataAllow, ['x-user', 'authorization', 'x_tenant']);
});

for (const name of [
  'M_p',
  'm_anything',
  'M-g',
  'Host',
  'group',
  'Version',
  'application',
  'HTTP_PROXY',
  'http-proxy',
  'http_x',
  'Proxy',
  'Connection',
  'Transfer-Encoding',
  'Content-Length',
  'X-Peony-Timeout-Ms',
  'a b',
  'a:b',
  'naïve',
]) {
  test(`the header ${name} is never carried as metadata`, () => {
    const { config, problems } = configOf(
      `motan-agent:\n  httpMetadataAllow: ${JSON.stringify(`x-fine,${name}`)}\n${REFERS}`,
    );

    assert.deepEqual(config.agent.http.metadataAllow, ['x-fine']);
    assert.deepEqual(problems.map(brief), ['2:22 error reserved-name motan-agent.httpMetadataAllow']);
    assert.equal(problems[0]!.value, name);
  });
}
