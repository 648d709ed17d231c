import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BODY, END, HEAD, HTTP1_LIMITS, NEED_MORE, RequestReader } from '../../../../src/wire/http1/index.js';
import { everyCut, latin1, readRequests } from './transcript.js';

const HOST = 'Host: a\r\n';

/** A request without body, with these lines between request line and blank line. */
function get(lines = HOST, requestLine = 'GET / HTTP/1.1'): Buffer {
  return latin1(`${requestLine}\r\n${lines}\r\n`);
}

function post(lines: string, body: string): Buffer {
  return latin1(`POST / HTTP/1.1\r\n${HOST}${lines}\r\n${body}`);
}

const PIPELINED = latin1(
  'GET /a?b=c HTTP/1.1\r\nHost: first.example:8080\r\nX-Empty:\r\nCookie: \t a=\xe4\tb \t\r\n\r\n' +
    'POST /len HTTP/1.1\r\nhost: b\r\ncontent-length: 5\r\n\r\nhello' +
    'PUT /chunks HTTP/1.1\r\nHOST: c\r\nTransfer-Encoding: Chunked\r\n\r\n' +
    '5\r\nhello\r\nA;name=value;q="x y"\r\n0123456789\r\n000\r\nContent-Length: 9\r\nHost: evil\r\n\r\n' +
    '\r\nDELETE /none HTTP/1.0\r\nContent-Length: 0\r\n\r\n' +
    'GET /last HTTP/1.1\r\nHost: [::1]:80\r\n\r\n',
);

test('pipelined requests are the same however their bytes are cut', () => {
  const expected = [
    'GET /a?b=c 1.1 first.example:8080 [Host|first.example:8080|X-Empty||Cookie|a=\xe4\tb]',
    '  end ""',
    'POST /len 1.1 b [host|b|content-length|5]',
    '  end "hello"',
    'PUT /chunks 1.1 c [HOST|c|Transfer-Encoding|Chunked]',
    '  end "hello0123456789"',
    'DELETE /none 1.0  [Content-Length|0]',
    '  end ""',
    'GET /last 1.1 [::1]:80 [Host|[::1]:80]',
    '  end ""',
  ];

  for (const pieces of everyCut(PIPELINED)) assert.deepEqual(readRequests(pieces), expected);
});

test('what is told of a request is what its fields say', () => {
  const reader = new RequestReader(HTTP1_LIMITS);
  const bytes = post(
    'Expect: 100-Continue\r\nConnection: Upgrade, Close\r\nA: 1\r\na: 2\r\nContent-Length: 3\r\n',
    '',
  );

  reader.push(bytes, bytes.length);

  assert.equal(reader.next(), HEAD);
  const { head } = reader;
  assert.equal(head.expectsContinue, true);
  assert.equal(head.keepAlive, false);
  assert.equal(head.contentLength, 3);
  assert.equal(head.isChunked, false);
  assert.equal(head.get('a'), '1');
  assert.deepEqual(head.getAll('a'), ['1', '2']);
  assert.equal(head.get('b'), undefined);
  assert.equal(head.memo, null);
  assert.equal(reader.next(), NEED_MORE);
});

test('a body is shown as views into the input', () => {
  const reader = new RequestReader(HTTP1_LIMITS);
  const bytes = post('Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n0\r\n\r\n');

  reader.push(bytes, bytes.length);
  reader.next();

  assert.equal(reader.next(), BODY);
  assert.equal(reader.bytes, bytes);
  assert.equal(bytes.toString('latin1', reader.bodyStart, reader.bodyEnd), 'abc');
});

test('heads of equal bytes on a connection are one object, also after a longer and a shorter one', () => {
  for (const other of [
    get('Host: abc\r\n'),
    get(`Host: a\r\nX: ${'x'.repeat(2000)}\r\n`),
    get('Host: b\r\n'),
  ]) {
    const reader = new RequestReader(HTTP1_LIMITS);
    const heads = [get(), get(), other, other, get()].map((bytes) => {
      reader.push(bytes, bytes.length);
      assert.equal(reader.next(), HEAD);
      assert.equal(reader.next(), END);
      return reader.head;
    });

    assert.equal(heads[0], heads[1]);
    assert.notEqual(heads[1], heads[2]);
    assert.equal(heads[2], heads[3]);
    assert.equal(heads[4]!.host, 'a');
    assert.notEqual(heads[4], heads[3]);
  }
});

