import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { eventText, statusText } from '../../../src/cli/bridge.js';
import { main } from '../../../src/cli/main.js';
import { RecordingIo } from './recording-io.js';

const folder = mkdtempSync(join(tmpdir(), 'peony-bridge-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const CONFIG = join(folder, 'motan.yaml');
writeFileSync(
  CONFIG,
  `motan-registry:
  one: {protocol: file, path: ${join(folder, 'one')}}
  same: {protocol: file, path: ${join(folder, 'one')}}
  fixed: {protocol: direct, address: "127.0.0.1:1"}
`,
);

async function bridge(...words: string[]): Promise<RecordingIo> {
  const io = new RecordingIo();
  await main(['bridge', ...words], 'peony', io);
  return io;
}

const WRONG: [words: string[], message: RegExp][] = [
  [['-c', CONFIG, '--from', 'one'], /required option '--to <id>' not specified/],
  [['-c', CONFIG, '--from', 'one', '--to', 'two'], /no usable entry "two"; it has: one, same, fixed/],
  [['-c', CONFIG, '--from', 'one', '--to', 'same'], /one cannot be bridged to itself/],
  [['-c', CONFIG, '--from', 'fixed', '--to', 'one'], /registry fixed of protocol direct cannot be bridged/],
  [['-c', join(folder, 'none.yaml'), '--from', 'a', '--to', 'b'], /none\.yaml/],
  [['-c', CONFIG, '--from', 'one', '--to', 'two', '--hold', 'x'], /Expected seconds from 0 to 86400/],
];

for (const [words, message] of WRONG) {
  test(`bridge ${words.slice(2).join(' ') || words.join(' ')} is refused with 2: ${message.source}`, async () => {
    const io = await bridge(...words);

    assert.equal(io.exitCode, 2);
    assert.match(io.stderr, message);
  });
}

test('an event is one line, whatever stands in a registry', () => {
  const about = { from: 'zk', to: 'consul', group: 'g1', service: 'com.x.\u001bEcho', node: null };

  assert.equal(
    eventText({ kind: 'held', ...about, detail: '3 nodes' }),
    'zk -> consul held g1/com.x.\\x1bEcho (3 nodes)',
  );
});

test('the status has the numbers of each direction', () => {
  const numbers = { services: 1, copied: 3, held: 2, skipped: 0 };
  const lanes = [
    { from: 'zk', to: 'consul', ...numbers, trouble: null },
    { from: 'consul', to: 'zk', services: 0, copied: 0, held: 0, skipped: 1, trouble: 'it is down' },
  ];

  assert.equal(
    statusText({ isSettled: true, lanes }),
    'status\n  zk -> consul: 1 service, 3 nodes copied, 2 of them held, 0 skipped\n' +
      '  consul -> zk: 0 services, 0 nodes copied, 1 skipped; it is down',
  );
});
