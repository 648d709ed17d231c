import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { CallStatistics, Clock } from '../../../src/core/index.js';
import { AccessLogFile, MainLog, PeriodStatistics } from '../../../src/telemetry/index.js';

const CLOCK: Clock = { nowMs: () => 0, wallMs: () => Date.UTC(2026, 10, 23, 15, 0, 0) };
let directory: string;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'logs-'));
});

afterEach(() => {
  fs.rmSync(directory, { recursive: true, force: true });
});

function mainLog(level: string): MainLog {
  return new MainLog({ logDir: directory, program: 'agent', level, rotatePerHour: true, clock: CLOCK });
}

async function linesOf(log: MainLog): Promise<Record<string, unknown>[]> {
  await log.close();
  const text = fs.readFileSync(path.join(directory, 'agent.log'), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('a line of the main log is one JSON object with time, level and fields', async () => {
  const log = mainLog('info');

  log.logger.info({ node: '10.0.0.1:80' }, 'connected');
  const lines = await linesOf(log);

  assert.deepEqual(lines, [
    { level: 'info', time: '2026-11-23T15:00:00.000Z', node: '10.0.0.1:80', msg: 'connected' },
  ]);
});

test('text of a peer cannot begin a line of its own', async () => {
  const log = mainLog('info');

  log.logger.info({ path: '/x\n{"level":"fatal"}\r\u001b[31m' }, 'a\nb');
  const lines = await linesOf(log);

  assert.equal(lines.length, 1);
});

test('values of secret keys are not logged, at any depth, in children and in urls', async () => {
  const log = mainLog('info');

  log.logger.child({ token: 'hunter2' }).info({ registry: { password: 'hunter2' } }, 'redis://u:hunter2@h/0');
  log.logger.info({ url: 'zk://h:1/p?group=g&password=hunter2&x=1', tokenFile: '/run/token' }, 'x');
  const lines = await linesOf(log);

  assert.ok(!JSON.stringify(lines).includes('hunter2'));
  assert.equal(lines[1]!.tokenFile, '/run/token');
});

test('a change of the level reaches children that exist already', async () => {
  const log = mainLog('WARN');
  const child = log.logger.child({ part: 'x' });

  child.info({}, 'before');
  const isKnown = log.setLevel('Info');
  child.info({}, 'after');
  const lines = await linesOf(log);

  assert.equal(isKnown, true);
  assert.deepEqual(
    lines.map((line) => line.msg),
    ['after'],
  );
});

test('an unknown level changes nothing, and at the start it means info', () => {
  const log = mainLog('loud');

  const isKnown = log.setLevel('louder');

  assert.equal(isKnown, false);
  assert.equal(log.level, 'info');
});

test('dpanic, panic and fatal let only fatal lines pass', async () => {
  const log = mainLog('dpanic');

  log.logger.error({}, 'no');
  const level = log.level;
  log.setLevel('info');
  log.logger.error({}, 'yes');
  const lines = await linesOf(log);

  assert.equal(level, 'dpanic');
  assert.equal(lines.length, 1);
});

test('access lines go to the file named for the program', async () => {
  const log = new AccessLogFile({ logDir: directory, program: 'agent', rotatePerHour: true, clock: CLOCK });

  log.write(Buffer.from('one\ntwo\n'), 2, () => {});
  await log.close();

  assert.equal(fs.readFileSync(path.join(directory, 'agent-access.log'), 'utf8'), 'one\ntwo\n');
  assert.equal(log.report().linesDropped, 0);
});

const CALLS: CallStatistics = {
  role: 'motan-server-agent',
  application: 'app',
  group: 'g',
  scope: 'endpoint',
  service: 'com.x.Echo',
  method: 'a.b',
  total: 7,
  bizErrors: 0,
  otherErrors: 0,
  slow: 0,
  sumMs: 0,
  buckets: [],
};

test('a period counts what happened since the one before', () => {
  const periods = new PeriodStatistics();

  periods.roll([CALLS]);
  periods.roll([
    { ...CALLS, total: 10 },
    { ...CALLS, method: 'a/b', total: 1 },
  ]);

  assert.deepEqual(
    periods.last().map(({ method, calls }) => [method, calls]),
    [['a_b', 4]],
  );
});

test('a counter that starts again counts from nothing', () => {
  const periods = new PeriodStatistics();

  periods.roll([CALLS]);
  periods.roll([{ ...CALLS, total: 2 }]);

  assert.equal(periods.last()[0]!.calls, 2);
});