test('a head that differs in any one byte is another', () => {
  const known = get('Host: abcdefgh\r\nX-Field: 0123456789\r\n');
  for (let at = 0; at < known.length; at += 1) {
    const changed = Buffer.from(known);
    changed[at] = changed[at]! ^ 1;

    assert.deepEqual(readRequests([known, changed]).slice(2), readRequests([changed]));
  }
});

test('a head of any size up to the bound is recognised, also at an odd place of the input', () => {
  for (const size of [1, 2, 3, 200, 400, 3000, 20_000]) {
    const bytes = get(`Host: a\r\nX: ${'x'.repeat(size)}\r\n`);
    const twice = Buffer.concat([latin1('GET /first HTTP/1.1\r\nHost: a\r\n\r\n'), bytes, bytes]);

    assert.deepEqual(readRequests([twice]).slice(2), [...readRequests([bytes]), ...readRequests([bytes])]);
  }
});

test('a reader is idle between messages alone', () => {
  const reader = new RequestReader(HTTP1_LIMITS);
  const bytes = post('Content-Length: 2\r\n', 'ab');
  const idle: boolean[] = [reader.isIdle];

  for (const byte of bytes) {
    reader.push(Buffer.of(byte), 1);
    while (reader.next() !== NEED_MORE);
    idle.push(reader.isIdle);
  }

  assert.deepEqual(idle, [true, ...Array.from({ length: bytes.length - 1 }, () => false), true]);
});

test('a line end behind a body begins no message', () => {
  const reader = new RequestReader(HTTP1_LIMITS);
  for (const bytes of [post('Content-Length: 2\r\n', 'ab\r'), latin1('\n')]) {
    reader.push(bytes, bytes.length);
    while (reader.next() !== NEED_MORE);
    assert.equal(reader.isIdle, true);
  }
  const next = get();

  reader.push(next, next.length);

  assert.equal(reader.next(), HEAD);
});

test('two empty lines before a request are refused', () => {
  assertRefused(latin1('\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n'), 400);
});

test('bytes behind a CONNECT can be taken out for the tunnel', () => {
  const reader = new RequestReader(HTTP1_LIMITS);
  const bytes = latin1('CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n\x16\x03raw');

  reader.push(bytes, bytes.length);

  assert.equal(reader.next(), HEAD);
  assert.equal(reader.head.target, 'a:443');
  const rest = reader.takeRest();
  bytes.fill(0);
  assert.equal(rest.toString('latin1'), '\x16\x03raw');
  assert.equal(reader.unreadBytes, 0);
});

test('unread bytes that were taken out go on where they are pushed again', () => {
  const reader = new RequestReader(HTTP1_LIMITS);
  const bytes = post('Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n');
  reader.push(bytes, bytes.length);
  reader.next();
  reader.next();

  const rest = reader.takeRest();
  assert.equal(reader.next(), NEED_MORE);
  reader.push(rest, rest.length);

  assert.equal(reader.next(), BODY);
  assert.equal(rest.toString('latin1', reader.bodyStart, reader.bodyEnd), 'defg');
  assert.equal(reader.next(), END);
});

test('after an error nothing more is read', () => {
  const reader = new RequestReader(HTTP1_LIMITS);
  const broken = latin1('BROKEN\r\n\r\n');
  reader.push(broken, broken.length);
  assert.throws(() => reader.next(), { name: 'HttpError' });
  const good = get();

  reader.push(good, good.length);

  assert.throws(() => reader.next(), { name: 'HttpError', status: 400 });
});

test('bytes that cannot begin a request are refused when they come', () => {
  // A TLS client, an SSH client, a PRI of HTTP/2, and a Motan frame.
  for (const bytes of ['\x16\x03\x01', 'SSH-2.0-OpenSSH_9.2\r\n', '\xf1\xf1\x00\x08', 'PRI * HTTP/2.0\r\n'])
    assert.match(readRequests([latin1(bytes)]).at(-1)!, /^error/, bytes);
});

