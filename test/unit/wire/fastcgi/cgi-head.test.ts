import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../../../src/core/index.js';
import { CGI_HEAD_LIMITS, type CgiHead, CgiHeadReader } from '../../../../src/wire/fastcgi/index.js';

/** The head, and what follows it. */
function read(chunks: readonly (Buffer | string)[], limits = CGI_HEAD_LIMITS): [CgiHead | null, string] {
  const reader = new CgiHeadReader(limits);
  let body = '';
  for (const chunk of chunks) {
    const inner = Buffer.from(chunk as string, 'latin1');
    const bytes = Buffer.concat([Buffer.from('##'), inner, Buffer.from('##')]);
    const end = bytes.length - 2;
    const bodyAt = reader.head === null ? reader.push(bytes, 2, end) : 2;
    if (bodyAt >= 0) body += bytes.toString('latin1', bodyAt, end);
    bytes.fill(0xee); // nothing may be kept of the input
  }
  return [reader.head, body];
}

const HEAD = 'Status: 404 Not Found\r\nX-A: one\nSet-Cookie: a=1\r\nSet-Cookie: b=2\n\r\n';
const FIELDS = ['X-A', 'one', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'];

test('reads the same head wherever it is cut', () => {
  const wire = `${HEAD}\r\nbody`;
  for (let first = 0; first <= wire.length; first += 1) {
    for (let second = first; second <= wire.length; second += 3) {
      const [head, body] = read([wire.slice(0, first), wire.slice(first, second), wire.slice(second)]);

      assert.deepEqual(head, { status: 404, fields: FIELDS, dropped: 0 });
      assert.equal(body, '\r\nbody');
    }
  }
});

test('both line ends, mixed, end lines and head', () => {
  for (const text of ['A: b\r\n\r\nx', 'A: b\n\nx', 'A: b\r\n\nx', 'A: b\n\r\nx']) {
    assert.deepEqual(read([text]), [{ status: 200, fields: ['A', 'b'], dropped: 0 }, 'x']);
  }
});

test('an empty head is one', () => {
  assert.deepEqual(read(['\r\nbody']), [{ status: 200, fields: [], dropped: 0 }, 'body']);
  assert.deepEqual(read(['\n\n']), [{ status: 200, fields: [], dropped: 0 }, '\n']);
});

test('the status comes from Status, from a status line, or from a Location', () => {
  const statuses: Record<string, number> = {
    'Status: 500\n\n': 500,
    'status:201 Created\n\n': 201,
    'HTTP/1.1 418 Teapot\r\nA: b\r\n\r\n': 418,
    'Location: http://x/\n\n': 302,
    'Location: /x\nStatus: 301 Moved\n\n': 301,
    'A: b\n\n': 200,
  };
  for (const [text, status] of Object.entries(statuses)) assert.equal(read([text])[0]!.status, status, text);
});

test('a status that is none is refused', () => {
  for (const text of ['Status: abc\n\n', 'Status: 100 Continue\n\n', 'Status: 2000\n\n', 'Status:\n\n']) {
    assert.throws(() => read([text]), ProtocolError, text);
  }
});

test('lines that are no header are left out and counted', () => {
  const [head] = read(['no colon\nbad name: x\n: nothing\nNul: a\0b\nCr: a\rb\nGood: yes\n folded\n\n']);

  assert.deepEqual(head, { status: 200, fields: ['Good', 'yes'], dropped: 6 });
});

test('only blanks and tabs around a value are no part of it', () => {
  const [head] = read([Buffer.from('A: \t \xc3\xa0 \t\n\n', 'latin1')]);

  assert.deepEqual(head!.fields, ['A', '\xc3\xa0']);
});

test('a head over the limit is refused before it has ended', () => {
  const limits = { headBytesMax: 20, fieldsMax: 10 };

  assert.throws(() => read(['A: 12345678', '901234567890'], limits), ProtocolError);
  assert.throws(() => read([`A: ${'x'.repeat(30)}\n\n`], limits), ProtocolError);
  assert.equal(read(['A: 123456789012345\n\n'], limits)[0]!.fields.length, 2);
});

test('more fields than the limit are refused', () => {
  const limits = { headBytesMax: 1000, fieldsMax: 2 };

  assert.throws(() => read(['A: 1\nB: 2\nC: 3\n\n'], limits), ProtocolError);
});

test('a head that comes byte by byte costs no more than its size', () => {
  const reader = new CgiHeadReader(CGI_HEAD_LIMITS);
  const byte = Buffer.from('x');
  const startMs = performance.now();

  for (let count = 0; count < CGI_HEAD_LIMITS.headBytesMax; count += 1) reader.push(byte, 0, 1);

  assert.throws(() => reader.push(byte, 0, 1), ProtocolError);
  assert.ok(performance.now() - startMs < 2000);
});
