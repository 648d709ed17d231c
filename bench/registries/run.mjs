/**
 * What registries cost, and how fast they tell: Peony at a ZooKeeper, Consul and Redis of its own on this machine.
 *
 *   node bench/registries/run.mjs [--registry NAME]... [--case latency|scale|faults]... [--changes N] [--seconds N] [--write-docs]
 *
 * docs/benchmarks.md tells how to read the tables of `latency` and `scale`, docs/reliability.md that of `faults`; --write-docs replaces
 * them there. A registry whose server is not installed is left out, and said.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildPeony, ROOT } from '../lib/build.mjs';
import { table, writeBetween } from '../lib/report.mjs';

const REGISTRIES = ['zookeeper', 'consul', 'redis'];
const CASES = ['latency', 'scale', 'faults'];
const TITLES = { zookeeper: 'ZooKeeper', consul: 'Consul', redis: 'Redis', none: 'none (`direct`)' };
const TARGETS = { p99Ms: 100, cpuPercent: 1 };
const BEGIN =
  '<!-- registries: written by `npm run bench:registries -- --write-docs`, do not edit by hand -->';
const END = '<!-- end of registries -->';
const CASE_MS_MAX = 400_000;

async function main() {
  const { values } = parseArgs({
    options: {
      registry: { type: 'string', multiple: true, default: REGISTRIES },
      case: { type: 'string', multiple: true, default: CASES },
      changes: { type: 'string', default: '200' },
      seconds: { type: 'string', default: '60' },
      'write-docs': { type: 'boolean', default: false },
    },
  });
  requireKnown('--registry', values.registry, REGISTRIES);
  requireKnown('--case', values.case, CASES);
  if (values['write-docs'] && values.registry.length < REGISTRIES.length)
    throw new Error('--write-docs writes all registries: leave --registry away');
  say('building Peony');
  await buildPeony();
  const folder = mkdtempSync(join(tmpdir(), 'peony-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

  const parts = [];
  if (values.case.includes('latency')) parts.push(await latency(values, folder));
  if (values.case.includes('scale')) parts.push(await scale(values, folder));
  if (parts.length > 0) {
    const text = [`Measured on: ${machine()}.`, ...parts].join('\n\n');
    console.log(`\n${text}`);
    if (values['write-docs'] && parts.length === 2 && process.exitCode !== 1)
      writeBetween(join(ROOT, 'docs/benchmarks.md'), BEGIN, END, text);
  }
  if (values.case.includes('faults')) {
    const text = [`Measured on: ${machine()}.`, await faults(values, folder)].join('\n\n');
    console.log(`\n${text}`);
    if (values['write-docs']) writeBetween(join(ROOT, 'docs/reliability.md'), BEGIN, END, text);
  }
}

async function latency({ registry, changes, seconds }, folder) {
  const rows = [];
  for (const name of registry) {
    const figures = await measure('latency', name, { changes, seconds }, folder);
    if (figures === null) continue;
    const { p50Ms, p99Ms, maxMs, goneP50Ms, goneP99Ms } = figures;
    const target = `<= ${TARGETS.p99Ms} ms: ${p99Ms <= TARGETS.p99Ms ? 'met' : 'missed'}`;
    rows.push([TITLES[name], ...[p50Ms, p99Ms, maxMs, goneP50Ms, goneP99Ms].map(oneDigit), target]);
  }
  const head = [
    'registry',
    'found p50',
    'found p99',
    'found max',
    'let go p50',
    'let go p99',
    'target of p99',
  ];
  return `**From a change to the calls, ms, over ${changes} changes**\n\n${table(head, rows)}`;
}

async function scale({ registry, changes, seconds }, folder) {
  const rows = [];
  for (const name of ['none', ...registry]) {
    const figures = await measure('scale', name, { changes, seconds }, folder);
    if (figures === null) continue;
    const { servingMs, announcedMs, rssMib, cpuPercent, requestsPerSecond, stopMs, leftListed } = figures;
    const target = `<= ${TARGETS.cpuPercent} %: ${cpuPercent <= TARGETS.cpuPercent ? 'met' : 'missed'}`;
    rows.push([
      TITLES[name],
      oneDigit(servingMs / 1000),
      oneDigit(announcedMs / 1000),
      rssMib.toFixed(0),
      cpuPercent.toFixed(2),
      name === 'none' ? '-' : oneDigit(requestsPerSecond),
      oneDigit(stopMs / 1000),
      name === 'none' ? '-' : String(leftListed),
      target,
    ]);
  }
  const head = [
    'registry',
    'serving, s',
    'all true, s',
    'memory, MB',
    'CPU, % of a core',
    'requests/s',
    'stop, s',
    'left listed',
    'target of CPU',
  ];
  return `**1,000 exports and 5,000 refers, ${seconds} s in which nothing changes**\n\n${table(head, rows)}`;
}

/** Runs the fault matrix of the tests, one registry after the other so that none disturbs the next. */
async function faults({ registry }, folder) {
  const file = join(folder, 'faults.json');
  for (const name of registry) {
    say(`faults: ${name}`);
    await run(['test/interop/registry-faults/faults.test.ts'], {
      PEONY_FAULT_KINDS: name,
      PEONY_FAULT_RESULTS: file,
      CI: '',
    });
  }
  const cells = existsSync(file)
    ? readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
    : [];
  const names = [...new Set(cells.map(({ fault }) => fault))];
  const rows = names.map((fault) => [
    fault,
    ...registry.map((kind) => cellText(cells.find((cell) => cell.kind === kind && cell.fault === fault))),
  ]);
  return table(['the registry ...', ...registry.map((name) => TITLES[name])], rows);
}

