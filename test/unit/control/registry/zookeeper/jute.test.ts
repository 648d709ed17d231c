import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JuteReader, JuteWriter } from '../../../../../src/control/registry/zookeeper/jute.js';
import { ProtocolError } from '../../../../../src/core/index.js';

function bodyOf(writer: JuteWriter): Buffer {
  const frame = writer.toFrame();
  assert.equal(frame.readInt32BE(0), frame.length - 4);
  return frame.subarray(4);
}

function readAll(bytes: Buffer): unknown[] {
  const reader = new JuteReader(bytes);
  return [reader.int(), reader.long(), reader.bool(), reader.buffer(), reader.text(), reader.texts()];
}

test('what was written is read again', () => {
  const data = Buffer.alloc(1000, 7);
  const writer = new JuteWriter()
    .int(-7)
    .long(-(2n ** 63n))
    .bool(true)
    .buffer(data);

  const values = readAll(bodyOf(writer.text('Grüße 世界').texts(['a', '', 'ß'])));

  assert.deepEqual(values, [-7, -(2n ** 63n), true, data, 'Grüße 世界', ['a', '', 'ß']]);
});

test('a buffer of length -1 is an empty one', () => {
  assert.equal(new JuteReader(Buffer.from('ffffffff', 'hex')).text(), '');
  assert.deepEqual(new JuteReader(Buffer.from('ffffffff', 'hex')).texts(), []);
});

test('a frame that is cut anywhere is a protocol error', () => {
  const writer = new JuteWriter().int(1).long(2n).bool(true).text('abc').text('de');
  const whole = bodyOf(writer.texts(['f', 'g']));

  for (let size = 0; size < whole.length; size += 1)
    assert.throws(() => readAll(whole.subarray(0, size)), ProtocolError, `${size} bytes`);
});

test('a length or count that the frame cannot hold is refused before anything is kept for it', () => {
  for (const head of ['7fffffff', '80000000', 'fffffffe', '00000005']) {
    const bytes = Buffer.from(`${head}00000000`, 'hex');
    assert.throws(() => new JuteReader(bytes).buffer(), ProtocolError, head);
    assert.throws(() => new JuteReader(bytes).texts(), ProtocolError, head);
  }
});
