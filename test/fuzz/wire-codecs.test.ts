/** Codecs under bytes of strangers: nothing but a ProtocolError comes out, soon, and what is accepted can be written again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../src/core/index.js';
import { decodeStream } from '../../src/wire/decode/index.js';
import { encodeV1Request, parseV1Request, parseV1Response } from '../../src/wire/motan1/index.js';
import { parseMetadata } from '../../src/wire/motan2/index.js';
import {
  breezeToJson,
  decodeBreezeArguments,
  decodeSimpleArguments,
  encodeSimpleArguments,
  jsonToSimple,
  simpleToJson,
} from '../../src/wire/serialization/index.js';
import { attempt, below, everyFlipAndCut, FUZZ_SEED, fuzz, mutate, randomBytes } from '../support/fuzz.js';
import { agentVectors, hex, vectors } from '../support/golden.js';

/** Generous: a shared machine pauses. A quadratic reader takes seconds. */
const INPUT_MS_MAX = 2_000;
/** Larger seeds add time, not cases. */
const SEED_BYTES_MAX = 1_500;

function seedsOf(kind: RegExp, serialization?: string): Buffer[] {
  const chosen = vectors.filter((vector) => {
    return (
      kind.test(vector.kind) && (serialization === undefined || vector.fields.serialization === serialization)
    );
  });
  return chosen.map((vector) => hex(vector.hex)).filter((bytes) => bytes.length <= SEED_BYTES_MAX);
}

const agentFrames = agentVectors
  .flatMap((vector) => [
    vector.to_agent,
    vector.agent_to_upstream,
    vector.upstream_to_agent,
    vector.from_agent,
  ])
  .filter((bytes) => bytes !== null)
  .map((bytes) => hex(bytes))
  .filter((bytes) => bytes.length <= SEED_BYTES_MAX);

/** Runs `work`; null when it refused the bytes as it should, with an offset inside them. */
function refusedOr<T>(input: Buffer, work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    assert.ok(
      error.offset >= 0 && error.offset <= input.length,
      `offset ${error.offset} of ${input.length} bytes`,
    );
    return null;
  }
}

function simpleTarget(input: Buffer): void {
  const values = refusedOr(input, () => decodeSimpleArguments(input));
  if (values === null) return;
  const written = encodeSimpleArguments(values);
  assert.deepEqual(encodeSimpleArguments(decodeSimpleArguments(written)), written);
  // Only a varint or a bool may have been written in another way, so a container that reached too far would show.
  assert.ok(written.length <= input.length, `${written.length} bytes out of ${input.length}`);
  // A NaN comes back without its payload, so only the shape is compared.
  const json = JSON.parse(
    JSON.stringify(values.map((value) => simpleToJson(value, { exact: true }))),
  ) as unknown[];
  assert.deepEqual(
    json.map((item) => simpleToJson(jsonToSimple(item), { exact: true })),
    json,
  );
}

function breezeTarget(input: Buffer): void {
  const values = refusedOr(input, () => decodeBreezeArguments(input));
  if (values !== null) JSON.stringify(values.map((value) => breezeToJson(value)));
}

function motan1Target(input: Buffer): void {
  refusedOr(input, () => parseV1Response(input));
  const request = refusedOr(input, () => parseV1Request(input));
  if (request === null) return;
  const { idHigh, idLow } = request.header;
  const written = encodeV1Request(request, request.attachments.entries(), idHigh, idLow);
  const again = parseV1Request(written);
  assert.deepEqual([...again.attachments.entries()], [...request.attachments.entries()]);
  assert.deepEqual(again.arguments, request.arguments);
  assert.equal(again.service, request.service);
}

function metadataTarget(input: Buffer): void {
  refusedOr(input, () => parseMetadata(input, 0, input.length));
}

function decodeTarget(input: Buffer): void {
  const entries = decodeStream(input, { unzippedBytesMax: 100_000 });
  JSON.stringify(entries);
  let at = 0;
  for (const entry of entries) {
    if ('error' in entry) {
      assert.equal(entry, entries.at(-1));
      assert.ok(entry.offset >= at && entry.offset <= input.length, `offset ${entry.offset}`);
      at = input.length;
    } else {
      assert.equal(entry.start, at);
      at += entry.size;
    }
  }
  assert.equal(at, input.length, 'every byte is in a frame or behind an error');
}

const TARGETS = [
  { name: 'simple', target: simpleTarget, seeds: [...seedsOf(/value|arguments/, 'simple')] },
  { name: 'breeze', target: breezeTarget, seeds: seedsOf(/value|arguments/, 'breeze') },
  { name: 'motan1', target: motan1Target, seeds: seedsOf(/motan1/) },
  { name: 'metadata', target: metadataTarget, seeds: seedsOf(/motan2/).map((bytes) => bytes.subarray(17)) },
  { name: 'decodeStream', target: decodeTarget, seeds: [...seedsOf(/frame/), ...agentFrames] },
] as const;

for (const { name, target, seeds } of TARGETS) {
  test(`${name} refuses every flipped byte and every cut of its vectors cleanly, or reads it`, (context) => {
    let inputs = 0;
    // Flips in large seeds hit the same fields again, so those are left to the random part.
    for (const input of everyFlipAndCut(seeds, 300)) {
      attempt(target, input);
      inputs += 1;
    }
    context.diagnostic(`${inputs} inputs`);
  });

  test(`${name} refuses mutated vectors and random bytes cleanly, or reads them, seed ${FUZZ_SEED}`, (context) => {
    const report = fuzz(
      target,
      (random) => (below(random, 10) === 0 ? randomBytes(random, below(random, 200)) : mutate(random, seeds)),
      INPUT_MS_MAX,
    );
    context.diagnostic(
      `seed ${FUZZ_SEED}, ${report.inputs} inputs, slowest ${report.slowestMs.toFixed(1)} ms`,
    );
  });
}

test('bodies made to be expensive cost bounded time and memory', () => {
  const nulls = Buffer.alloc(10 * 1024 * 1024);
  const deep = nestedArrays(20_000);
  const deepBreeze = Buffer.from('da01'.repeat(100_000), 'hex');
  const packed = Buffer.concat([hex('DCA08D06 9A'), Buffer.alloc(100_000, 0x9a)]);
  const before = process.memoryUsage().heapUsed;
  const startMs = performance.now();

  assert.throws(() => decodeSimpleArguments(nulls), ProtocolError);
  assert.throws(() => decodeSimpleArguments(deep), ProtocolError);
  assert.throws(() => decodeBreezeArguments(deepBreeze), ProtocolError);
  assert.equal(decodeBreezeArguments(packed).length, 1);

  assert.ok(performance.now() - startMs < 5 * INPUT_MS_MAX);
  assert.ok(process.memoryUsage().heapUsed - before < 200 * 1024 * 1024);
});

/** Each array holds the next; sizes are right, so only the depth is wrong. */
function nestedArrays(depth: number): Buffer {
  const bytes = Buffer.alloc(depth * 5, 21);
  for (let level = 0; level < depth; level += 1) bytes.writeUInt32BE((depth - level - 1) * 5, level * 5 + 1);
  return bytes;
}