test('a head in pieces is refused at the first byte that can stand in none', () => {
  for (const [first, second] of [
    ['GET / HTTP/1.1\r\nHo', 'st: a\0'],
    ['GET / HTTP/1.1\r\nHost: a', '\n'],
    ['GET / HTTP/1.1\r\nHost: a\r', 'X'],
  ])
    assert.deepEqual(readRequests([latin1(first!), latin1(second!)]), ['error 400']);
});

/** Refused with that status however it is cut, and nothing of it is taken for a message. */
function assertRefused(bytes: Buffer, status: number, told: readonly string[] = []): void {
  for (const pieces of everyCut(bytes)) {
    const message = JSON.stringify(bytes.toString('latin1').slice(0, 200));
    assert.deepEqual(readRequests(pieces), [...told, `error ${status}`], message);
  }
}

const BAD_HEADS: readonly [claim: string, bytes: Buffer, status: number][] = [
  ['a line feed alone behind the request line', latin1('GET / HTTP/1.1\nHost: a\r\n\r\n'), 400],
  ['a line feed alone behind a field', latin1('GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n'), 400],
  ['a line feed alone as the blank line', latin1('GET / HTTP/1.1\r\nHost: a\r\n\n'), 400],
  ['line feeds alone throughout', latin1('GET / HTTP/1.1\nHost: a\n\n'), 400],
  ['a carriage return alone in a value', get('Host: a\r\nX: a\rb\r\n'), 400],
  ['a carriage return alone behind a field', latin1('GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n'), 400],
  ['two carriage returns', get('Host: a\r\nX: a\r\r\n'), 400],
  ['NUL in a value', get('Host: a\r\nX: a\0b\r\n'), 400],
  ['NUL in a name', get('Host: a\r\nX\0: a\r\n'), 400],
  ['NUL in a target', get(HOST, 'GET /a\0b HTTP/1.1'), 400],
  ['DEL in a value', get('Host: a\r\nX: a\x7fb\r\n'), 400],
  ['a vertical tab before a value', get('Host: a\r\nTransfer-Encoding:\x0bchunked\r\n'), 400],
  ['a folded line', get('Host: a\r\nX: a\r\n b\r\n'), 400],
  ['a line folded by a tab', get('Host: a\r\nX: a\r\n\tb\r\n'), 400],
  ['a folded Transfer-Encoding', get('Host: a\r\nTransfer-Encoding:\r\n chunked\r\n'), 400],
  ['a folded first field', get(' Host: a\r\n'), 400],
  ['a blank before a colon', get('Host: a\r\nTransfer-Encoding : chunked\r\n'), 400],
  ['a tab before a colon', get('Host: a\r\nContent-Length\t: 5\r\n'), 400],
  ['a name with a blank inside', get('Host: a\r\nX Y: a\r\n'), 400],
  ['a name with a byte from beyond ASCII', get('Host: a\r\nX\xe4: a\r\n'), 400],
  ['an empty name', get('Host: a\r\n: a\r\n'), 400],
  ['a field without a colon', get('Host: a\r\nX\r\n'), 400],
  ['two blanks behind the method', get(HOST, 'GET  / HTTP/1.1'), 400],
  ['two blanks behind the target', get(HOST, 'GET /  HTTP/1.1'), 400],
  ['a request line that another line follows without end', latin1('GET / HTTP/1.1XYHost: a\r\n\r\n'), 400],
  ['a request line that ends in a carriage return alone', latin1('GET / HTTP/1.1\rXHost: a\r\n\r\n'), 400],
  ['a carriage return alone before the method', latin1('\rXGET / HTTP/1.1\r\nHost: a\r\n\r\n'), 400],
  ['an empty method', get(HOST, ' / HTTP/1.1'), 400],
  ['an empty target', get(HOST, 'GET  HTTP/1.1'), 400],
  ['a tab behind the method', get(HOST, 'GET\t/ HTTP/1.1'), 400],
  ['a tab in the target', get(HOST, 'GET /a\tb HTTP/1.1'), 400],
  ['a blank before the method', get(HOST, ' GET / HTTP/1.1'), 400],
  ['a blank behind the version', get(HOST, 'GET / HTTP/1.1 '), 400],
  ['a blank in the target', get(HOST, 'GET /a b HTTP/1.1'), 400],
  ['a fragment in the target', get(HOST, 'GET /a#b HTTP/1.1'), 400],
  ['a method that is no token', get(HOST, 'GE(T / HTTP/1.1'), 400],
  ['a request line without method', get(HOST, '/ HTTP/1.1'), 400],
  ['a request line without target', get(HOST, 'GET HTTP/1.1'), 400],
  ['a request line without version', get(HOST, 'GET /'), 400],
  ['a version in lower case', get(HOST, 'GET / http/1.1'), 400],
  ['a version of two digits', get(HOST, 'GET / HTTP/1.11'), 400],
  ['a version without minor', get(HOST, 'GET / HTTP/1'), 400],
  ['HTTP/2.0', get(HOST, 'GET / HTTP/2.0'), 505],
  ['HTTP/1.2', get(HOST, 'GET / HTTP/1.2'), 505],
  ['HTTP/0.9', get(HOST, 'GET / HTTP/0.9'), 505],
  ['no Host in HTTP/1.1', get('X: y\r\n'), 400],
  ['no field at all in HTTP/1.1', get(''), 400],
  ['two Hosts', get('Host: a\r\nHost: a\r\n'), 400],
  ['two Hosts of other case', get('Host: a\r\nhOST: b\r\n'), 400],
  ['two Hosts in HTTP/1.0', get('Host: a\r\nHost: a\r\n', 'GET / HTTP/1.0'), 400],
  ['an empty Host', get('Host:\r\n'), 400],
  ['a Host with a path', get('Host: a/b\r\n'), 400],
  ['a Host with a user', get('Host: u@a\r\n'), 400],
  ['a Host with a blank', get('Host: a b\r\n'), 400],
  ['a list of Hosts', get('Host: a, b\r\n'), 400],
  ['a Host with a port that is none', get('Host: a:b\r\n'), 400],
  ['a Host with a signed port', get('Host: a:+80\r\n'), 400],
  ['a Host with an empty port', get('Host: a:\r\n'), 400],
  ['a Host with a port over 65535', get('Host: a:65536\r\n'), 400],
  ['a Host of a port alone', get('Host: :80\r\n'), 400],
  ['a Host of an open bracket', get('Host: [::1\r\n'), 400],
  ['a Host with a broken escape', get('Host: a%zz\r\n'), 400],
  ['a Host from beyond ASCII', get('Host: \xe4\r\n'), 400],
  ['a target that is no path', get(HOST, 'GET a HTTP/1.1'), 400],
  ['* for another method', get(HOST, 'GET * HTTP/1.1'), 400],
  ['an authority for another method', get(HOST, 'GET a:80 HTTP/1.1'), 400],
  ['a URL without authority', get(HOST, 'GET http:///a HTTP/1.1'), 400],
  ['a URL with a user', get(HOST, 'GET http://u@a/ HTTP/1.1'), 400],
  ['a URL of another scheme', get(HOST, 'GET ftp://a/ HTTP/1.1'), 400],
  ['a URL with a bad port', get(HOST, 'GET http://a:99999/ HTTP/1.1'), 400],
  ['a CONNECT to a path', get(HOST, 'CONNECT / HTTP/1.1'), 400],
  ['a CONNECT without port', get(HOST, 'CONNECT a HTTP/1.1'), 400],
  ['a CONNECT to an address without port', get(HOST, 'CONNECT [::1] HTTP/1.1'), 400],
  ['a CONNECT with a body', get('Host: a\r\nContent-Length: 1\r\n', 'CONNECT a:1 HTTP/1.1'), 400],
  ['a CONNECT with chunks', get('Host: a\r\nTransfer-Encoding: chunked\r\n', 'CONNECT a:1 HTTP/1.1'), 400],
];

