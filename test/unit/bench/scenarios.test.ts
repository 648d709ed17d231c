import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

interface Case {
  name: string;
  title: string;
  targets: { peer: string; figure: { field: string }; atLeast?: number; atMost?: number }[];
}
interface Scenario {
  title: string;
  systems: string[];
  cases: Case[];
}

const lib: string = new URL('../../../bench/lib/', import.meta.url).href;
const { SCENARIOS, SYSTEMS } = (await import(`${lib}scenarios/index.mjs`)) as {
  SCENARIOS: Scenario[];
  SYSTEMS: string[];
};
const { MEMORY_CASES } = (await import(`${lib}memory.mjs`)) as { MEMORY_CASES: { name: string }[] };
const NAMES = [...SCENARIOS.flatMap(({ cases }) => cases), ...MEMORY_CASES].map(({ name }) => name);

test('every case has a name of its own', () => {
  assert.deepEqual(NAMES, [...new Set(NAMES)]);
});

test('a target compares Peony with a system of its scenario', () => {
  for (const { systems, cases } of SCENARIOS) {
    const peers = systems.filter((system) => system !== 'peony');
    assert.equal(systems[0], 'peony');
    assert.ok(peers.every((peer) => SYSTEMS.includes(peer)));
    for (const spec of cases) {
      assert.ok(spec.targets.length > 0, spec.name);
      for (const target of spec.targets) {
        assert.ok(peers.includes(target.peer), `${spec.name}: ${target.peer}`);
        assert.ok((target.atLeast ?? target.atMost ?? 0) > 0, spec.name);
      }
    }
  }
});

test('the list names every case once', () => {
  const program = fileURLToPath(new URL('../../../bench/run.mjs', import.meta.url));

  const lines = execFileSync(process.execPath, [program, '--list'], { encoding: 'utf8' }).trim().split('\n');

  assert.deepEqual(
    lines.map((line) => line.split(' ')[0]),
    NAMES,
  );
});
