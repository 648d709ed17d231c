import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import {
  encodeV1Exception,
  encodeV1Heartbeat,
  encodeV1HeartbeatAnswer,
  encodeV1Request,
  isV1HeartbeatAnswer,
  parseV1Request,
  parseV1Response,
  V1_SIGNED_SERVICE,
} from '../../../../src/wire/motan1/index.js';
import { hex } from '../../../support/golden.js';

const REQUEST = hex(`
  F1F1 0000 0000000000000001 00000057 F0F0 01 00 0000000000000001 00000047
  ACED0005 77 18 0001 73 0001 6D 0010 6A6176612E6C616E672E537472696E67
  75 72 0002 5B42 ACF317F8060854E0 02 0000 78 70 00000002 0161
  77 0E 00000001 0005 67726F7570 0001 67`);
const RESPONSE = hex(`
  F1F1 0001 0000000000000001 00000049 F0F0 01 01 0000000000000001 00000039
  ACED0005 77 1A 0000000000000000 0010 6A6176612E6C616E672E537472696E67
  75 72 0002 5B42 ACF317F8060854E0 02 0000 78 70 00000002 0161`);

/** A frame around `stream` with sizes that fit. */
function frame(flag: number, stream: Buffer, innerVersion = 1): Buffer {
  const head = hex('F1F1 0000 0000000000000007 00000000 F0F0 01 00 0000000000000007 00000000');
  head[18] = innerVersion;
  head[19] = flag;
  head.writeUInt32BE(stream.length + 16, 12);
  head.writeUInt32BE(stream.length, 28);
  return Buffer.concat([head, stream]);
}

test('the worked request is read', () => {
  const request = parseV1Request(REQUEST);

  assert.deepEqual([request.service, request.method, request.description], ['s', 'm', 'java.lang.String']);
  assert.deepEqual(request.arguments, [Buffer.from([1, 0x61])]);
  assert.deepEqual([...request.attachments.entries()], [['group', 'g']]);
  assert.equal(request.isSigned, false);
});

test('the worked answer is read', () => {
  const response = parseV1Response(RESPONSE);

  assert.equal(response.processMs, 0);
  assert.equal(response.className, 'java.lang.String');
  assert.deepEqual(response.value, Buffer.from([1, 0x61]));
  assert.equal(response.exception, null);
  assert.equal(isV1HeartbeatAnswer(response), false);
});

test('the worked heartbeats are written', () => {
  assert.deepEqual(
    encodeV1Heartbeat(0, 10),
    hex(`F1F1 0000 000000000000000A 0000004E F0F0 01 00 000000000000000A 0000003E
      ACED0005 77 38 0021 636F6D2E776569626F2E6170692E6D6F74616E2E7270632E686561727462656174
      0009 686561727462656174 0004 766F6964 00000000`),
  );
  assert.deepEqual(
    encodeV1HeartbeatAnswer(0, 10),
    hex(`F1F1 0001 000000000000000A 00000051 F0F0 01 01 000000000000000A 00000041
      ACED0005 77 1A 0000000000000000 0010 6A6176612E6C616E672E537472696E67
      75 72 0002 5B42 ACF317F8060854E0 02 0000 78 70 0000000A 09 686561727462656174`),
  );
});

test('a rewritten request keeps empty values, bytes that are not UTF-8 and all 64 bits of the id', () => {
  const sent = encodeV1Request(
    parseV1Request(REQUEST),
    [
      ['M_v', ''],
      ['bin', '\xff\xfe'],
    ],
    0xfffffffe,
    0xffffffff,
  );

  const request = parseV1Request(sent);
  assert.deepEqual(
    [...request.attachments.entries()],
    [
      ['M_v', ''],
      ['bin', '\xff\xfe'],
    ],
  );
  assert.deepEqual([request.header.idHigh, request.header.idLow], [0xfffffffe, 0xffffffff]);
  assert.deepEqual(sent.subarray(4, 12), sent.subarray(20, 28));
  assert.deepEqual(request.arguments, parseV1Request(REQUEST).arguments);
});

test('attachments over a block are cut into blocks of 1024 bytes and read as one', () => {
  const pairs = Array.from({ length: 60 }, (_, index) => [`key-${index}`, 'x'.repeat(50)] as const);

  const sent = encodeV1Request(parseV1Request(REQUEST), pairs, 0, 1);

  assert.deepEqual([...parseV1Request(sent).attachments.entries()], pairs);
  assert.ok(sent.includes(hex('7A 00000400')));
});

test('attachments of exactly one block, or one byte more, survive', () => {
  for (const size of [1024 - 4 - 2 - 1 - 2, 1024 - 4 - 2 - 1 - 2 + 1]) {
    const sent = encodeV1Request(parseV1Request(REQUEST), [['k', 'x'.repeat(size)]], 0, 1);
    assert.equal(parseV1Request(sent).attachments.text('k').length, size);
  }
});

test('a call without arguments keeps service and attachments in one run of blocks', () => {
  const plain = frame(0, hex('ACED0005 77 14 0001 73 0001 6D 0004 766F6964 00000001 0000 0000'));

  const request = parseV1Request(plain);

  assert.deepEqual(request.arguments, []);
  assert.deepEqual([...request.attachments.entries()], [['', '']]);
  assert.deepEqual(encodeV1Request(request, request.attachments.entries(), 0, 7), plain);
});

