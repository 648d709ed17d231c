import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../../../src/core/index.js';
import { END_REQUEST, NEED_MORE, RecordReader, STDERR, STDOUT } from '../../../../src/wire/fastcgi/index.js';
import { endRequest, record, stderr, stdout } from '../../../support/fastcgi.js';

interface Seen {
  out: string;
  err: string;
  end: string;
}

function readAll(chunks: readonly Buffer[]): Seen {
  const reader = new RecordReader();
  const seen: Seen = { out: '', err: '', end: '' };
  for (const chunk of chunks) {
    const input = Buffer.from(chunk);
    reader.push(input, input.length);
    for (let found = reader.next(); found !== NEED_MORE; found = reader.next()) {
      const piece = reader.bytes.toString('latin1', reader.start, reader.end);
      if (found === STDOUT) seen.out += piece;
      if (found === STDERR) seen.err += piece;
      if (found === END_REQUEST) seen.end += `${reader.appStatus}/${reader.protocolStatus}`;
    }
    input.fill(0xee); // nothing may be kept of the input
  }
  return seen;
}

const WIRE = Buffer.concat([
  stdout('Content-type: a\r\n\r\nhello', 5),
  stderr('oops'),
  record(6, '', 3),
  stdout(' world'),
  record(6),
  record(7),
  endRequest(258, 2),
]);
const EXPECTED: Seen = { out: 'Content-type: a\r\n\r\nhello world', err: 'oops', end: '258/2' };

test('reads the same answer wherever it is cut in two', () => {
  for (let at = 0; at <= WIRE.length; at += 1) {
    assert.deepEqual(readAll([WIRE.subarray(0, at), WIRE.subarray(at)]), EXPECTED);
  }
});

test('reads the same answer byte by byte', () => {
  assert.deepEqual(readAll([...WIRE].map((byte) => Buffer.from([byte]))), EXPECTED);
});

test('a record of the largest size is given in pieces as it comes', () => {
  const content = Buffer.alloc(0xffff, 'ab');
  const wire = record(6, content, 255);
  const reader = new RecordReader();

  reader.push(wire, 1000);
  const found = reader.next();

  assert.equal(found, STDOUT);
  assert.equal(reader.end - reader.start, 992);
  assert.equal(readAll([wire.subarray(0, 1000), wire.subarray(1000), endRequest()]).out, content.toString());
});

test('bytes behind the end of the request are not looked at', () => {
  const seen = readAll([Buffer.concat([stdout('a'), endRequest(), Buffer.from('garbage')])]);

  assert.deepEqual(seen, { out: 'a', err: '', end: '0/0' });
});

test('records about the connection are skipped', () => {
  const seen = readAll([Buffer.concat([record(11, 'unknown.', 1, 0), stdout('a'), endRequest()])]);

  assert.equal(seen.out, 'a');
});

test('refuses what is no answer', () => {
  const refused: Record<string, Buffer> = {
    'another version': Buffer.from([2, 6, 0, 1, 0, 0, 0, 0]),
    'an HTTP answer': Buffer.from('HTTP/1.1 200 OK\r\n\r\n'),
    'another request': record(6, 'a', 0, 2),
    'a record that only we send': record(4, 'a'),
    'output of no request': record(6, 'a', 0, 0),
    'the end of no request': record(3, '12345678', 0, 0),
    'a short END_REQUEST': record(3, '1234'),
  };
  for (const [what, bytes] of Object.entries(refused)) {
    assert.throws(() => readAll([bytes]), ProtocolError, what);
  }
});
