import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BufferPool } from '../../../../src/base/index.js';
import { FrameReader } from '../../../../src/wire/framing/index.js';
import { frame, hex } from '../../../support/frames.js';

const LIMIT = 200_000;

/** A v1 frame of `size` bytes in all; its content does not matter to the reader. */
function v1Frame(id: bigint, size: number): Buffer {
  const bytes = Buffer.alloc(size, 0x76);
  hex('F1F1 0000').copy(bytes);
  bytes.writeBigUInt64BE(id, 4);
  bytes.writeUInt32BE(size - 16, 12);
  return bytes;
}

/** What the reader shows of its current frame. */
function shown(reader: FrameReader): Record<string, unknown> {
  const { version, oversize, type, versionStatus, serialization, idHigh, idLow, bytes } = reader;
  const id = (BigInt(idHigh) << 32n) | BigInt(idLow);
  const content = oversize ? '' : bytes.toString('latin1', reader.start, reader.end);
  const metadata = bytes.toString('latin1', reader.metaStart, reader.metaEnd);
  const body = bytes.toString('latin1', reader.bodyStart, reader.bodyEnd);
  return { version, oversize, type, versionStatus, serialization, id, content, metadata, body };
}

/** Feeds pieces as the transport does: through one shared buffer, or straight into the frame where the reader wants it. */
function readAll(reader: FrameReader, pieces: Iterable<Buffer>): Record<string, unknown>[] {
  const shared = Buffer.alloc(256 * 1024);
  const view = new DataView(shared.buffer, shared.byteOffset, shared.length);
  const frames: Record<string, unknown>[] = [];
  let target: Buffer | null = null;
  for (const piece of pieces) {
    for (let rest = piece; rest.length > 0; ) {
      const length = Math.min(rest.length, target?.length ?? shared.length);
      rest.copy(target ?? shared, 0, 0, length);
      if (target === null) reader.push(shared, view, length);
      else reader.pushDirect(length);
      rest = rest.subarray(length);
      while (reader.next()) frames.push(shown(reader));
      shared.fill(0xee); // what was shown in place may not be looked at any more
      target = reader.readTarget();
    }
  }
  return frames;
}

const reader = (): FrameReader => new FrameReader(LIMIT, new BufferPool());

function expected(bytes: Buffer, isOversize = false): Record<string, unknown> {
  const isV1 = bytes[3]! >> 3 === 0;
  const id = bytes.readBigUInt64BE(isV1 ? 4 : 5);
  const metaEnd = isV1 || isOversize ? 0 : 17 + bytes.readUInt32BE(13);
  return {
    version: isV1 ? 1 : 2,
    oversize: isOversize,
    type: bytes[2],
    versionStatus: bytes[3],
    serialization: isV1 ? 0 : bytes[4],
    id,
    content: isOversize ? '' : bytes.toString('latin1'),
    metadata: isV1 || isOversize ? '' : bytes.toString('latin1', 17, metaEnd),
    body: isOversize ? '' : bytes.toString('latin1', isV1 ? 0 : metaEnd + 4),
  };
}

const MIXED = [
  frame({ id: 1n, metadata: { M_p: 'a', M_m: 'b' }, body: Buffer.from('hi') }),
  v1Frame(0xfffffffffffffffen, 40),
  frame({ id: 0xffffffffffffffffn, type: 0xff, versionStatus: 0x0f, serialization: 0xff }),
  v1Frame(3n, 32),
  frame({ id: 4n, body: Buffer.alloc(700, 'x') }),
];
const MIXED_BYTES = Buffer.concat(MIXED);

test('frames of both protocols are the same however their bytes are cut in two', () => {
  const whole = MIXED.map((bytes) => expected(bytes));

  for (let at = 0; at <= MIXED_BYTES.length; at += 1) {
    assert.deepEqual(
      readAll(reader(), [MIXED_BYTES.subarray(0, at), MIXED_BYTES.subarray(at)]),
      whole,
      `cut at ${at}`,
    );
  }
});

test('frames that come byte by byte are the same frames', () => {
  const bytes = Array.from(MIXED_BYTES, (_, at) => MIXED_BYTES.subarray(at, at + 1));

  assert.deepEqual(
    readAll(reader(), bytes),
    MIXED.map((whole) => expected(whole)),
  );
});

test('any frames in any pieces are the same frames', () => {
  const anySize = fc.oneof(
    { weight: 5, arbitrary: fc.nat(300) },
    { weight: 1, arbitrary: fc.integer({ min: 60_000, max: LIMIT }) },
  );
  const anyFrame = fc.oneof(
    fc
      .record({ id: fc.bigInt(0n, 2n ** 64n - 1n), meta: anySize, body: anySize })
      .map(({ id, meta, body }) =>
        frame({ id, metadata: Buffer.alloc(meta, 'm'), body: Buffer.alloc(body, 'b') }),
      ),
    fc
      .record({ id: fc.bigInt(0n, 2n ** 64n - 1n), rest: anySize })
      .map(({ id, rest }) => v1Frame(id, 32 + (rest % (LIMIT - 16)))),
  );
  const anyCuts = fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 10 });

  fc.assert(
    fc.property(fc.array(anyFrame, { minLength: 1, maxLength: 5 }), anyCuts, (frames, cuts) => {
      const input = Buffer.concat(frames);
      const pieces: Buffer[] = [];
      for (let at = 0, turn = 0; at < input.length; turn += 1) {
        const size = cuts[turn % cuts.length]!;
        pieces.push(input.subarray(at, at + size));
        at += size;
      }
      const got = readAll(reader(), pieces);
      assert.equal(got.length, frames.length);
      for (const [index, found] of got.entries()) assert.deepEqual(found, expected(frames[index]!));
    }),
    { numRuns: 60 },
  );
});

