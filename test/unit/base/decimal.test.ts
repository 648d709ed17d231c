import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  DECIMAL_BYTES_MAX,
  parsed64,
  parseSigned64,
  signed64Text,
  writeInteger,
  writeSigned64,
} from '../../../src/base/index.js';

const halves = (value: bigint): [number, number] => [
  Number((value >> 32n) & 0xffffffffn),
  Number(value & 0xffffffffn),
];

const EDGES = [
  0n,
  1n,
  9n,
  10n,
  99n,
  999_999_999n,
  1_000_000_000n,
  0xffffffffn,
  0x100000000n,
  10n ** 18n,
  (1n << 63n) - 1n,
];

test('writes every 64-bit id as signed decimal, like BigInt', () => {
  const anyId = fc.oneof(
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    fc.constantFrom(...EDGES, 1n << 63n, (1n << 64n) - 1n),
  );

  fc.assert(
    fc.property(anyId, (id) => signed64Text(...halves(id)) === BigInt.asIntN(64, id).toString()),
    { numRuns: 20_000 },
  );
});

test('reads every text that it writes', () => {
  const anyId = fc.oneof(
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    fc.constantFrom(...EDGES, 1n << 63n, (1n << 63n) + 1n, (1n << 64n) - 1n),
  );

  fc.assert(
    fc.property(anyId, (id) => {
      const [high, low] = halves(id);
      const text = Buffer.from(`x${signed64Text(high, low)}y`);
      return parseSigned64(text, 1, text.length - 1) && parsed64.high === high && parsed64.low === low;
    }),
    { numRuns: 20_000 },
  );
});

test('reads no text that it would not write', () => {
  const others = ['', '-', '-0', '00', '01', '+1', ' 1', '1 ', '1a', '0x1', '1.0'];
  others.push('9223372036854775808', '-9223372036854775809', '9999999999999999999', '18446744073709551615');

  for (const text of others) assert.equal(parseSigned64(Buffer.from(text), 0, text.length), false, text);
});

test('writes integers below 2^53 like Number', () => {
  const anyInteger = fc.oneof(fc.maxSafeNat(), fc.nat(), fc.nat(1000));

  fc.assert(
    fc.property(anyInteger, (value) => {
      const into = Buffer.alloc(40, 0x2e);
      const end = writeInteger(into, 7, value);
      return into.toString('latin1', 7, end) === String(value) && into[end] === 0x2e && into[6] === 0x2e;
    }),
    { numRuns: 20_000 },
  );
});

test('never writes more than DECIMAL_BYTES_MAX bytes', () => {
  const into = Buffer.alloc(32);

  assert.equal(writeSigned64(into, 0, 0x80000000, 0), DECIMAL_BYTES_MAX);
  assert.equal(into.toString('latin1', 0, DECIMAL_BYTES_MAX), '-9223372036854775808');
});
