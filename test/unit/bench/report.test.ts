import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

interface Spread {
  median: number;
  low: number;
  high: number;
}
type Runs = Record<string, Record<string, number>[]>;
interface Report {
  loadRows(spec: object, systems: string[], runs: Runs): string[][];
  loadTable(scenario: object, cases: object[], results: Map<string, Runs>): string;
  isMet(spec: object, runs: Runs): boolean | null;
  isMemoryMet(spec: object, results: Record<string, number[]>): boolean | null;
  writeFigures(file: string, text: string): void;
}
interface Measure {
  summary(values: number[]): Spread;
  ratio(over: object[], under: object[], field: string): Spread;
}

const lib: string = new URL('../../../bench/lib/', import.meta.url).href;
const report = (await import(`${lib}report.mjs`)) as Report;
const { summary, ratio } = (await import(`${lib}measure.mjs`)) as Measure;

const RPS = { field: 'rps', title: 'requests/s', digits: 0 };
const SPEC = {
  name: 'one',
  title: 'a case',
  figures: [RPS],
  targets: [{ figure: RPS, peer: 'relay', atLeast: 0.5 }],
};

test('the summary of an even number of values takes the middle of the two in the middle', () => {
  assert.deepEqual(summary([4, 1, 3, 2]), { median: 2.5, low: 1, high: 4 });
});

test('ratios are taken inside a round', () => {
  const found = ratio(
    [{ rps: 10 }, { rps: 40 }, { rps: 30 }],
    [{ rps: 10 }, { rps: 20 }, { rps: 10 }],
    'rps',
  );

  assert.deepEqual(found, { median: 2, low: 1, high: 3 });
});

test('a row has medians, ratio with spread, target and whether it is met', () => {
  const runs = { peony: [{ rps: 4000 }], relay: [{ rps: 10_000 }] };

  const [row] = report.loadRows(SPEC, ['peony', 'motan-go', 'relay'], runs);

  assert.deepEqual(row, [
    'a case',
    'requests/s',
    '4,000',
    '-',
    '10,000',
    '-',
    '0.40 (0.40 to 0.40), >= 0.5: missed',
  ]);
});

test('a table has columns for the systems of its scenario alone', () => {
  const runs = { peony: [{ rps: 1 }], nginx: [{ rps: 2 }] };

  const [head] = report
    .loadTable({ systems: ['peony', 'nginx'] }, [SPEC], new Map([['one', runs]]))
    .split('\n');

  assert.deepEqual(
    head?.split('|').map((cell) => cell.trim()),
    ['', 'case', 'figure', 'Peony', 'nginx', 'Peony / nginx', ''],
  );
});

test('a target whose peer was not measured is neither met nor missed', () => {
  assert.equal(report.isMet(SPEC, { peony: [{ rps: 4000 }] }), null);
  assert.equal(report.isMet(SPEC, { peony: [{ rps: 5000 }], relay: [{ rps: 10_000 }] }), true);
});

test('a memory target of a system that was not measured is neither met nor missed', () => {
  assert.equal(report.isMemoryMet({ atMost: 24 }, { 'motan-go': [128] }), null);
  assert.equal(report.isMemoryMet({ atMost: 24 }, { peony: [8, 30, 9] }), true);
  assert.equal(report.isMemoryMet({ atMost: 24 }, { peony: [25] }), false);
});

test('figures replace only what is between the markers', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'peony-report-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'benchmarks.md');
  const document = readFileSync(new URL('../../../docs/benchmarks.md', import.meta.url), 'utf8');
  writeFileSync(file, document);

  report.writeFigures(file, 'the first figures');
  report.writeFigures(file, 'the second figures');

  const written = readFileSync(file, 'utf8');
  assert.doesNotMatch(written, /the first figures/);
  assert.match(written, /the second figures/);
  assert.equal(written.split('## Figures')[0], document.split('## Figures')[0]);
  assert.equal(written.split('## Parts')[1], document.split('## Parts')[1]);
});