test('sizes at the limit are read, one more is shown without content and skipped, at every cut', () => {
  const small = new FrameReader(64, new BufferPool());
  const parts: [Buffer, boolean][] = [
    [frame({ id: 1n, metadata: Buffer.alloc(64, 'm'), body: Buffer.alloc(64, 'b') }), false],
    [frame({ id: 2n, metadata: Buffer.alloc(65, 'm'), body: Buffer.alloc(3) }), true],
    [frame({ id: 3n, body: Buffer.alloc(65, 'b') }), true],
    [frame({ id: 4n, metadata: Buffer.alloc(65, 'm'), body: Buffer.alloc(1000) }), true],
    [v1Frame(5n, 16 + 64), false],
    [v1Frame(6n, 16 + 65), true],
    [frame({ id: 7n, metadata: Buffer.alloc(65, 'm') }), true],
    [frame({ id: 8n }), false],
  ];
  const input = Buffer.concat(parts.map(([bytes]) => bytes));
  const whole = parts.map(([bytes, isOversize]) => expected(bytes, isOversize));

  assert.deepEqual(readAll(small, [input]), whole);
  for (let at = 1; at < input.length; at += 1) {
    const again = new FrameReader(64, new BufferPool());
    assert.deepEqual(readAll(again, [input.subarray(0, at), input.subarray(at)]), whole, `cut at ${at}`);
  }
});

test('an oversize frame is shown before its content has come', () => {
  const small = new FrameReader(64, new BufferPool());

  const frames = readAll(small, [frame({ id: 9n, body: Buffer.alloc(1000) }).subarray(0, 21)]);

  assert.deepEqual(
    frames.map((found) => [found.id, found.oversize]),
    [[9n, true]],
  );
});

const garbage: readonly [string, string, string][] = [
  ['a wrong magic', 'F0F1', 'not a Motan frame'],
  ['half a magic', 'F100', 'not a Motan frame'],
  ['an unknown version', 'F1F1 00 10', 'unknown protocol version 2'],
  ['the highest version', 'F1F1 00 F8', 'unknown protocol version 31'],
  [
    'a v1 frame that is too short',
    'F1F1 0000 0000000000000001 0000000F',
    'Motan v1 frame of 15 bytes is too short',
  ],
  [
    'metadata far over the limit',
    'F1F1 00 08 30 0000000000000001 FFFFFFFF',
    'metadata of 4294967295 bytes is over 200000',
  ],
  [
    'a body far over the limit',
    'F1F1 00 08 30 0000000000000001 00000000 FFFFFFFF',
    'body of 4294967295 bytes is over 200000',
  ],
  [
    'a v1 frame far over the limit',
    'F1F1 0000 0000000000000001 FFFFFFFF',
    'frame of 4294967295 bytes is over 200000',
  ],
];
for (const [name, bytes, message] of garbage) {
  test(`${name} is refused, also byte by byte`, () => {
    const input = hex(bytes);
    const single = Array.from(input, (_, at) => input.subarray(at, at + 1));

    assert.throws(() => readAll(reader(), [input]), { name: 'ProtocolError', message });
    assert.throws(() => readAll(reader(), single), { name: 'ProtocolError', message });
  });
}

test('a size alone costs nothing', () => {
  const half = reader();
  const promise = frame({ id: 1n, metadata: Buffer.alloc(LIMIT) }).subarray(0, 40);

  readAll(half, [promise]);

  assert.equal(half.pendingBytes, 40);
  assert.equal(half.readTarget(), null);
});

test('the rest of a large frame is read in place and its memory may be taken over', () => {
  const pool = new BufferPool();
  const large = new FrameReader(LIMIT, pool);
  const bytes = frame({ id: 1n, body: Buffer.alloc(150_000, 'z') });
  const shared = Buffer.from(bytes.subarray(0, 100_000));
  large.push(shared, new DataView(shared.buffer, shared.byteOffset, shared.length), shared.length);
  assert.equal(large.next(), false);

  const target = large.readTarget()!;
  bytes.copy(target, 0, 100_000);
  assert.equal(target.length, bytes.length - 100_000, 'never into the next frame');
  large.pushDirect(target.length);

  assert.equal(large.next(), true);
  assert.deepEqual(shown(large), expected(bytes));
  assert.equal(large.isOwnBuffer, true);
  assert.equal(large.readTarget(), null);
});

test('pooled memory is named only for frames that use it', () => {
  const pool = new BufferPool();
  const mixed = new FrameReader(LIMIT, pool);
  const owned: (Buffer | null)[] = [];
  const pieces = [
    frame({ id: 1n, body: Buffer.alloc(150_000) }),
    frame({ id: 2n }),
    frame({ id: 3n, body: Buffer.alloc(300_000) }),
    frame({ id: 4n, body: Buffer.alloc(500) }),
  ];
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += 10_000) {
      const shared = Buffer.from(piece.subarray(at, at + 10_000));
      const target = mixed.readTarget();
      if (target !== null && target.length >= shared.length) {
        shared.copy(target);
        mixed.pushDirect(shared.length);
      } else mixed.push(shared, new DataView(shared.buffer, shared.byteOffset, shared.length), shared.length);
      while (mixed.next()) owned.push(mixed.oversize ? null : mixed.pooled);
    }
  }

  assert.deepEqual(
    owned.map((buffer) => buffer !== null),
    [true, false, false, false],
  );
});
