/** The HTTP/1.1 codec: however the bytes are cut, the same messages come out; what comes out is HTTP; garbage costs nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Random } from '../../src/core/index.js';
import {
  decodePath,
  encodePath,
  HTTP1_LIMITS,
  HttpError,
  isFieldValue,
  isTarget,
  isToken,
  normalizePath,
  parseForm,
  parseRequestBlock,
  parseResponseBlock,
  queryEscape,
  type RequestHead,
  splitTarget,
} from '../../src/wire/http1/index.js';
import { below, FUZZ_SEED, fuzz, mutate, pick, seededRandom } from '../support/fuzz.js';
import { everyCut, latin1, readRequests, readResponses } from '../unit/wire/http1/transcript.js';

const INPUT_MS_MAX = 2_000;
/** Small, so that inputs reach them. */
const LIMITS = { headBytesMax: 512, fieldsMax: 12, chunkLineBytesMax: 32, trailerBytesMax: 64 };

const requests = [
  'GET /a?b=c HTTP/1.1\r\nHost: a.example:80\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello\r\n\r\n0\r',
  'PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a="b"\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nX: y\r\n\r\n',
  'OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n',
  'GET http://a/b?c HTTP/1.1\r\nHost: [::1]:8080\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n',
].map(latin1);

const responses = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n',
  'HTTP/1.0 200\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nuntil the end',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
].map(latin1);

