/** However an address is spelled, an allow list of names and everything else does not let this machine be reached. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Random } from '../../src/core/index.js';
import { TargetPolicy, type TargetVerdict } from '../../src/data/server/http/target-policy.js';
import { IoLoop } from '../../src/data/transport/index.js';
import { FakeClock } from '../support/clock.js';
import { below, FUZZ_SEED, fuzz, pick } from '../support/fuzz.js';

const INPUT_MS_MAX = 1000;

/** First bytes of addresses that mean this machine or its neighbours, as far as one byte says it. */
const SPECIAL = [0, 127, 224, 239, 240, 255];

function number(random: Random, value: number): string {
  const hexadecimal = `0${pick(random, ['x', 'X'])}${value.toString(16)}`;
  return pick(random, [String(value), hexadecimal, value === 0 ? '0' : `0${value.toString(8)}`]);
}

/** Four bytes, in one of the spellings that some system takes. */
function spelling(random: Random, bytes: readonly number[]): string {
  const [a, b, c, d] = bytes as [number, number, number, number];
  const groups = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  const dots = bytes.join('.');
  const loose = (...values: number[]): string => values.map((value) => number(random, value)).join('.');
  const host = pick(random, [
    dots,
    loose(a, b, c, d),
    loose(a, b, c * 256 + d),
    loose(a, (b * 256 + c) * 256 + d),
    loose(((a * 256 + b) * 256 + c) * 256 + d),
    `[::ffff:${dots}]`,
    `[::FFFF:${groups}]`,
    `[0:0:0:0:0:ffff:${groups}]`,
    `[64:ff9b::${dots}]`,
    `[2002:${groups}::1]`,
    `::ffff:${groups}`,
  ]);
  return host.includes(':') ? host : `${host}${pick(random, ['', '', '.', '..'])}`;
}

test('no spelling of a special address is let through by * or a block of everything', (t) => {
  const loop = new IoLoop(new FakeClock());
  t.after(() => loop.close());
  const policy = new TargetPolicy(['*', 'some.test', '0.0.0.0/0', '::/0'], {
    loop,
    ownPorts: () => new Set([9983]),
    ownAddresses: [],
    lookup: (name) => assert.fail(`${name} was looked up`),
  });
  const hosts = (random: Random): Buffer => {
    const bytes = [pick(random, SPECIAL), below(random, 256), below(random, 256), below(random, 256)];
    return Buffer.from(spelling(random, bytes));
  };

  const report = fuzz(
    (host) => {
      const verdicts: TargetVerdict[] = [];
      policy.check(host.toString(), 80, true, { onTarget: (verdict) => verdicts.push(verdict) });
      assert.deepEqual(
        verdicts.map((verdict) => verdict.kind),
        ['refused'],
        host.toString(),
      );
    },
    hosts,
    INPUT_MS_MAX,
  );

  t.diagnostic(`seed ${FUZZ_SEED}, ${report.inputs} inputs`);
});
