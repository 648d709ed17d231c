/** Configuration may not read the tables of the planes, so it has the names of what is built a second time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUILT_NAMES, KNOWN_NAMES, PROVIDERS, REGISTRY_ALIASES } from '../../../src/control/config/index.js';
import { registries, registryAliases } from '../../../src/control/registry/index.js';
import { filters, haStrategies, loadBalancers, providers } from '../../../src/data/index.js';

const TABLES = { filters, loadBalancers, haStrategies, registries };

for (const [kind, table] of Object.entries(TABLES)) {
  test(`the ${kind} that configuration takes as built are those of the table`, () => {
    const built = BUILT_NAMES[kind as keyof typeof TABLES];

    assert.deepEqual([...built].sort(), Object.keys(table).sort());
  });
}

test('every provider that configuration takes is in the table', () => {
  // `default` is embedded code, which an agent alone has not.
  assert.deepEqual(Object.keys(providers).sort(), PROVIDERS.filter((name) => name !== 'default').sort());
});

test('what is built is legal', () => {
  for (const kind of Object.keys(KNOWN_NAMES) as (keyof typeof KNOWN_NAMES)[]) {
    assert.deepEqual(
      BUILT_NAMES[kind].filter((name) => !KNOWN_NAMES[kind].includes(name)),
      [],
    );
  }
});

test('every registry that is legal is built', () => {
  assert.deepEqual([...KNOWN_NAMES.registries].sort(), [...BUILT_NAMES.registries].sort());
});

test('configuration and registries know the same other names', () => {
  assert.deepEqual(Object.fromEntries(REGISTRY_ALIASES), registryAliases);
});