for (const [claim, bytes, status] of BAD_HEADS) {
  test(`${claim} is refused`, () => {
    assertRefused(bytes, status);
  });
}

const BAD_FRAMING: readonly [lines: string, status: number][] = [
  ['Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', 400],
  ['Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', 400],
  ['Transfer-Encoding: chunked\r\nContent-Length: 0\r\n', 400],
  ['Content-Length: 5\r\nContent-Length: 5\r\n', 400],
  ['Content-Length: 5\r\ncontent-length: 6\r\n', 400],
  ['Content-Length: 0\r\nContent-Length: 5\r\n', 400],
  ['Content-Length: 5, 5\r\n', 400],
  ['Content-Length: 5,5\r\n', 400],
  ['Content-Length: +5\r\n', 400],
  ['Content-Length: -5\r\n', 400],
  ['Content-Length: 5.0\r\n', 400],
  ['Content-Length: 5e0\r\n', 400],
  ['Content-Length: 0x5\r\n', 400],
  ['Content-Length: 5 5\r\n', 400],
  ['Content-Length: \xb2\r\n', 400],
  ['Content-Length: abc\r\n', 400],
  ['Content-Length:\r\n', 400],
  ['Content-Length: 9999999999999999\r\n', 400],
  ['Content-Length: 18446744073709551616\r\n', 400],
  ['Transfer-Encoding: xchunked\r\n', 501],
  ['Transfer-Encoding: identity\r\n', 501],
  ['Transfer-Encoding: gzip, chunked\r\n', 501],
  ['Transfer-Encoding: chunked, identity\r\n', 501],
  ['Transfer-Encoding: chunked, chunked\r\n', 501],
  ['Transfer-Encoding: chunked;q=1\r\n', 501],
  ['Transfer-Encoding: "chunked"\r\n', 501],
  ['Transfer-Encoding: \xa0chunked\r\n', 501],
  ['Transfer-Encoding: chun\tked\r\n', 501],
  ['Transfer-Encoding:\r\n', 501],
  ['Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', 400],
  ['Transfer-Encoding: chunked\r\ntransfer-encoding: identity\r\n', 400],
  ['Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n', 501],
];