function cellText(cell) {
  if (cell === undefined) return '-';
  const { calls, failed, faultMs, trueAfterMs, foundAfterMs } = cell;
  return `${failed} of ${calls}; ${inSeconds(faultMs)}, ${inSeconds(trueAfterMs)}, ${inSeconds(foundAfterMs)}`;
}

async function measure(what, name, { changes, seconds }, folder) {
  say(`${what}: ${name}`);
  const file = join(folder, `${what}-${name}.json`);
  // Without a registry there is little to see, and it is seen soon.
  const time = name === 'none' ? String(Math.min(Number(seconds), 30)) : seconds;
  try {
    await run(['bench/registries/measure.ts', what, name, changes, time, file], {});
  } catch (error) {
    say(`FAILED: ${error.message}`);
    process.exitCode = 1;
    return null;
  }
  const figures = JSON.parse(readFileSync(file, 'utf8'));
  say(`  ${JSON.stringify(figures)}`);
  if (!figures.isMissing) return figures;
  say(`SKIPPED, as ${name} is not installed`);
  return null;
}

function run(words, environment) {
  const { NODE_TEST_CONTEXT: _ignored, ...inherited } = process.env;
  const child = spawn(process.execPath, ['--import', 'tsx', ...words], {
    cwd: ROOT,
    env: { ...inherited, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk) => {
    said = (said + chunk).slice(-8_000);
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), CASE_MS_MAX);
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => {
      clearTimeout(timer);
      if (code === 0) resolve();
      else reject(new Error(`${words.join(' ')} ended with ${code}:\n${said}`));
    });
  });
}

function requireKnown(option, words, known) {
  const unknown = words.find((word) => !known.includes(word));
  if (unknown !== undefined) throw new Error(`${option}: "${unknown}" is none of ${known.join(', ')}`);
}

function machine() {
  const cores = cpus();
  return `${cores[0].model}, ${cores.length} CPUs, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Linux ${/^\d+\.\d+/.exec(release())[0]}; Node ${process.versions.node}`;
}

function oneDigit(value) {
  return value.toFixed(1);
}

function inSeconds(ms) {
  return `${(ms / 1000).toFixed(2)} s`;
}

function say(text) {
  process.stderr.write(`${text}\n`);
}

main().catch((error) => {
  say(`bench: ${error.message}`);
  process.exit(1);
});
