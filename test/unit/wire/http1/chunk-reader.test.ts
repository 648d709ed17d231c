import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HTTP1_LIMITS } from '../../../../src/wire/http1/index.js';
import { everyCut, latin1, readRequests } from './transcript.js';

const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
const HEAD_LINE = 'POST / 1.1 a [Host|a|Transfer-Encoding|chunked]';

function read(body: string, limits = HTTP1_LIMITS): string[][] {
  const bytes = latin1(HEAD + body);
  return [...everyCut(bytes)].map((pieces) => readRequests(pieces, limits));
}

test('sizes are hexadecimal of any case, with zeros before them', () => {
  for (const line of ['1f', '1F', '001f', '00000000000001F'])
    for (const lines of read(`${line}\r\n${'x'.repeat(31)}\r\n0\r\n\r\n`))
      assert.deepEqual(lines, [HEAD_LINE, `  end "${'x'.repeat(31)}"`]);
});

test('line ends inside the data are data', () => {
  for (const lines of read('7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n'))
    assert.deepEqual(lines, [HEAD_LINE, '  end "\r\n0\r\n\r\n"']);
});

const BAD_CHUNKS: readonly [claim: string, body: string, told: string][] = [
  ['a size with a sign', '+5\r\nhello\r\n0\r\n\r\n', ''],
  ['a negative size', '-5\r\nhello\r\n0\r\n\r\n', ''],
  ['a size with 0x', '0x5\r\nhello\r\n0\r\n\r\n', ''],
  ['a size with an underscore', '1_0\r\nhello\r\n0\r\n\r\n', ''],
  ['an empty size', '\r\nhello\r\n0\r\n\r\n', ''],
  ['a size of an extension alone', ';a=b\r\nhello\r\n0\r\n\r\n', ''],
  ['an empty size that ends the body', '\r\n\r\n', ''],
  ['an extension alone that ends the body', ';a\r\n\r\n', ''],
  ['a size of 16 digits', '0000000000000005\r\nhello\r\n0\r\n\r\n', ''],
  ['a size that overflows 64 bits', '10000000000000005\r\nhello\r\n0\r\n\r\n', ''],
  ['a blank before a size', ' 5\r\nhello\r\n0\r\n\r\n', ''],
  ['a blank behind a size', '5 \r\nhello\r\n0\r\n\r\n', ''],
  ['a tab behind a size', '5\t;a\r\nhello\r\n0\r\n\r\n', ''],
  ['a line feed alone behind a size', '5\nhello\r\n0\r\n\r\n', ''],
  ['a carriage return alone behind a size', '5\rhello\r\n0\r\n\r\n', ''],
  ['a line feed alone in an extension', '5;a\nhello\r\n0\r\n\r\n', ''],
  ['a carriage return alone in an extension', '5;a\rb\r\nhello\r\n0\r\n\r\n', ''],
  ['NUL in an extension', '5;a\0\r\nhello\r\n0\r\n\r\n', ''],
  ['a chunk longer than its size', '5\r\nhelloX\r\n0\r\n\r\n', 'hello'],
  ['a chunk without line end', '5\r\nhello0\r\n\r\n', 'hello'],
  ['a chunk that ends in a line feed alone', '5\r\nhello\n0\r\n\r\n', 'hello'],
  ['a chunk that ends in a carriage return alone', '5\r\nhello\r0\r\n\r\n', 'hello'],
  ['a folded trailer', '0\r\nA: b\r\n c\r\n\r\n', ''],
  ['a blank first in the trailers', '0\r\n A: b\r\n\r\n', ''],
  ['a trailer without colon', '0\r\nA\r\n\r\n', ''],
  ['a trailer without name', '0\r\n: b\r\n\r\n', ''],
  ['a blank before the colon of a trailer', '0\r\nA : b\r\n\r\n', ''],
  ['NUL in a trailer', '0\r\nA: \0\r\n\r\n', ''],
  ['a line feed alone in the trailers', '0\r\nA: b\nC: d\r\n\r\n', ''],
  ['a carriage return alone in the trailers', '0\r\nA: b\rC: d\r\n\r\n', ''],
  ['a line feed alone at the end', '0\r\n\n', ''],
  ['a carriage return alone at the end', '0\r\n\rGET / HTTP/1.1\r\n', ''],
];

for (const [claim, body, told] of BAD_CHUNKS) {
  test(`${claim} is refused`, () => {
    for (const lines of read(body)) assert.deepEqual(lines, [HEAD_LINE, `  so far "${told}"`, 'error 400']);
  });
}

test('a size line of exactly the bound is read, one byte more is refused', () => {
  const limits = { ...HTTP1_LIMITS, chunkLineBytesMax: 20 };

  for (const lines of read(`1;${'x'.repeat(16)}\r\na\r\n0\r\n\r\n`, limits))
    assert.equal(lines[1], '  end "a"');
  for (const lines of read(`1;${'x'.repeat(17)}\r\na\r\n0\r\n\r\n`, limits))
    assert.equal(lines.at(-1), 'error 400');
});

test('more extensions than data are refused in time', () => {
  const chunk = `1;${'x'.repeat(200)}\r\na\r\n`;
  const few = readRequests([latin1(`${HEAD}${chunk.repeat(20)}0\r\n\r\n`)]);
  const many = readRequests([latin1(`${HEAD}${chunk.repeat(500)}0\r\n\r\n`)]);

  assert.equal(few[1], `  end "${'a'.repeat(20)}"`);
  assert.equal(many.at(-1), 'error 400');
});

test('a stream of plain chunks of one byte goes on', () => {
  const lines = readRequests([latin1(`${HEAD}${'1\r\na\r\n'.repeat(20_000)}0\r\n\r\n`)]);

  assert.equal(lines[1], `  end "${'a'.repeat(20_000)}"`);
});

test('trailers are dropped, also those that would frame the message or name another host', () => {
  const body =
    '0\r\nContent-Length: 100\r\nTransfer-Encoding: gzip\r\nHost: b\r\nAuthorization: x\r\nX-Empty:\r\n\r\n';

  for (const lines of read(`${body}GET /next HTTP/1.1\r\nHost: b\r\n\r\n`))
    assert.deepEqual(lines, [HEAD_LINE, '  end ""', 'GET /next 1.1 b [Host|b]', '  end ""']);
});

test('trailers of exactly the bound are read, one byte more is refused', () => {
  const limits = { ...HTTP1_LIMITS, trailerBytesMax: 20 };

  for (const lines of read(`0\r\nX: ${'x'.repeat(13)}\r\n\r\n`, limits)) assert.equal(lines[1], '  end ""');
  for (const lines of read(`0\r\nX: ${'x'.repeat(14)}\r\n\r\n`, limits))
    assert.equal(lines.at(-1), 'error 431');
});

test('chunks of one message say nothing of the next', () => {
  const message = `${HEAD}5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n`;
  const limits = { ...HTTP1_LIMITS, trailerBytesMax: 10 };

  assert.deepEqual(
    readRequests([latin1(message.repeat(3))], limits),
    Array(3).fill([HEAD_LINE, '  end "hello"']).flat(),
  );
});
