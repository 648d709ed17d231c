import assert from 'node:assert/strict';
import { test } from 'node:test';

interface Findings {
  breaches: string[];
  notes: string[];
}

const script: string = new URL('../../../scripts/tidy.mjs', import.meta.url).href;
const { inspect } = (await import(script)) as { inspect(sources: Map<string, string>): Findings };

test('accepts imports that the table allows', () => {
  const breaches = breachesOf({
    'base/index.ts': 'export const a = 1;',
    'core/index.ts': "export { a } from '../base/index.js';",
    'data/filter/one.ts': "import { a } from '../../core/index.js';\nimport { b } from './two.js';",
    'data/filter/two.ts': 'export const b = 2;',
  });

  assert.deepEqual(breaches, []);
});

test('refuses a folder that knows another of its row', () => {
  const breaches = breachesOf({
    'control/config/index.ts': 'export const a = 1;',
    'control/registry/a.ts': "import { a } from '../config/index.js';",
  });

  assertOne(breaches, /^control\/registry\/a\.ts:1: control\/registry imports control\/config/);
});

test('refuses an import past the index of another folder', () => {
  const breaches = breachesOf({
    'base/queue.ts': 'export const a = 1;',
    'core/a.ts': "import { a } from '../base/queue.js';",
  });

  assertOne(breaches, /only its index\.ts is imported/);
});

test('lets the parts of wire know each other by their index only', () => {
  const files = {
    'wire/framing/index.ts': "export { a } from './a.js';",
    'wire/framing/a.ts': 'export const a = 1;',
    'wire/motan2/good.ts': "import { a } from '../framing/index.js';",
  };

  const good = breachesOf(files);
  const bad = breachesOf({ ...files, 'wire/motan2/bad.ts': "import { a } from '../framing/a.js';" });

  assert.deepEqual(good, []);
  assertOne(bad, /wire\/motan2\/bad\.ts:1/);
});

test('refuses a cycle of type-only imports and prints its way', () => {
  const breaches = breachesOf({
    'core/a.ts': "import type { B } from './b.js';\nexport interface A { b: B }",
    'core/b.ts': "import type { C } from './c.js';\nexport interface B { c: C }",
    'core/c.ts': "import type { A } from './a.js';\nexport interface C { a: A }",
  });

  assertOne(breaches, /core\/a\.ts -> core\/b\.ts -> core\/c\.ts -> core\/a\.ts/);
});

test('refuses a cycle through an import type', () => {
  const breaches = breachesOf({
    'core/a.ts': "export type A = import('./b.js').B;",
    'core/b.ts': "import type { A } from './a.js';\nexport type B = A[];",
  });

  assertOne(breaches, /cycle/);
});

test('refuses network modules where only bytes and decisions are', () => {
  const breaches = breachesOf({ 'wire/motan2/a.ts': "import { connect } from 'node:net';" });

  assertOne(breaches, /wire imports node:net/);
});

test('refuses a package outside its folders, and one that nobody listed', () => {
  const breaches = breachesOf({
    'telemetry/a.ts': "import fastify from 'fastify';\nimport x from '@some/thing/part';",
  });

  assert.equal(breaches.length, 2);
  assert.match(breaches[0]!, /only control\/management may/);
  assert.match(breaches[1]!, /@some\/thing, which is not in PACKAGES/);
});

test('refuses the environment outside config and cli', () => {
  const breaches = breachesOf({
    'agent/a.ts': 'export const a = process.env.HOME;',
    'control/config/a.ts': 'export const a = process.env.HOME;',
    'cli/a.ts': 'export const a = process.argv;',
  });

  assertOne(breaches, /^agent\/a\.ts:1: process\.env/);
});

test('refuses to end the process or to take signals outside agent', () => {
  const text = "export const a = () => process.exit(1);\nprocess.on('SIGTERM', a);";

  const breaches = breachesOf({ 'telemetry/a.ts': text, 'agent/a.ts': text });

  assert.equal(breaches.length, 2);
  assert.match(breaches[0]!, /^telemetry\/a\.ts:1: process\.exit/);
  assert.match(breaches[1]!, /^telemetry\/a\.ts:2: signals/);
});

test('lets anybody ask whether a process lives', () => {
  const breaches = breachesOf({
    'control/registry/a.ts': 'export const a = (id: number) => process.kill(id, 0);',
  });

  assert.deepEqual(breaches, []);
});

test('does not take words in comments and texts for uses', () => {
  const breaches = breachesOf({ 'core/a.ts': "// process.env\nexport const a = 'process.exit(1)';" });

  assert.deepEqual(breaches, []);
});

test('refuses a folder that is not in the table', () => {
  const breaches = breachesOf({ 'data/new-folder/a.ts': '', 'helpers/a.ts': '' });

  assert.equal(breaches.length, 2);
  assert.match(breaches[0]!, /not in FOLDERS/);
});

test('only notes what is large', () => {
  const { breaches, notes } = inspect(new Map([['core/a.ts', 'export {};\n'.repeat(500)]]));

  assert.deepEqual(breaches, []);
  assertOne(notes, /500 lines/);
});

function breachesOf(files: Record<string, string>): string[] {
  return inspect(new Map(Object.entries(files))).breaches;
}

function assertOne(found: string[], pattern: RegExp): void {
  assert.equal(found.length, 1, found.join('\n'));
  assert.match(found[0]!, pattern);
}
