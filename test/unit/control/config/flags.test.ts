import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGoFlags } from '../../../../src/control/config/index.js';

test('reads values after a blank, after an equals sign and after two dashes alike', () => {
  const { flags, exit } = parseGoFlags([
    '-c',
    'a.yaml',
    '-pool=x-y',
    '--port',
    '0x10',
    '--mport=010',
    '-log_dir=/l',
  ]);

  assert.equal(exit, null);
  assert.equal(flags.c, 'a.yaml');
  assert.equal(flags.pool, 'x-y');
  assert.equal(flags.port, 16);
  assert.equal(flags.mport, 8);
  assert.equal(flags.log_dir, '/l');
  assert.deepEqual([...flags.given], ['c', 'pool', 'port', 'mport', 'log_dir']);
});

test('has the defaults of motan-go', () => {
  const { given, ...values } = parseGoFlags([]).flags;

  assert.equal(given.size, 0);
  assert.deepEqual(values, {
    c: '',
    pool: '',
    application: '',
    port: 0,
    mport: 0,
    eport: 0,
    hport: 0,
    pidfile: '',
    localIP: '',
    idc: '',
    recover: false,
    log_dir: '.',
    log_level: 'info',
    log_async: true,
    log_buffer_size: 5000,
    log_structured: false,
    rotate_per_hour: true,
    log_filter_caller: false,
  });
});

test('a boolean takes no word of its own, so the next word ends the flags', () => {
  const { flags, rest } = parseGoFlags(['-recover', 'false', '-port', '1']);

  assert.equal(flags.recover, true);
  assert.equal(flags.port, 0);
  assert.deepEqual(rest, ['false', '-port', '1']);
});

test('a boolean takes a value after an equals sign', () => {
  assert.equal(parseGoFlags(['-log_async=false']).flags.log_async, false);
  assert.equal(parseGoFlags(['-log_async=F']).flags.log_async, false);
});

test('two dashes alone end the flags', () => {
  assert.deepEqual(parseGoFlags(['-port=1', '--', '-mport=2']).rest, ['-mport=2']);
});

test('asking for help ends with 0', () => {
  for (const word of ['-h', '--h', '-help', '--help']) assert.equal(parseGoFlags([word]).exit?.code, 0);
});

test('what Go refuses ends with 2 and names the flag', () => {
  for (const [words, message] of [
    [['-prot', '1'], /-prot.*did you mean -port\?/],
    [['-port', 'x'], /invalid value "x" for flag -port/],
    [['-log_async=maybe'], /invalid value "maybe" for flag -log_async/],
    [['-port'], /flag needs an argument: -port/],
    [['---port'], /bad flag syntax: ---port/],
    [['-=x'], /bad flag syntax: -=x/],
    [['-toString'], /not defined: -toString/],
  ] as const) {
    const { exit } = parseGoFlags(words);
    assert.equal(exit?.code, 2);
    assert.match(exit?.text ?? '', message);
  }
});
