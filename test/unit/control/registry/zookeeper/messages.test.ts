import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JuteReader, JuteWriter } from '../../../../../src/control/registry/zookeeper/jute.js';
import {
  CODE,
  helloFrame,
  isCode,
  readEvent,
  readHead,
  readReplaceFailure,
  readStat,
  readWelcome,
  writeReplace,
  ZooKeeperError,
} from '../../../../../src/control/registry/zookeeper/messages.js';
import { ProtocolError } from '../../../../../src/core/index.js';
import { FUZZ_SEED, seededRandom } from '../../../../support/fuzz.js';

function reader(writer: JuteWriter): JuteReader {
  return new JuteReader(writer.toFrame(), 4);
}

test('a hello is laid out as ZooKeeper reads it', () => {
  const password = Buffer.alloc(16, 0xaa);

  const frame = helloFrame({ lastZxid: 3n, timeoutMs: 4000, sessionId: 5n, password });

  assert.equal(
    frame.toString('hex'),
    `0000002d${'00000000'}${'0000000000000003'}${'00000fa0'}${'0000000000000005'}${'00000010'}${'aa'.repeat(16)}00`,
  );
});

test('the welcome of a server before 3.4, without the last byte, is read too', () => {
  const writer = new JuteWriter().int(0).int(4000).long(9n).buffer(Buffer.from('secret'));

  const welcome = readWelcome(writer.toFrame().subarray(4));

  assert.deepEqual(welcome, { timeoutMs: 4000, sessionId: 9n, password: Buffer.from('secret') });
});

test('a transaction has its deletions first and ends with a mark', () => {
  const writer = new JuteWriter();
  writeReplace(writer, ['/a'], { path: '/b', data: 'x', isEphemeral: true });

  const steps = reader(writer);
  const deletion = [steps.int(), steps.bool(), steps.int(), steps.text(), steps.int()];
  const creation = [steps.int(), steps.bool(), steps.int(), steps.text(), steps.text()];
  const rights = [steps.int(), steps.int(), steps.text(), steps.text(), steps.int()];
  const end = [steps.int(), steps.bool(), steps.int()];

  assert.deepEqual(deletion, [2, false, -1, '/a', -1]);
  assert.deepEqual(creation, [1, false, -1, '/b', 'x']);
  assert.deepEqual(rights, [1, 31, 'world', 'anyone', 1]);
  assert.deepEqual(end, [-1, true, -1]);
  assert.ok(steps.isAtEnd);
});

test('of a failed transaction the step that failed is told', () => {
  const step = (writer: JuteWriter, code: number) => writer.int(-1).bool(false).int(code).int(code);
  const writer = new JuteWriter();
  step(writer, 0);
  step(writer, CODE.nodeExists);
  step(writer, -2);

  const failure = readReplaceFailure(reader(writer.int(-1).bool(true).int(-1)));

  assert.deepEqual(failure, { index: 1, code: CODE.nodeExists });
});

test('a transaction that went well has no failure', () => {
  const writer = new JuteWriter().int(2).bool(false).int(0).int(1).bool(false).int(0).text('/b');

  assert.equal(readReplaceFailure(reader(writer.int(-1).bool(true).int(-1))), null);
});

test('a stat tells the session that keeps the node alive', () => {
  const writer = new JuteWriter().long(1n).long(2n).long(3n).long(4n).int(5).int(6).int(7).long(99n);

  assert.deepEqual(readStat(reader(writer.int(8).int(9).long(10n))), { ephemeralOwner: 99n });
});

test('an event that nobody knows is one of no kind', () => {
  const event = readEvent(reader(new JuteWriter().int(17).int(3).text('/a')));

  assert.deepEqual(event, { type: 'other', path: '/a' });
});

test('errors are told in words, with what they are about', () => {
  const error = new ZooKeeperError(CODE.noAuth, '127.0.0.1:2181 /motan', ' as digest user "ann"');

  assert.equal(error.message, '127.0.0.1:2181 /motan: not permitted as digest user "ann"');
  assert.equal(new ZooKeeperError(-999, '/a').message, '/a: error -999');
  assert.ok(isCode(error, CODE.noAuth));
  assert.ok(!isCode(new Error('other'), CODE.noAuth));
});

test('bytes without sense are protocol errors and nothing else', () => {
  const random = seededRandom(FUZZ_SEED);
  const readers: ((bytes: Buffer) => unknown)[] = [
    readWelcome,
    (bytes) => readHead(new JuteReader(bytes)),
    (bytes) => readEvent(new JuteReader(bytes)),
    (bytes) => readStat(new JuteReader(bytes)),
    (bytes) => readReplaceFailure(new JuteReader(bytes)),
    (bytes) => new JuteReader(bytes).texts(),
  ];
  for (let round = 0; round < 20_000; round += 1) {
    // Small numbers are frequent, because only they get beyond the first length.
    const bytes = Buffer.from(
      Array.from({ length: Math.floor(random() * 60) }, () =>
        random() < 0.7 ? 0 : Math.floor(random() * (random() < 0.5 ? 8 : 256)),
      ),
    );
    const read = readers[round % readers.length]!;
    try {
      read(bytes);
    } catch (error) {
      assert.ok(
        error instanceof ProtocolError,
        `seed ${FUZZ_SEED}, bytes ${bytes.toString('hex')}: ${error}`,
      );
    }
  }
});