/** What attacks are made of; put in anywhere, it reaches further than bytes by chance. */
const PIECES = [
  ...[
    '\r\n',
    '\n',
    '\r',
    '\r\n\r\n',
    '\n\n',
    ' ',
    '\t',
    ':',
    ';',
    ',',
    '\0',
    '\x0b',
    '\x7f',
    '\xff',
    '%00',
    '#',
  ],
  ...['Content-Length: 5\r\n', 'Content-Length: 0\r\n', 'Content-Length: +5\r\n', 'Content-Length : 5\r\n'],
  ...[
    'Transfer-Encoding: chunked\r\n',
    'Transfer-Encoding: xchunked\r\n',
    'Transfer-Encoding:\r\n chunked\r\n',
  ],
  ...['0\r\n\r\n', '5\r\nhello\r\n', 'ffffffffffffffff\r\n', '0x5\r\n', '-1\r\n', '1;x\r\n'],
  ...[
    'Host: b\r\n',
    'Connection: close\r\n',
    ' HTTP/1.1\r\n',
    ' HTTP/2.0\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  ],
].map(latin1);

function makeInput(random: Random, seeds: readonly Buffer[]): Buffer {
  let input = Buffer.concat(Array.from({ length: 1 + below(random, 4) }, () => pick(random, seeds)));
  for (let rounds = below(random, 4); rounds > 0; rounds -= 1) {
    const at = below(random, input.length + 1);
    const until = Math.min(input.length, at + pick(random, [0, 0, 1, 4]));
    input = Buffer.concat([input.subarray(0, at), pick(random, PIECES), input.subarray(until)]);
  }
  return below(random, 3) === 0 ? mutate(random, [input]) : input;
}

function cut(input: Buffer, random: Random): Buffer[] {
  const largest = pick(random, [1, 3, 20, 200]);
  const pieces: Buffer[] = [];
  for (let at = 0; at < input.length; ) {
    const size = 1 + below(random, largest);
    pieces.push(input.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

/**
 * An input with two faults may be refused for the one or the other, but always at the same message. A head in pieces may be refused only
 * when it is complete, so one that is refused is completed first.
 */
function assertSame(input: Buffer, random: Random, read: (pieces: readonly Buffer[]) => string[]): string[] {
  const whole = read([input]);
  const isRefused = whole.at(-1)?.startsWith('error ') === true;
  const pieces = cut(isRefused ? Buffer.concat([input, HEAD_END]) : input, random);
  assert.deepEqual(withoutStatus(read(pieces)), withoutStatus(whole));
  return whole;
}

const HEAD_END = latin1('\r\n\r\n');

function withoutStatus(lines: readonly string[]): string[] {
  return lines.map((line) => (line.startsWith('error ') ? 'error' : line));
}

const NAME = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const VALUE = '[\\t\\x20-\\x7e\\x80-\\xff]*';
const FIELD_LINES = `(?:${NAME}:${VALUE}\\r\\n)*`;
const REQUEST = new RegExp(
  `^(?:\\r\\n)?${NAME} [\\x21-\\x7e\\x80-\\xff]+ HTTP/1\\.[01]\\r\\n${FIELD_LINES}\\r\\n`,
);

/** The same said in another way: what was taken for a request is one by the grammar, and frames its body once. */
function assertGrammar(input: Buffer): void {
  const match = REQUEST.exec(input.toString('latin1'));
  assert.ok(match !== null, 'a head that is none by the grammar');
  const framing = match[0].match(/\r\n(?:content-length|transfer-encoding):/gi) ?? [];
  assert.ok(framing.length <= 1, 'a body that is framed twice');
  const hosts = match[0].match(/\r\nhost:/gi) ?? [];
  assert.ok(hosts.length === 1 || (hosts.length === 0 && match[0].includes(' HTTP/1.0\r\n')), 'not one host');
}

test(`each of the ${requests.length} requests is the same however it is cut`, () => {
  for (const request of requests) {
    const whole = readRequests([request]);
    for (const pieces of everyCut(request)) assert.deepEqual(readRequests(pieces), whole);
  }
});

test(`mutated requests are the same however they are cut, and are requests, seed ${FUZZ_SEED}`, (context) => {
  const cutting = seededRandom(FUZZ_SEED + 1);
  let taken = 0;
  const report = fuzz(
    (input) => {
      for (const limits of [HTTP1_LIMITS, LIMITS]) {
        const whole = assertSame(input, cutting, (pieces) => readRequests(pieces, limits));
        if (whole.length === 0 || whole[0]!.startsWith('error')) continue;
        taken += 1;
        assertGrammar(input);
      }
    },
    (random) => makeInput(random, requests),
    INPUT_MS_MAX,
  );
  assert.ok(taken > 0);
  context.diagnostic(`seed ${FUZZ_SEED}, ${report.inputs} inputs, slowest ${report.slowestMs.toFixed(1)} ms`);
});

test(`mutated answers are the same however they are cut, seed ${FUZZ_SEED}`, (context) => {
  const cutting = seededRandom(FUZZ_SEED + 2);
  const report = fuzz(
    (input) => {
      const methods = [pick(cutting, ['GET', 'HEAD', 'CONNECT'])];
      for (const limits of [HTTP1_LIMITS, LIMITS]) {
        assertSame(input, cutting, (pieces) => readResponses(methods, pieces, limits));
      }
    },
    (random) => makeInput(random, responses),
    INPUT_MS_MAX,
  );
  context.diagnostic(`seed ${FUZZ_SEED}, ${report.inputs} inputs, slowest ${report.slowestMs.toFixed(1)} ms`);
});

test(`blocks, targets and forms of any bytes are read or refused, seed ${FUZZ_SEED}`, (context) => {
  const report = fuzz(
    (input) => {
      const head = orNull(() => parseRequestBlock(input));
      if (head !== null) assertSafe(head);
      orNull(() => parseResponseBlock(input));
      assertSafePath(input.toString('latin1'));
      const pairs = orNull(() => parseForm(input.toString('latin1'))) ?? [];
      const again = pairs.map(([key, value]) => `${queryEscape(key)}=${queryEscape(value)}`).join('&');
      assert.deepEqual(parseForm(again), pairs);
    },
    (random) => makeInput(random, pick(random, [requests, responses, PIECES])),
    INPUT_MS_MAX,
  );
  context.diagnostic(`seed ${FUZZ_SEED}, ${report.inputs} inputs, slowest ${report.slowestMs.toFixed(1)} ms`);
});

/** Whatever was read can be written again without ending a line early. */
function assertSafe(head: RequestHead): void {
  assert.ok(isToken(head.method) && isTarget(head.target));
  for (let index = 0; index < head.fields.length; index += 2) {
    assert.ok(isToken(head.fields[index]!) && isFieldValue(head.fields[index + 1]!));
  }
  assertSafePath(splitTarget(head.target).path);
}

function assertSafePath(raw: string): void {
  const decoded = decodePath(raw);
  if (decoded === null) return;
  const normal = normalizePath(decoded);
  assert.doesNotMatch(normal, /\/\/|\/\.\.?(?:\/|$)|\0/);
  assert.ok(isTarget(encodePath(normal)));
  assert.equal(decodePath(encodePath(normal)), normal);
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    return null;
  }
}