for (const [lines, status] of BAD_FRAMING) {
  test(`${JSON.stringify(lines)} is refused before any body`, () => {
    assertRefused(post(lines, '5\r\nhello\r\n0\r\n\r\n'), status);
  });
}

test('Transfer-Encoding in HTTP/1.0 is refused', () => {
  assertRefused(get('Transfer-Encoding: chunked\r\n', 'POST / HTTP/1.0'), 400);
});

test('blanks and tabs around chunked are none of it', () => {
  const [head, body] = readRequests([post('Transfer-Encoding:\t chunked \t\r\n', '1\r\na\r\n0\r\n\r\n')]);

  assert.match(head!, /Transfer-Encoding\|chunked\]$/);
  assert.equal(body, '  end "a"');
});

test('all forms of a target are read', () => {
  for (const [requestLine, target] of [
    ['GET http://b:81/a?x=http://c/ HTTP/1.1', 'http://b:81/a?x=http://c/'],
    ['GET HTTPS://b HTTP/1.1', 'HTTPS://b'],
    ['GET http://b?x HTTP/1.1', 'http://b?x'],
    ['OPTIONS * HTTP/1.1', '*'],
    ['CONNECT b:443 HTTP/1.1', 'b:443'],
    ['CONNECT [::1]:443 HTTP/1.1', '[::1]:443'],
    ['get //a/../b\xe4{}|\\?? HTTP/1.1', '//a/../b\xe4{}|\\??'],
  ]) {
    assert.equal(readRequests([get(HOST, requestLine)])[0]!.split(' ')[1], target);
  }
});

