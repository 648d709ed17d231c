import assert from 'node:assert/strict';
import { test } from 'node:test';
import { END, HEAD, HTTP1_LIMITS, NEED_MORE, ResponseReader } from '../../../../src/wire/http1/index.js';
import { everyCut, latin1, readResponses } from './transcript.js';

/** What one answer gives, the same however it is cut. */
function readOne(text: string, method = 'GET'): string[] {
  const expected = readResponses([method], [latin1(text)]);
  for (const pieces of everyCut(latin1(text))) assert.deepEqual(readResponses([method], pieces), expected);
  return expected;
}

test('bodies end by length, by chunks, or by the end of the connection', () => {
  assert.deepEqual(readOne('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'), [
    '200 OK [Content-Length|5]',
    '  end "hello"',
    'ended',
  ]);
  assert.deepEqual(
    readOne(
      'HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n',
    ),
    ['404 Not Found [Transfer-Encoding|chunked]', '  end "hello"', 'ended'],
  );
  assert.deepEqual(readOne('HTTP/1.0 200 OK\r\nA: b\r\n\r\nhel\r\nlo'), [
    '200 OK [A|b]',
    '  so far "hel\r\nlo"',
    'ended',
  ]);
});

test('a status line may be without reason, and without the blank before it', () => {
  assert.equal(readOne('HTTP/1.1 204 \r\n\r\n')[0], '204  []');
  assert.equal(readOne('HTTP/1.1 204\r\n\r\n')[0], '204  []');
  assert.equal(readOne('HTTP/1.1 204 \xe4 b\tc\r\n\r\n')[0], '204 \xe4 b\tc []');
  assert.equal(readOne('HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n')[0], '999 Odd [Content-Length|0]');
});

test('answers to HEAD, 204 and 304 have no body, whatever they say', () => {
  const lines = 'Content-Length: 5\r\n\r\n';

  assert.equal(readOne(`HTTP/1.1 200 OK\r\n${lines}`, 'HEAD')[1], '  end ""');
  assert.equal(readOne('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', 'HEAD')[1], '  end ""');
  assert.equal(readOne('HTTP/1.1 200 OK\r\n\r\n', 'HEAD')[1], '  end ""');
  assert.equal(readOne(`HTTP/1.1 304 Not Modified\r\n${lines}`)[1], '  end ""');
  assert.equal(readOne('HTTP/1.1 204 No Content\r\n\r\n')[1], '  end ""');
  assert.equal(readOne(`HTTP/1.1 204 No Content\r\n${lines}`)[1], '  end ""');
});

test('interim answers are passed over', () => {
  const lines = readOne(
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' +
      'HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\na',
  );

  assert.deepEqual(lines, ['201 Created [Content-Length|1]', '  end "a"', 'ended']);
});

test('interim answers without end are refused', () => {
  assert.deepEqual(readResponses(['GET'], [latin1('HTTP/1.1 100 Continue\r\n\r\n'.repeat(50))]), [
    'error 400',
  ]);
});

test('a switch of protocols is an answer, and what follows can be taken out', () => {
  const reader = new ResponseReader(HTTP1_LIMITS);
  const bytes = latin1('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nraw');
  reader.expect('GET');
  reader.push(bytes, bytes.length);

  assert.equal(reader.next(), HEAD);
  assert.equal(reader.head.status, 101);
  assert.equal(reader.takeRest().toString('latin1'), 'raw');
});

test('a CONNECT that was granted has no body', () => {
  assert.deepEqual(readOne('HTTP/1.1 200 OK\r\n\r\n', 'CONNECT').slice(1), ['  end ""', 'ended']);
  assert.equal(readOne('HTTP/1.1 502 Bad\r\nContent-Length: 1\r\n\r\na', 'CONNECT')[1], '  end "a"');
});

test('an answer that is cut short is told from one that ended', () => {
  const whole = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
  for (let at = 1; at < whole.length; at += 1)
    assert.equal(
      readResponses(['GET'], [latin1(whole.slice(0, at))]).at(-1),
      'cut short',
      whole.slice(0, at),
    );
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
  for (let at = 1; at < chunked.length; at += 1)
    assert.equal(
      readResponses(['GET'], [latin1(chunked.slice(0, at))]).at(-1),
      'cut short',
      chunked.slice(0, at),
    );
});

test('the end of a connection on which nothing has begun is well', () => {
  assert.deepEqual(readResponses(['GET'], []), ['ended']);
});

test('answers to one request after the other are read on one connection', () => {
  const answers = ['a', 'b', 'c'].map((body) =>
    latin1(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${body}`),
  );

  const lines = readResponses(
    ['GET', 'HEAD', 'GET'],
    [answers[0]!, answers[1]!.subarray(0, -1), answers[2]!],
  );

  assert.deepEqual(
    lines.filter((line) => line.startsWith('  ')),
    ['  end "a"', '  end ""', '  end "c"'],
  );
});

test('an answer that nobody asked for is refused, also when it equals the last one', () => {
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

  assert.equal(readResponses(['GET'], [latin1(answer), latin1(answer)]).at(-1), 'error 400');
  assert.equal(readResponses(['GET'], [latin1(`${answer}HTTP/1.1 200`)]).at(-1), 'error 400');
});

test('an answer that was there before its request is never given to that request', () => {
  const reader = new ResponseReader(HTTP1_LIMITS);
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
  const bytes = latin1(answer + answer);
  reader.expect('GET');
  reader.push(bytes, bytes.length);
  reader.next();
  assert.equal(reader.next(), END);

  reader.expect('GET');

  assert.throws(() => reader.next(), { name: 'HttpError' });
});

test('heads of equal bytes are one object', () => {
  const reader = new ResponseReader(HTTP1_LIMITS);
  const bytes = latin1('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  const heads = [1, 2].map(() => {
    reader.expect('GET');
    reader.push(bytes, bytes.length);
    while (reader.next() !== NEED_MORE);
    return reader.head;
  });

  assert.equal(heads[0], heads[1]);
});

const BAD_ANSWERS: readonly [claim: string, text: string][] = [
  ['another protocol', 'ICY 200 OK\r\n\r\n'],
  ['HTTP/2', 'HTTP/2 200 OK\r\n\r\n'],
  ['a version in lower case', 'http/1.1 200 OK\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
  ['a status that is no number', 'HTTP/1.1 2x0 OK\r\n\r\n'],
  ['two blanks before the status', 'HTTP/1.1  200 OK\r\n\r\n'],
  ['a control character in the reason', 'HTTP/1.1 200 O\x01K\r\n\r\n'],
  ['a line feed alone', 'HTTP/1.1 200 OK\nA: b\r\n\r\n'],
  ['an empty line first', '\r\nHTTP/1.1 200 OK\r\n\r\n'],
  ['a folded line', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na'],
  ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na'],
  ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
];

for (const [claim, text] of BAD_ANSWERS) {
  test(`an answer with ${claim} is refused`, () => {
    for (const pieces of everyCut(latin1(text)))
      assert.match(readResponses(['GET'], pieces).join(), /^error (?:400|505)$/);
  });
}

test('a head over the bound is refused', () => {
  const endless = latin1(`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(10_000)}`);

  assert.deepEqual(readResponses(['GET'], [endless], { ...HTTP1_LIMITS, fieldsMax: 100_000 }), ['error 431']);
});
