/** The frame reader of the data path: however the bytes are cut, the same frames come out, and garbage costs nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferPool } from '../../src/base/index.js';
import type { Random } from '../../src/core/index.js';
import { ProtocolError } from '../../src/core/index.js';
import { FrameReader } from '../../src/wire/framing/index.js';
import { below, FUZZ_SEED, fuzz, mutate, pick, seededRandom } from '../support/fuzz.js';
import { agentVectors, hex, vectors } from '../support/golden.js';

const BYTES_MAX = 256 * 1024;
const INPUT_MS_MAX = 2_000;

const frames = [
  ...vectors.filter((vector) => vector.kind.endsWith('frame')).map((vector) => hex(vector.hex)),
  ...agentVectors.flatMap(({ to_agent, from_agent }) => [to_agent, from_agent ?? to_agent]).map(hex),
].filter((bytes) => bytes.length < 2_000);

/** Large enough to be gathered in pooled memory and to be read into it directly. */
const large = Buffer.concat([
  hex('F1F1 00 08 30 0000000000000001 00000000 000186A0'),
  Buffer.alloc(100_000, 'abc'),
]);
const pool = new BufferPool();

/** What one pass over the bytes gives: a line per frame, then how it ended. */
function readAll(input: Buffer, chunks: Iterable<Buffer>): string[] {
  const reader = new FrameReader(BYTES_MAX, pool);
  const seen: string[] = [];
  try {
    for (const chunk of chunks) feed(reader, chunk, seen);
    seen.push(`pending ${reader.pendingBytes > 0}`);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    seen.push(`error ${error.message}`);
  }
  assert.ok(reader.pendingBytes <= input.length);
  return seen;
}

function feed(reader: FrameReader, chunk: Buffer, seen: string[]): void {
  const target = reader.readTarget();
  if (target !== null && target.length >= chunk.length) {
    chunk.copy(target);
    reader.pushDirect(chunk.length);
  } else {
    reader.push(chunk, new DataView(chunk.buffer, chunk.byteOffset, chunk.length), chunk.length);
  }
  while (reader.next()) {
    const id = `${reader.version} ${reader.idHigh} ${reader.idLow}`;
    if (reader.oversize) {
      seen.push(`oversize ${id}`);
      continue;
    }
    const metadata = reader.bytes.toString('latin1', reader.metaStart, reader.metaEnd);
    const body = reader.bytes.toString('latin1', reader.bodyStart, reader.bodyEnd);
    seen.push(`${id} ${reader.type} ${reader.versionStatus} ${reader.serialization} ${metadata} ${body}`);
    // As an owner does that is done with the bytes: the memory may now serve another frame.
    if (reader.pooled !== null) {
      reader.pooled.fill(0xee);
      pool.give(reader.pooled);
    }
  }
}

function* cut(input: Buffer, random: Random, largest: number): Generator<Buffer> {
  for (let at = 0; at < input.length; ) {
    const size = 1 + below(random, largest);
    yield Buffer.from(input.subarray(at, at + size));
    at += size;
  }
}

/** Errors may come one read earlier or later, but never with other frames before them. */
function assertSame(input: Buffer, chunks: Iterable<Buffer>): void {
  assert.deepEqual(readAll(input, chunks), readAll(input, [Buffer.from(input)]));
}

test(`each of the ${frames.length} frames, cut in two at every byte, is the same frame`, () => {
  for (const frame of frames) {
    const step = Math.max(1, Math.floor(frame.length / 200));
    for (let at = 0; at <= frame.length; at += step) {
      assertSame(frame, [Buffer.from(frame.subarray(0, at)), Buffer.from(frame.subarray(at))]);
    }
  }
});

test('frames that come byte by byte, with others behind them, are the same frames', () => {
  const random = seededRandom(1);

  assertSame(Buffer.concat(frames.slice(0, 60)), cut(Buffer.concat(frames.slice(0, 60)), random, 1));
});

test('large frames that are read directly into their memory are the same frames', () => {
  const random = seededRandom(2);
  const input = Buffer.concat([large, pick(random, frames), large, large, pick(random, frames)]);

  for (const largest of [1_000, 30_000, 90_000, 200_000]) assertSame(input, cut(input, random, largest));
});

test('a message over the limit is skipped, and those around it are the same frames', () => {
  const random = seededRandom(3);
  const oversize = [
    Buffer.concat([hex('F1F1 00 08 30 0000000000000009 00000000 00050000'), Buffer.alloc(0x50000)]),
    Buffer.concat([
      hex('F1F1 00 08 30 0000000000000009 00050000'),
      Buffer.alloc(0x50000),
      hex('00000002 0101'),
    ]),
    Buffer.concat([hex('F1F1 0000 0000000000000009 00050000'), Buffer.alloc(0x50000)]),
  ];
  const input = Buffer.concat([frames[0]!, oversize[0]!, frames[1]!, oversize[1]!, oversize[2]!, frames[2]!]);

  const whole = readAll(input, [Buffer.from(input)]);
  assert.equal(whole.filter((line) => line.startsWith('oversize')).length, 3);
  assert.equal(whole.length, 7);
  for (const largest of [7, 1_000, 40_000]) assertSame(input, cut(input, random, largest));
});

test(`mutated streams give the same frames however they are cut, seed ${FUZZ_SEED}`, (context) => {
  const cutting = seededRandom(FUZZ_SEED + 1);
  const report = fuzz(
    (input) =>
      assertSame(
        input,
        cut(input, cutting, Math.max(pick(cutting, [1, 3, 20, 200, 50_000]), input.length >> 10)),
      ),
    (random) => {
      const pieces = Array.from({ length: 1 + below(random, 4) }, () =>
        pick(random, below(random, 100) === 0 ? [large] : frames),
      );
      return below(random, 3) === 0 ? Buffer.concat(pieces) : mutate(random, [Buffer.concat(pieces)]);
    },
    INPUT_MS_MAX,
  );
  context.diagnostic(`seed ${FUZZ_SEED}, ${report.inputs} inputs, slowest ${report.slowestMs.toFixed(1)} ms`);
});

test('a size alone makes the reader keep no memory for it', () => {
  const reader = new FrameReader(10 * 1024 * 1024, pool);
  const head = hex('F1F1 00 08 30 0000000000000001 00000000 00A00000 00');
  const before = process.memoryUsage().arrayBuffers;

  reader.push(head, new DataView(head.buffer, head.byteOffset, head.length), head.length);

  assert.equal(reader.next(), false);
  assert.equal(reader.pendingBytes, head.length);
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 1024);
});
