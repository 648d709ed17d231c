/** From results to the table that is printed and written to docs/benchmarks.md, and the words about the machine. */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { ratio, summary } from './measure.mjs';
import { runOnce } from './processes.mjs';

const BEGIN = '<!-- figures: written by `node bench/run.mjs --write-docs`, do not edit by hand -->';
const END = '<!-- end of figures -->';

const NAMES = { peony: 'Peony' };

/** What each system reached, and Peony's share of the others. */
export function loadTable(scenario, cases, results) {
  const names = scenario.systems.map((system) => NAMES[system] ?? system);
  const shares = names.slice(1).map((name) => `Peony / ${name}`);
  return table(
    ['case', 'figure', ...names, ...shares],
    cases.flatMap((spec) => loadRows(spec, scenario.systems, results.get(spec.name))),
  );
}

/** A line a figure of a case: what each of `systems` reached, and Peony's share of the others with spread and target. */
export function loadRows(spec, systems, runs) {
  return spec.figures.map((figure) => {
    const values = systems.map((system) =>
      runs[system] === undefined
        ? '-'
        : number(summary(runs[system].map((run) => run[figure.field])).median, figure.digits),
    );
    const shares = systems
      .filter((system) => system !== 'peony')
      .map((peer) => compare(spec, figure, peer, runs));
    return [spec.title, figure.title, ...values, ...shares];
  });
}

/** Whether every target that could be compared was met; null where none could. */
export function isMet(spec, runs) {
  const checks = spec.targets
    .filter(({ peer }) => runs.peony !== undefined && runs[peer] !== undefined)
    .map((target) => holds(target, ratio(runs.peony, runs[target.peer], target.figure.field).median));
  return checks.length === 0 ? null : checks.every(Boolean);
}

export function memoryTable(cases, results) {
  return table(
    ['case', 'unit', 'Peony', 'motan-go', 'target'],
    cases.map((spec) => memoryRow(spec, results.get(spec.name))),
  );
}

function memoryRow(spec, results) {
  const other = results['motan-go'] === undefined ? '-' : number(summary(results['motan-go']).median, 1);
  if (results.peony === undefined) return [spec.title, spec.unit, '-', other, `<= ${spec.atMost}`];
  const { median, low, high } = summary(results.peony);
  const spread = `${number(median, 1)} (${number(low, 1)} to ${number(high, 1)})`;
  return [
    spec.title,
    spec.unit,
    spread,
    other,
    `<= ${spec.atMost}: ${holds(spec, median) ? 'met' : 'missed'}`,
  ];
}

/** Whether Peony met the target; null where it was not measured. */
export function isMemoryMet(spec, results) {
  return results.peony === undefined ? null : holds(spec, summary(results.peony).median);
}

/** The same text is read well in a terminal and in Markdown. */
export function table(head, rows) {
  const widths = head.map((word, column) => Math.max(word.length, ...rows.map((row) => row[column].length)));
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

export async function environment(programs, all, options) {
  const versions = [`Node ${process.versions.node}`];
  if (programs.motanGo !== null)
    versions.push(await runOnce('go', ['env', 'GOVERSION'], { timeoutMs: 10_000 }));
  const worst = (field) => Math.max(...all.map((run) => run[field])).toFixed(0);
  const cores = cpus();
  const machine = `${cores[0].model}, ${cores.length} CPUs, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Linux ${/^\d+\.\d+/.exec(release())[0]}`;
  const parts = [`${machine}; ${versions.join(', ')}`, `${options.rounds} rounds of ${options.seconds} s`];
  if (all.length > 0) {
    parts.push(
      `in the runs that counted at most ${worst('stealPercent')} % of a CPU was stolen and ${worst('foreignPercent')} % used by other programs`,
    );
  }
  return parts.join('; ');
}

export function writeFigures(file, text) {
  writeBetween(file, BEGIN, END, text);
}

/** Replaces what stands between the markers of a document. */
export function writeBetween(file, begin, end, text) {
  const document = readFileSync(file, 'utf8');
  const from = document.indexOf(begin);
  const to = document.indexOf(end);
  if (from < 0 || to < from) throw new Error(`${file} lacks the lines "${begin}" and "${end}"`);
  writeFileSync(file, `${document.slice(0, from + begin.length)}\n\n${text}\n\n${document.slice(to)}`);
}

function compare(spec, figure, peer, runs) {
  if (runs.peony === undefined || runs[peer] === undefined) return '-';
  const { median, low, high } = ratio(runs.peony, runs[peer], figure.field);
  const text = `${median.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
  const target = spec.targets.find((each) => each.peer === peer && each.figure.field === figure.field);
  if (target === undefined) return text;
  const wanted = target.atLeast === undefined ? `<= ${target.atMost}` : `>= ${target.atLeast}`;
  return `${text}, ${wanted}: ${holds(target, median) ? 'met' : 'missed'}`;
}

function holds({ atLeast, atMost }, value) {
  return atLeast === undefined ? value <= atMost : value >= atLeast;
}

function number(value, digits) {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