test('null arguments stay', () => {
  const nulls = frame(0, hex('ACED0005 77 0D 0001 73 0001 6D 0005 612C622C63 70 70 70 77 04 00000000'));

  const request = parseV1Request(nulls);

  assert.deepEqual(request.arguments, [null, null, null]);
  assert.deepEqual(encodeV1Request(request, [], 0, 7), nulls);
});

const SIGNED = hex('ACED0005 77 0A 0001 31 0003 736967 0000');

test('a zipped request of the compressed variant goes out unzipped with its version kept', () => {
  const plain = hex('ACED0005 77 0E 0001 73 0001 6D 0004 766F6964 0000');
  const zipped = frame(0, gzipSync(plain), 2);

  const request = parseV1Request(zipped);

  assert.equal(request.service, 's');
  assert.deepEqual(encodeV1Request(request, [], 0, 7), frame(0, plain, 2));
});

test('a signature in place of the names is told, so that the call can be refused', () => {
  const request = parseV1Request(frame(0, SIGNED, 2));

  assert.equal(request.isSigned, true);
  assert.equal(request.service, V1_SIGNED_SERVICE);
  assert.equal(request.method, 'sig');
});

test('a zipped stream that grows over the bound is refused', () => {
  const bomb = frame(0, gzipSync(Buffer.alloc(1_000_000)), 2);

  assert.throws(() => parseV1Request(bomb, 1000), { name: 'ProtocolError', offset: 32 });
});

test('an exception counts UTF-16 units and writes each by itself', () => {
  const text = 'schön 世界 😀';

  const sent = encodeV1Exception(0, 1, text);

  // Ten units; the last two are a surrogate pair of two sequences of three bytes.
  assert.ok(sent.includes(hex('0B 736368C3B66E 20 E4B896E7958C 20 EDA0BDEDB880 4E4E')));
  assert.deepEqual(parseV1Response(sent).exception, { isBusiness: false, text });
});

test('an exception is never empty and never endless', () => {
  assert.notEqual(parseV1Response(encodeV1Exception(0, 1, '')).exception!.text, '');
  assert.equal(parseV1Response(encodeV1Exception(0, 1, 'x'.repeat(100_000))).exception!.text.length, 8192);
});

test('a business exception is told from all others by its class', () => {
  const name = Buffer.from('com.weibo.api.motan.exception.MotanBizException');
  const stream = Buffer.concat([
    hex('ACED0005 77'),
    Buffer.from([10 + name.length]),
    hex('0000000000000002 00'),
    Buffer.from([name.length]),
    name,
  ]);

  assert.deepEqual(parseV1Response(frame(5, stream)).exception, { isBusiness: true, text: '' });
});

test('an answer with attachments has them read', () => {
  const stream = hex(
    'ACED0005 77 0B 0000000000000002 0001 61 75 72 0002 5B42 ACF317F8060854E0 02 0000 78 70 00000001 4E 77 08 0001 0001 6B 0001 76',
  );

  const response = parseV1Response(frame(7, stream, 2));

  assert.deepEqual([...response.attachments.entries()], [['k', 'v']]);
  assert.deepEqual(response.value, Buffer.from('N'));
});

const BROKEN: readonly (readonly [string, Buffer, number])[] = [
  ['a frame shorter than its headers', REQUEST.subarray(0, 31), 31],
  ['a wrong outer size', Buffer.concat([REQUEST, Buffer.alloc(1)]), 12],
  ['a wrong inner magic', patched(REQUEST, 17, 0xf1), 16],
  ['a wrong inner size', patched(REQUEST, 31, 0), 28],
  ['a Motan2 frame', patched(REQUEST, 3, 8), 3],
  ['no object stream', patched(REQUEST, 32, 0), 32],
  ['a stream without a block', frame(0, hex('ACED0005 70')), 36],
  ['a block beyond the frame', frame(0, hex('ACED0005 77 09 0001 73')), 38],
  ['a name beyond its block', frame(0, hex('ACED0005 77 03 0005 73')), 36],
  ['an object that is no byte array', frame(0, hex('ACED0005 77 08 0001 73 0001 6D 0000 73')), 46],
  ['missing attachments', frame(0, hex('ACED0005 77 08 0001 73 0001 6D 0000 70')), 47],
  ['more attachments than bytes', frame(0, hex('ACED0005 77 0C 0001 73 0001 6D 0000 00003FFF')), 36],
  [
    'an array beyond the frame',
    frame(0, hex('ACED0005 77 08 0001 73 0001 6D 0000 75 71 007E0000 7FFFFFFF 00')),
    56,
  ],
  [
    'an array of something else',
    frame(0, hex('ACED0005 77 08 0001 73 0001 6D 0000 75 72 0002 5B43 ACF317F8060854E0')),
    46,
  ],
];

for (const [what, bytes, offset] of BROKEN) {
  test(`${what} is refused at byte ${offset}`, () => {
    assert.throws(() => parseV1Request(bytes), { name: 'ProtocolError', offset });
  });
}

test('a request is refused where an answer belongs', () => {
  assert.throws(() => parseV1Response(REQUEST), { name: 'ProtocolError', offset: 19 });
});

test('an attachment that its size field cannot hold is refused', () => {
  const request = parseV1Request(REQUEST);

  assert.throws(() => encodeV1Request(request, [['k', 'x'.repeat(65_536)]], 0, 1), { name: 'ProtocolError' });
});

function patched(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = value;
  return copy;
}
