// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are placeholders of the configuration language
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { addCheckCommand, runCheck } from '../../../src/cli/check.js';
import { addConfigCommand, runConfig } from '../../../src/cli/config.js';
import { readFlags } from '../../../src/cli/config-options.js';
import { parseGoFlags } from '../../../src/control/config/index.js';
import { FIXTURES } from '../control/config/load-fixture.js';

const FROM = { cwd: FIXTURES, env: {}, localIp: '10.1.1.1' };

class Screen {
  text = '';
  write(text: string): void {
    this.text += text;
  }
}

function screens(): { stdout: Screen; stderr: Screen } {
  return { stdout: new Screen(), stderr: new Screen() };
}

async function check(
  words: string[],
  options: { json?: boolean; strict?: boolean } = {},
): Promise<[number, string]> {
  const io = screens();
  const { flags } = parseGoFlags(words);
  const code = await runCheck(
    { flags, json: options.json === true, strict: options.strict === true, from: FROM },
    io,
  );
  return [code, io.stdout.text];
}

async function explain(words: string[], key: string | null, json = false): Promise<[number, string, string]> {
  const io = screens();
  const code = await runConfig({ flags: parseGoFlags(words).flags, explain: key, json, from: FROM }, io);
  return [code, io.stdout.text, io.stderr.text];
}

test('check ends with 0 for a sound tree', async () => {
  assert.deepEqual(await check(['-c', '../../../conf/pool', '-pool', 'demo-idc1'], { strict: true }), [
    0,
    '0 fatal, 0 errors, 0 warnings; 1 refers, 1 services, 1 http-clients, 1 registries load\n',
  ]);
});

test('check ends with 1 for warnings only when it is strict', async () => {
  assert.equal((await check(['-c', 'anchors/motan.yaml']))[0], 0);
  assert.equal((await check(['-c', 'anchors/motan.yaml'], { strict: true }))[0], 1);
});

test('check tells of what this version does not act on, and is strict about it', async () => {
  const [code, text] = await check(['-c', 'not-built/motan.yaml'], { strict: true });

  assert.equal(code, 1);
  assert.match(text, /^not-built\/motan\.yaml:20:75: warning: motan-refer\.limited\.filter: /m);
  assert.match(
    text,
    /^0 fatal, 0 errors, 5 warnings; 5 refers, 4 services, 1 http-clients, 5 registries load$/m,
  );
});

test('check ends with 2 for errors and for what cannot be read', async () => {
  const [code, text] = await check(['-c', 'broken-yaml', '-pool', 'app']);

  assert.equal((await check(['-c', 'broken/motan.yaml']))[0], 2);
  assert.equal(code, 2);
  assert.match(
    text,
    /^broken-yaml\/pools\/app\.yaml:4:1: fatal: .*\n1 fatal, 0 errors, 0 warnings; the agent would not start\n$/,
  );
});

test('check prints one JSON object on request', async () => {
  const [code, text] = await check(['-c', 'broken/motan.yaml'], { json: true });
  const report = JSON.parse(text);

  assert.equal(code, 2);
  assert.equal(report.exitCode, 2);
  assert.equal(report.loaded.refers, 2);
  assert.ok(report.leftOut.includes('motan-refer.port'));
  assert.deepEqual(report.problems[0].place, { file: 'broken/motan.yaml', line: 2, column: 16 });
});

test('config explains a key with its place and what it overrode', async () => {
  const [code, text] = await explain(
    ['-c', 'pool', '-pool', 'shop-idc1-core'],
    'motan-refer.user.requestTimeout',
  );

  assert.equal(code, 0);
  assert.equal(
    text,
    [
      'motan-refer.user.requestTimeout = 450',
      '  set by    pool/applications/shop.yaml:8:21: 450',
      '  overrides pool/services/user.yaml:7:21: 300',
      '  overrides pool/pools/shop-idc1.yaml:7:18 (inherited, through ${refer.timeout} at pool/basic.yaml:20:21): 700',
      '',
    ].join('\n'),
  );
});

test('config prints every effective value, as lines and as JSON', async () => {
  const [, lines] = await explain(['-c', 'single/motan.yaml'], null);
  const [, json] = await explain(['-c', 'single/motan.yaml'], null, true);

  assert.match(lines, /^motan-agent\.hport = 9983 {2}# default$/m);
  assert.match(lines, /^motan-refer\.echo\.retries = 2 {2}# single\/motan\.yaml:38:14$/m);
  assert.equal(JSON.parse(json).length, lines.trimEnd().split('\n').length);
});

test('config ends with 1 for a key that nobody sets, and names the near one', async () => {
  const [code, , complaint] = await explain(['-c', 'single/motan.yaml'], 'motan-refer.echo.retrys');

  assert.equal(code, 1);
  assert.match(complaint, /did you mean "motan-refer\.echo\.retries"\?/);
});

test('config ends with 2 when there is nothing to load', async () => {
  assert.equal((await explain(['-c', 'nowhere.yaml'], null))[0], 2);
});

test('wrong flags and stray words end with 2, help with 0', () => {
  assert.deepEqual(readFlags(['-prot'], screens()), { exitCode: 2 });
  assert.deepEqual(readFlags(['stray'], screens()), { exitCode: 2 });
  assert.deepEqual(readFlags(['-h'], screens()), { exitCode: 0 });
});

test("the commands take the agent's flags in Go's spelling beside their own options", async () => {
  const program = new Command('peony').exitOverride();
  addCheckCommand(program);
  addConfigCommand(program);
  const words = new Map<string, readonly string[]>();
  for (const command of program.commands) {
    command.action((flags: string[], options: object) => {
      words.set(command.name(), [...flags, JSON.stringify(options)]);
    });
  }

  await program.parseAsync(['check', '--strict', '-c', 'a', '-pool', 'x-y', '-hport=1', '--json'], {
    from: 'user',
  });
  await program.parseAsync(['config', '-c=a', '--explain', 'motan-agent', '-pool', 'x'], { from: 'user' });

  assert.deepEqual(words.get('check'), [
    '-c',
    'a',
    '-pool',
    'x-y',
    '-hport=1',
    '{"strict":true,"json":true}',
  ]);
  assert.deepEqual(words.get('config'), ['-c=a', '-pool', 'x', '{"explain":"motan-agent"}']);
});
