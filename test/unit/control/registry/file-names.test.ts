import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromFileName, toFileName } from '../../../../src/control/registry/file-names.js';
import { parseStat } from '../../../../src/control/registry/process-identity.js';

test('plain service names stay readable', () => {
  assert.equal(toFileName('com.weibo.Echo-Service_2'), 'com.weibo.Echo-Service_2');
});

test('every name is one safe component', () => {
  const property = fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (name) => {
    const file = toFileName(name);
    return /^[A-Za-z0-9_%-][A-Za-z0-9_.%-]*$/.test(file) && file.length <= 180;
  });

  fc.assert(property, { numRuns: 500 });
});

test('two names never give one file', () => {
  const close = fc.string({ unit: fc.constantFrom('.', '/', '%', 'E', '2', 'é', '~'), maxLength: 6 });
  const property = fc.property(
    close,
    close,
    (one, other) => (one === other) === (toFileName(one) === toFileName(other)),
  );

  fc.assert(property, { numRuns: 2000 });
});

test('long names differ by their hash', () => {
  const long = 'x'.repeat(300);

  assert.notEqual(toFileName(`${long}a`), toFileName(`${long}b`));
});

test('the start time of a process is found whatever its name', () => {
  const fields = ['S', ...Array.from({ length: 49 }, (_, index) => String(index + 4))].join(' ');

  assert.deepEqual(parseStat(`12 (a) S 1 (b) ${fields}\n`), { state: 'S', startTicks: '22' });
  assert.equal(parseStat('12 (a) S 1'), null);
});

test('a name that was not cut is found again, and no other', () => {
  const property = fc.property(fc.string({ unit: 'grapheme', maxLength: 20 }), (name) => {
    assert.equal(fromFileName(toFileName(name)), name);
  });

  fc.assert(property, { numRuns: 500 });
  for (const file of [toFileName('x'.repeat(300)), 'a b', '%zz', '.hidden', '%61'])
    assert.equal(fromFileName(file), null, file);
});
