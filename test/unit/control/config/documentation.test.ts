import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FLAGS } from '../../../../src/control/config/index.js';
import * as keys from '../../../../src/control/config/keys.js';
import { REPOSITORY } from './load-fixture.js';

const PAGE = readFileSync(join(REPOSITORY, 'docs', 'config.md'), 'utf8');

test('docs/config.md names every flag and section', () => {
  for (const name of Object.keys(FLAGS)) assert.ok(PAGE.includes(`\`-${name}\``), `-${name}`);
  for (const name of Object.keys(keys.SECTIONS)) assert.ok(PAGE.includes(`\`${name}\``), name);
});

test('docs/config.md has the meaning of every key', () => {
  const tables = [
    keys.AGENT_KEYS,
    keys.REGISTRY_KEYS,
    keys.HTTP_CLIENT_KEYS,
    keys.SERVICE_KEYS,
    keys.LOCATION_KEYS,
    keys.METRICS_KEYS,
    keys.SCHEMA_KEYS,
  ];
  for (const [name, spec] of tables.flatMap((table) => Object.entries(table))) {
    const row = PAGE.split('\n').find(
      (line) => line.startsWith(`| \`${name}\` |`) && line.includes(spec.meaning),
    );
    assert.ok(row !== undefined, `${name}: ${spec.meaning}`);
  }
});
