import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type DecodedFrame, decodeStream } from '../../../../src/wire/decode/index.js';
import { agentVectors, hex, vectors } from '../../../support/golden.js';

const REQUEST = hex(
  `F1F1 00 08 30 0000000000000001 0000000B 4D5F70 0A 61 0A 4D5F6D 0A 62 00000007 01 00000002 6869`,
);
const RESPONSE = hex('F1F1 01 08 30 0000000000000001 00000006 4D5F7074 0A 30 00000007 01 00000002 6F6B');
const EXCEPTION = hex(`F1F1 03 09 00 0000000000000001 00000033
  4D5F65 0A 7B22657272636F6465223A3430302C226572726D7367223A2278222C2265727274797065223A317D 0A 4D5F7074 0A 30
  00000000`);
const HEARTBEATS = [
  'F1F1 12 08 30 0000000000000005 00000000 00000000',
  'F1F1 10 08 08 0000000000000005 00000000 00000000',
  'F1F1 13 08 30 0000000000000005 00000000 00000000',
].map(hex);
const V1_REQUEST = hex(`F1F1 0000 0000000000000001 00000057 F0F0 01 00 0000000000000001 00000047
  ACED0005 77 18 0001 73 0001 6D 0010 6A6176612E6C616E672E537472696E67
  75 72 0002 5B42 ACF317F8060854E0 02 0000 78 70 00000002 0161 77 0E 00000001 0005 67726F7570 0001 67`);

function frameOf(bytes: Buffer): DecodedFrame {
  const entries = decodeStream(bytes);
  assert.equal(entries.length, 1);
  assert.ok(!('error' in entries[0]!));
  return entries[0] as DecodedFrame;
}

/** A Motan2 request of serialization byte `serialization`. */
function motan2(serialization: number, body: Buffer, type = 0, metadata = Buffer.alloc(0)): Buffer {
  const head = hex('F1F1 00 08 00 0000000000000001 00000000');
  head[2] = type;
  head[4] = serialization;
  head.writeUInt32BE(metadata.length, 13);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(body.length);
  return Buffer.concat([head, metadata, size, body]);
}

test('the worked request is shown whole', () => {
  assert.deepEqual(decodeStream(REQUEST), [
    {
      protocol: 'motan2',
      kind: 'request',
      requestId: '1',
      start: 0,
      size: 39,
      flags: { response: false, proxy: false, oneWay: false, gzip: false, heartbeat: false, reserved: 0 },
      serialization: 'simple',
      serializationNumber: 6,
      status: 0,
      metadata: { M_p: 'a', M_m: 'b' },
      body: ['hi'],
    },
  ]);
});

test('the worked answer, exception and heartbeats are told apart', () => {
  const entries = decodeStream(Buffer.concat([RESPONSE, EXCEPTION, ...HEARTBEATS])) as DecodedFrame[];

  assert.deepEqual(
    entries.map(({ kind }) => kind),
    ['response', 'exception', 'heartbeat', 'heartbeat', 'heartbeat'],
  );
  assert.deepEqual(entries[1]!.exception, { errcode: 400, errmsg: 'x', errtype: 1 });
  assert.equal(entries[1]!.status, 1);
  assert.deepEqual(
    entries.map(({ start }) => start),
    [0, 34, 106, 127, 148],
  );
});

test('the worked Motan v1 request is shown with its arguments in hex', () => {
  assert.deepEqual(frameOf(V1_REQUEST), {
    protocol: 'motan1',
    kind: 'request',
    requestId: '1',
    start: 0,
    size: 103,
    innerVersion: 1,
    status: 0,
    service: 's',
    method: 'm',
    description: 'java.lang.String',
    metadata: { group: 'g' },
    body: [{ $hex: '0161' }],
  });
});

test('both protocols may follow each other', () => {
  const entries = decodeStream(Buffer.concat([REQUEST, V1_REQUEST, RESPONSE])) as DecodedFrame[];

  assert.deepEqual(
    entries.map(({ protocol }) => protocol),
    ['motan2', 'motan1', 'motan2'],
  );
});

test('a request id above 2^63 is unsigned', () => {
  const bytes = Buffer.from(REQUEST);
  bytes.fill(0xff, 5, 13);

  assert.equal(frameOf(bytes).requestId, '18446744073709551615');
});

test('values that plain JSON would change are typed', () => {
  assert.deepEqual(frameOf(motan2(0x30, hex('08 0A 09 0A 0B 4008000000000000 03 00000001 FF'))).body, [
    { $int32: 5 },
    5,
    { $float64: 3 },
    { $bytes: '/w==' },
  ]);
});

test('breeze is decoded, JSON is text, other serializations are hex', () => {
  assert.deepEqual(frameOf(motan2(0x40, hex('DB 01 3F 3F 0161 0162'))).body, [{ a: 'b' }]);
  assert.equal(frameOf(motan2(0x10, Buffer.from('{"a":1}'))).bodyText, '{"a":1}');
  const hessian = frameOf(motan2(0x00, hex('0161')));
  assert.deepEqual([hessian.serialization, hessian.bodyHex], ['hessian2', '0161']);
  assert.equal(frameOf(motan2(0xf8, hex('00'))).serialization, 'unknown');
});