test('HTTP/1.0 keeps a connection only when it says so, HTTP/1.1 unless it does not', () => {
  for (const [version, lines, keepAlive] of [
    ['1.1', '', true],
    ['1.1', 'Connection: close\r\n', false],
    ['1.1', 'Connection: x,\tCLOSE\r\n', false],
    ['1.1', 'Connection: closed\r\n', true],
    ['1.1', 'Connection: keep-alive\r\nConnection: close\r\n', false],
    ['1.0', '', false],
    ['1.0', 'Connection: Keep-Alive\r\n', true],
    ['1.0', 'Connection: keep-alive, close\r\n', false],
  ] as const) {
    const reader = new RequestReader(HTTP1_LIMITS);
    const bytes = get(`${HOST}${lines}`, `GET / HTTP/${version}`);
    reader.push(bytes, bytes.length);
    reader.next();

    assert.equal(reader.head.keepAlive, keepAlive, `${version} ${lines}`);
  }
});

test('a client of HTTP/1.0 cannot wait for 100', () => {
  const reader = new RequestReader(HTTP1_LIMITS);
  const bytes = get('Expect: 100-continue\r\nContent-Length: 1\r\n', 'POST / HTTP/1.0');
  reader.push(bytes, bytes.length);
  reader.next();

  assert.equal(reader.head.expectsContinue, false);
});

const SMALL = { ...HTTP1_LIMITS, headBytesMax: 100, fieldsMax: 3 };

test('a head of exactly the bound is read, one byte more is refused', () => {
  const fit = get(`${HOST}X: ${'x'.repeat(68)}\r\n`);
  const over = get(`${HOST}X: ${'x'.repeat(69)}\r\n`);
  assert.equal(fit.length, 100);

  for (const pieces of everyCut(fit)) assert.equal(readRequests(pieces, SMALL).at(-1), '  end ""');
  for (const pieces of everyCut(over)) assert.deepEqual(readRequests(pieces, SMALL), ['error 431']);
});

test('a request line alone over the bound is refused as a target too long', () => {
  const over = get(HOST, `GET /${'a'.repeat(200)} HTTP/1.1`);

  for (const pieces of everyCut(over)) assert.deepEqual(readRequests(pieces, SMALL), ['error 414']);
});

test('a head without end is refused at the bound, however slowly it comes', () => {
  const endless = latin1(`GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(40)}`);

  for (const pieces of everyCut(endless))
    assert.deepEqual(readRequests(pieces, { ...SMALL, fieldsMax: 128 }), ['error 431']);
});

test('one field more than allowed is refused', () => {
  const lines = `${HOST}A: 1\r\nB: 2\r\n`;

  assert.equal(readRequests([get(lines)], SMALL).at(-1), '  end ""');
  for (const pieces of everyCut(get(`${lines}C: 3\r\n`)))
    assert.deepEqual(readRequests(pieces, SMALL), ['error 431']);
});

test('hundreds of fields are read where that is allowed', () => {
  const lines = Array.from({ length: 500 }, (_, index) => `X-${index}: ${index}\r\n`).join('');
  const reader = new RequestReader({ ...HTTP1_LIMITS, fieldsMax: 501 });
  const bytes = get(`${HOST}${lines}`);
  reader.push(bytes, bytes.length);

  assert.equal(reader.next(), HEAD);

  assert.equal(reader.head.fields.length, 2 * 501);
  assert.equal(reader.head.get('x-499'), '499');
});

test('a head that comes byte by byte is kept in memory of its own size', () => {
  const reader = new RequestReader({ ...HTTP1_LIMITS, headBytesMax: 16 * 1024 * 1024 });
  const before = process.memoryUsage().arrayBuffers;
  for (const byte of latin1('GET / HTTP/1.1\r\nHost: a\r\nX: ')) {
    reader.push(Buffer.of(byte), 1);
    reader.next();
  }

  assert.ok(process.memoryUsage().arrayBuffers - before < 256 * 1024);
});

test('a smuggled request inside a body stays in the body', () => {
  const inner = 'GET /admin HTTP/1.1\r\nHost: a\r\n\r\n';
  const outer = post(`Content-Length: ${inner.length}\r\n`, inner);

  for (const pieces of everyCut(Buffer.concat([outer, get()]))) {
    const lines = readRequests(pieces);
    assert.equal(lines.length, 4);
    assert.equal(lines[1], `  end "${inner}"`);
  }
});
