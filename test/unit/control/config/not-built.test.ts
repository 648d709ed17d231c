import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { KNOWN_NAMES } from '../../../../src/control/config/index.js';
import type { AgentConfig } from '../../../../src/core/agent-config.js';
import { brief, load, loadAll, refer } from './load-fixture.js';

const WORDS = ['-c', 'not-built/motan.yaml'];

test('everything that this version does not act on is warned about once, where it stands', () => {
  assert.deepEqual(load(WORDS).problems.map(brief), [
    '14:55 warning not-built motan-refer.inherits.mixGroups',
    '18:59 warning not-built motan-refer.own.mixGroups',
    '20:75 warning not-built motan-refer.limited.filter',
    '31:3 warning not-built metrics.Graphite',
    '35:24 warning not-built metaCacheExpireSecond',
  ]);
});

test('nothing is warned about when everything is built', () => {
  assert.deepEqual(load(WORDS, { built: KNOWN_NAMES }).problems, []);
});

test('zk is another name of zookeeper', () => {
  const { config, provenance } = loadAll(WORDS);

  assert.equal(config.registries.get('main')?.url.protocol, 'zookeeper');
  assert.equal(provenance.explain('motan-registry.main.protocol')[0]?.value, 'zookeeper');
});

test('cluster filters that are built stay in the list', () => {
  const config = load(WORDS);

  assert.equal(refer(config, 'limited').url.text('filter'), 'clusterAccessLog,clusterMetrics,accessLog');
});

test('keys of an unnamed filter, empty sections, false and null ask for nothing', () => {
  const config = loadText(
    'motan-agent: {httpProxyEnable: false, hport: 9983}\n' +
      'motan-registry: {f: {protocol: file}}\n' +
      'motan-refer:\n  a: {protocol: motan2, path: a, registry: f, rateLimit: 5, circuitBreaker.sleepWindow: 9}\n' +
      'motan-service: {}\nhttp-client:\nmetrics: {period: 5, graphite: []}\nenvMetaPrefix:\n',
  );

  assert.deepEqual(config.problems, []);
});

test('the management token is a known key, and a wrong one is ignored and never shown', () => {
  const secret = '1234567890123456';
  const sound = loadText(`motan-agent: {managementToken: "${secret}"}\n`);
  const number = loadText(`motan-agent: {managementToken: ${secret}}\n`);
  const misspelt = loadText(`motan-agent: {managmentTokn: "${secret}"}\n`);

  assert.deepEqual(sound.problems, []);
  assert.equal(sound.agent.url.text('managementToken'), secret);
  assert.deepEqual(number.problems.map(brief), ['1:32 error type motan-agent.managementToken']);
  assert.equal(number.agent.url.text('managementToken'), '');
  assert.equal(misspelt.problems[0]?.didYouMean, 'managementToken');
  assert.ok(!JSON.stringify([number.problems, misspelt.problems]).includes(secret));
});

function loadText(text: string): AgentConfig {
  const directory = mkdtempSync(join(tmpdir(), 'peony-config-'));
  try {
    writeFileSync(join(directory, 'motan.yaml'), text);
    return load(['-c', join(directory, 'motan.yaml')]);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