test('a zipped body is unzipped', () => {
  const frame = frameOf(motan2(0x30, gzipSync(hex('01 00000002 6869')), 0x08));

  assert.equal(frame.flags!.gzip, true);
  assert.deepEqual(frame.body, ['hi']);
});

test('a zipped body over the bound, or not gzip at all, stays hex with the reason', () => {
  const bomb = motan2(0x30, gzipSync(Buffer.alloc(100_000)), 0x08);
  const [entry] = decodeStream(bomb, { unzippedBytesMax: 1000 }) as DecodedFrame[];
  assert.equal(entry!.bodyError!.error, 'body unzips to more than 1000 bytes');

  assert.equal(frameOf(motan2(0x30, hex('00'), 0x08)).bodyError!.error, 'body is not gzip');
});

test('a body that cannot be read is hex with the reason, and the next frame is shown', () => {
  const entries = decodeStream(Buffer.concat([motan2(0x30, hex('0501 7A7A')), REQUEST])) as DecodedFrame[];

  assert.equal(entries[0]!.bodyHex, '05017a7a');
  assert.deepEqual(entries[0]!.bodyError, { error: 'unknown simple tag 122', offset: 2 });
  assert.deepEqual(entries[1]!.body, ['hi']);
});

test('Motan v1 content that cannot be read is hex with the reason, and the next frame is shown', () => {
  const broken = Buffer.from(V1_REQUEST);
  broken[32] = 0;

  const entries = decodeStream(Buffer.concat([broken, REQUEST])) as DecodedFrame[];

  assert.deepEqual(entries[0]!.bodyError, { error: 'no Java object stream', offset: 0 });
  assert.equal(entries[1]!.kind, 'request');
});

test('metadata that is not UTF-8 is shown as escapes', () => {
  const frame = frameOf(motan2(0x30, Buffer.alloc(0), 0, Buffer.from('bin\n\xff\\a\xfe', 'latin1')));

  assert.deepEqual(frame.metadata, { bin: '\\xff\\\\a\\xfe' });
});

test('a metadata key named __proto__ is shown', () => {
  const frame = frameOf(motan2(0x30, Buffer.alloc(0), 0, Buffer.from('__proto__\nx')));

  assert.equal(JSON.stringify(frame.metadata), '{"__proto__":"x"}');
});

const BROKEN: readonly (readonly [string, Buffer, string, number])[] = [
  ['other bytes', hex('474554202F'), 'not a Motan frame', 39],
  ['an unknown version', hex('F1F1 00 10'), 'unknown protocol version 2', 42],
  [
    'metadata with a key alone',
    motan2(0x30, Buffer.alloc(0), 0, Buffer.from('a\nb\nc')),
    'metadata ends after a key',
    60,
  ],
  ['a frame that is cut', REQUEST.subarray(0, 20), 'input ends inside a frame, 20 bytes of it are there', 59],
  [
    'a v1 frame with a wrong inner magic',
    hex('F1F1 0000 0000000000000001 00000010 F0F1 0100 0000000000000001 00000000'),
    'inner magic of the Motan v1 frame is wrong',
    55,
  ],
];

for (const [what, bytes, error, offset] of BROKEN) {
  test(`${what} ends the list at its byte of the input`, () => {
    const entries = decodeStream(Buffer.concat([REQUEST, bytes, REQUEST]).subarray(0, 39 + bytes.length));

    assert.equal(entries.length, 2);
    assert.deepEqual(entries[1], { error, offset });
  });
}

test('a size beyond the bound is refused without waiting for its bytes', () => {
  const bytes = Buffer.from(REQUEST);
  bytes.writeUInt32BE(0x7fffffff, 13);

  const entries = decodeStream(bytes, { frameBytesMax: 1000 });

  assert.equal(entries.length, 1);
  assert.ok('error' in entries[0]!);
});

test('an empty input has no frames', () => {
  assert.deepEqual(decodeStream(Buffer.alloc(0)), []);
});

/** Two bytes that only stand for a body: no breeze value, though the frame says so. */
const OPAQUE_BODY = 'go/frame/response_preserialized';
const frames = vectors.filter(({ kind }) => kind.endsWith('frame'));

test(`all ${frames.length} frames of the golden vectors are shown, with their values where they have some`, () => {
  const entries = decodeStream(Buffer.concat(frames.map((vector) => hex(vector.hex)))) as DecodedFrame[];

  assert.equal(entries.length, frames.length);
  assert.deepEqual(
    entries.flatMap((entry, index) => (entry.bodyError === undefined ? [] : [frames[index]!.name])),
    [OPAQUE_BODY],
  );
  assert.deepEqual(
    entries.map(({ protocol }) => protocol),
    frames.map(({ kind }) => kind.slice(0, 6)),
  );
});

test('every answer of a motan-go agent to its callers is shown without an error', () => {
  for (const { id, from_agent } of agentVectors.filter((vector) => vector.from_agent !== null)) {
    const entries = decodeStream(hex(from_agent!));
    assert.equal(entries.length, 1, id);
    assert.ok(!('error' in entries[0]!), id);
  }
});
