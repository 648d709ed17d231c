import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { KNOWN_NAMES } from '../../../../src/control/config/index.js';
import type { AgentConfig } from '../../../../src/core/index.js';
import { brief, load } from './load-fixture.js';

function configOf(entries: string): AgentConfig {
  const directory = mkdtempSync(join(tmpdir(), 'peony-allow-'));
  try {
    const path = join(directory, 'motan.yaml');
    writeFileSync(
      path,
      `motan-agent:
  httpProxyAllow: ${JSON.stringify(entries)}
motan-registry: {r: {protocol: direct, address: "127.0.0.1:1"}}
motan-refer: {echo: {protocol: motan2, path: com.x.Echo, group: g, registry: r}}
`,
    );
    return load(['-c', path], { built: KNOWN_NAMES });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('targets are kept as they are written', () => {
  const config = configOf('shop.example.com, *.example.com:443,10.0.0.0/8,[::1]:80, *');

  assert.deepEqual(config.problems, []);
  assert.deepEqual(config.agent.http.allow, [
    'shop.example.com',
    '*.example.com:443',
    '10.0.0.0/8',
    '[::1]:80',
    '*',
  ]);
});

for (const entry of ['http://example.com', '10.0.0.1/8', 'example.com:http', '*.*', '2130706433']) {
  test(`${entry} is reported with its place and allows nothing`, () => {
    const config = configOf(`shop.example.com,${entry}`);

    assert.deepEqual(config.agent.http.allow, ['shop.example.com']);
    assert.deepEqual(config.problems.map(brief), ['2:19 error value motan-agent.httpProxyAllow']);
    assert.equal(config.problems[0]!.value, entry);
  });
}
