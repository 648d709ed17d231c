/** FastCGI: requests come back as they were made, answers are read the same however they are cut, and garbage costs nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError, type Random } from '../../src/core/index.js';
import {
  CGI_HEAD_LIMITS,
  CgiHeadReader,
  END_REQUEST,
  NEED_MORE,
  RecordReader,
  RequestEncoder,
  STDERR,
  STDOUT,
} from '../../src/wire/fastcgi/index.js';
import { answer, endRequest, readRequest, record, stderr, stdout } from '../support/fastcgi.js';
import {
  attempt,
  below,
  everyFlipAndCut,
  FUZZ_SEED,
  fuzz,
  mutate,
  pick,
  randomBytes,
  seededRandom,
} from '../support/fuzz.js';

const INPUT_MS_MAX = 2_000;

const heads = [
  'Content-type: text/html\r\n\r\n',
  'Status: 404 Not Found\r\nX-Powered-By: PHP/8.2\r\nContent-type: text/html; charset=UTF-8\r\n\r\n',
  'Set-Cookie: a=1\nSet-Cookie: b=2\n\n',
  'Location: /x\r\n\n',
  'HTTP/1.1 500 Oops\r\nA: b\n\r\n',
  '\r\n',
  'no head',
];

const answers = [
  ...heads.map((head) => Buffer.concat([stdout(`${head}body of a page`, 3), endRequest()])),
  Buffer.concat([
    stderr('Primary script unknown'),
    answer('File not found.\n', 'Status: 404\r\n'),
    Buffer.from('xx'),
  ]),
  Buffer.concat([
    stdout('Content-ty'),
    record(6),
    stderr('a'),
    stdout('pe: a\r'),
    stdout('\n\r\nb', 7),
    record(7),
    endRequest(255),
  ]),
  Buffer.concat([record(11, '12345678', 0, 0), endRequest(0, 2)]),
];

/** What reading gives: the output so far, the head as soon as it is there, how it ended. */
function readAll(chunks: Iterable<Buffer>): string {
  const records = new RecordReader();
  const head = new CgiHeadReader(CGI_HEAD_LIMITS);
  let seen = '';
  try {
    for (const chunk of chunks) {
      records.push(chunk, chunk.length);
      for (let found = records.next(); found !== NEED_MORE; found = records.next()) {
        const { bytes, start, end } = records;
        assert.ok(found === END_REQUEST || (start < end && end <= chunk.length));
        if (found === STDERR) seen += bytes.toString('latin1', start, end);
        if (found === END_REQUEST) seen += ` end ${records.appStatus} ${records.protocolStatus}`;
        if (found !== STDOUT) continue;
        const bodyAt = head.head === null ? head.push(bytes, start, end) : start;
        assert.ok(bodyAt === -1 || (bodyAt >= start && bodyAt <= end));
        if (bodyAt >= 0) seen += bytes.toString('latin1', bodyAt, end);
      }
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return `${seen} ${JSON.stringify(head.head)} error ${error.message}`;
  }
  return `${seen} ${JSON.stringify(head.head)} ${records.hasEnded}`;
}

function* cut(input: Buffer, random: Random, largest: number): Generator<Buffer> {
  for (let at = 0; at < input.length; ) {
    const size = 1 + below(random, largest);
    yield Buffer.from(input.subarray(at, at + size));
    at += size;
  }
}

function assertSame(input: Buffer, random: Random): void {
  const whole = readAll([Buffer.from(input)]);
  for (const largest of [1, 3, 20]) assert.equal(readAll(cut(input, random, largest)), whole);
  if (!whole.includes(' error ')) assertValid(whole);
}

/** What was kept of a head can be sent on as it is. */
function assertValid(seen: string): void {
  const json = /\{"status":.*\}(?= (?:true|false)$)/s.exec(seen);
  if (json === null) return;
  const { status, fields } = JSON.parse(json[0]) as { status: number; fields: string[] };
  assert.ok(status >= 200 && status <= 999);
  for (const field of fields) assert.doesNotMatch(field, /[\r\n\0]/);
}

test('every flip and cut of the answers is read the same however it comes', () => {
  const random = seededRandom(1);
  for (const input of everyFlipAndCut(answers, 200)) attempt((bytes) => assertSame(bytes, random), input);
});

test(`mutated answers are read the same however they come, seed ${FUZZ_SEED}`, (context) => {
  const random = seededRandom(FUZZ_SEED + 1);
  const report = fuzz(
    (input) => assertSame(input, random),
    (inputs) => mutate(inputs, [...answers, ...heads.map((head) => stdout(head))]),
    INPUT_MS_MAX,
  );
  context.diagnostic(`seed ${FUZZ_SEED}, ${report.inputs} inputs, slowest ${report.slowestMs.toFixed(1)} ms`);
});

const SIZES = [0, 1, 127, 128, 300, 5_000, 65_400, 65_520, 65_535, 65_536, 140_000];

test(`whatever is sent is read back, seed ${FUZZ_SEED}`, (context) => {
  const report = fuzz(
    (input) => {
      const random = seededRandom(input.readUInt32BE(0));
      const encoder = new RequestEncoder();
      const pairs = new Map<string, string>();
      for (let count = below(random, 12); count > 0; count -= 1) {
        const name = `N${count}${'n'.repeat(below(random, 20) === 0 ? 200 : 0)}`;
        const value = randomBytes(random, Math.min(pick(random, SIZES), 70_000)).toString('latin1');
        pairs.set(name, value);
        encoder.param(name, value);
      }
      const body = randomBytes(random, pick(random, SIZES));

      const wholePairs = encoder.pairBytesMax <= 0xffff;
      const request = readRequest(Buffer.concat(encoder.finish(body)), { wholePairs });

      assert.deepEqual(request.params, pairs);
      assert.ok(request.body.equals(body));
      assert.equal(request.isComplete, true);
    },
    (random) => randomBytes(random, 4),
    INPUT_MS_MAX,
  );
  context.diagnostic(`${report.inputs} requests, slowest ${report.slowestMs.toFixed(1)} ms`);
});
