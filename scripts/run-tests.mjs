/**
 * Runs the test layers and sums them up:
 *
 *   node scripts/run-tests.mjs [layer[@NODE]...] [--node MAJOR] [--file TEXT] [--verbose]
 *                              [--concurrency N] [--timeout-seconds N] [--failed-step NAME]... [--tests FOLDER]
 *
 * Layers are the folders of test/: unit, integration, interop, fuzz, golden; all of them by default. `unit@24`, or
 * `--node 24` for every layer, runs with that Node instead of this one; it is installed below .cache/ when it is not there yet.
 *
 * Every test file is a process and process group of its own. It has failed when a test in it failed, when it did not
 * load, ended with a code other than 0, outlived its time, or held no test at all. The last line is alone and has the
 * totals of all layers, counted as node:test counts (nested tests are tests, suites are not):
 *
 *   N passed, N failed, N skipped
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const REPORTER = new URL('./test-reporter.mjs', import.meta.url).href;
const IS_CI = !['', '0', 'false'].includes(process.env.CI ?? '');
const FUZZ_SECONDS = Number(process.env.PEONY_FUZZ_SECONDS ?? 5);
/** Of what a file printed, the part that is shown when it fails. */
const OUTPUT_CHARS_MAX = 64 * 1024;

/** The peers of interop have threads of their own, so those files run one at a time. */
const LAYERS = {
  unit: { concurrency: 2, timeoutSeconds: 120 },
  integration: { concurrency: 2, timeoutSeconds: 240 },
  interop: { concurrency: 1, timeoutSeconds: 600 },
  // A file may hold many targets, each of which takes its seconds.
  fuzz: { concurrency: 2, timeoutSeconds: 120 + 12 * FUZZ_SECONDS },
  golden: { concurrency: 2, timeoutSeconds: 120 },
};

// Set where this program is itself under test; it would make the test files report to somebody else.
const { NODE_TEST_CONTEXT: _ignored, ...ENVIRONMENT } = process.env;

const running = new Set();

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      node: { type: 'string' },
      file: { type: 'string' },
      verbose: { type: 'boolean', default: false },
      concurrency: { type: 'string' },
      'timeout-seconds': { type: 'string' },
      'failed-step': { type: 'string', multiple: true, default: [] },
      tests: { type: 'string', default: join(ROOT, 'test') },
    },
  });
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const failures = values['failed-step'].map((step) => ({
    where: step,
    text: 'this step failed, see above',
  }));
  const skips = [];
  sum.failed += failures.length;

  for (const word of positionals.length > 0 ? positionals : Object.keys(LAYERS)) {
    const [name, major = values.node ?? null] = word.split('@');
    if (LAYERS[name] === undefined)
      throw new Error(`no such layer "${name}"; there are: ${Object.keys(LAYERS).join(', ')}`);
    const result = await runLayer(name, major, values);
    for (const key of Object.keys(sum)) sum[key] += result[key];
    failures.push(...result.failures);
    skips.push(...result.skips);
  }

  if (skips.length > 0) {
    print(`\nSKIPPED (${skips.length}):`);
    for (const { where, text } of skips) print(`  ${where}: ${text}`);
  }
  if (failures.length > 0) {
    print(`\nFAILED (${failures.length}, each told in full above):`);
    for (const { where } of failures) print(`  ${where}`);
  }
  process.exitCode = sum.failed > 0 ? 1 : 0;
  print(`\n${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
}

/** Runs all files of one layer with one Node. */
async function runLayer(name, major, options) {
  const label = major === null ? name : `${name}@${major}`;
  const layer = LAYERS[name];
  const result = { passed: 0, failed: 0, skipped: 0, failures: [], skips: [] };
  const startedMs = Date.now();

  const node = major === null ? process.execPath : otherNode(major);
  if (node.problem !== undefined) return fail(result, label, node.problem);

  const files = testFiles(join(options.tests, name)).filter((file) => file.includes(options.file ?? ''));
  if (files.length === 0) return fail(result, label, 'this layer has no test file');

  const job = {
    label,
    node,
    timeoutMs: 1000 * Number(options['timeout-seconds'] ?? layer.timeoutSeconds),
    isStrict: name === 'interop' && IS_CI,
    isVerbose: options.verbose,
  };
  const queue = [...files];
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) await runFile(file, job, result);
  };
  await Promise.all(Array.from({ length: Number(options.concurrency ?? layer.concurrency) }, worker));

  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  const { passed, failed, skipped } = result;
  print(
    `${label}: ${passed} passed, ${failed} failed, ${skipped} skipped; ${files.length} files, ${seconds} s`,
  );
  return result;
}

/** Runs one file, adds to `result`, and prints what failed. */
async function runFile(file, job, result) {
  const startedMs = Date.now();
  const run = await spawnTest(file, job);
  const before = result.failures.length;
  const where = `${job.label} ${file}`;
  const open = new Map();
  let tests = 0;

  for (const event of run.events) {
    const key = `${event.nesting} ${event.name}`;
    if (event.kind === 'start') {
      open.set(key, event.name);
      continue;
    }
    open.delete(key);
    const isSkip = event.skip !== null || event.todo !== null;
    const reason = event.skip || event.todo || 'no reason given';
    if (!event.suite) tests += 1;

    if (isSkip && !event.suite && job.isStrict) {
      fail(result, `${where} > ${event.name}`, `skipped where CI is set: ${reason}`);
    } else if (isSkip && !event.suite) {
      result.skipped += 1;
      result.skips.push({ where: `${where} > ${event.name}`, text: reason });
    } else if (event.kind === 'pass' && !event.suite) {
      result.passed += 1;
    } else if (event.kind === 'fail' && event.ofSubtests) {
      // Its subtests have told why; node:test counts it as failed too, unless it is a suite.
      if (!event.suite) result.failed += 1;
    } else if (event.kind === 'fail') {
      fail(result, `${where} > ${event.name}`, event.error);
    }
  }

  const failedHere = result.failures.length - before;
  if (run.isTimedOut) {
    const names = [...open.values()];
    const unfinished =
      names.length > 0
        ? `; unfinished: ${names.join(', ')}`
        : '; all tests had finished, something keeps it alive';
    fail(result, where, `did not end within ${job.timeoutMs / 1000} s${unfinished}`);
  } else if (run.exit !== 'code 0' && failedHere === 0) {
    fail(result, where, `ended with ${run.exit}`);
  } else if (tests === 0 && failedHere === 0) {
    fail(result, where, 'holds no test');
  }
  if (result.failures.length > before && run.output !== '') {
    print(`  --- what ${file} printed\n${indent(run.output)}\n  ---`);
  }
  if (job.isVerbose) print(`${where}: ${tests} tests, ${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
}

/** Events, output and end of one test process. */
function spawnTest(file, job) {
  const folder = mkdtempSync(join(tmpdir(), 'peony-test-'));
  const eventsFile = join(folder, 'events');
  const flags = [
    '--import',
    'tsx',
    `--test-reporter=${REPORTER}`,
    `--test-reporter-destination=${eventsFile}`,
  ];
  return new Promise((resolve, reject) => {
    // A group of its own, so that at the end nothing that the test started is left.
    const options = { cwd: ROOT, env: ENVIRONMENT, detached: true, stdio: ['ignore', 'pipe', 'pipe'] };
    const child = spawn(job.node, [...flags, file], options);
    running.add(child);
    let output = '';
    let isTimedOut = false;
    const keep = (chunk) => {
      output = (output + chunk).slice(-OUTPUT_CHARS_MAX);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    const timer = setTimeout(() => {
      isTimedOut = true;
      killGroup(child);
    }, job.timeoutMs);
    child.on('error', reject);
    // A grandchild may hold the pipes open, so the group is ended on `exit` and the result taken on `close`.
    child.on('exit', () => killGroup(child));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      const events = existsSync(eventsFile) ? parseLines(readFileSync(eventsFile, 'utf8')) : [];
      rmSync(folder, { recursive: true, force: true });
      resolve({
        events,
        output: output.trim(),
        isTimedOut,
        exit: signal === null ? `code ${code}` : `signal ${signal}`,
      });
    });
  });
}

/** A process that was killed may leave half a line. */
function parseLines(text) {
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error; // nobody is left, which is what was wanted
  }
}

/** Path of another Node's program, installed from the package that carries it; or the problem. */
function otherNode(major) {
  const arch = { x64: 'x64', arm64: 'arm64' }[process.arch];
  if (process.platform !== 'linux' || arch === undefined)
    return { problem: `no other Node is to be had for ${process.platform}` };
  const folder = join(ROOT, '.cache', `node${major}`);
  const program = join(folder, 'node_modules', `node-linux-${arch}`, 'bin', 'node');
  if (!existsSync(program)) {
    print(`installing Node ${major} into ${relative(ROOT, folder)}`);
    const args = [
      'install',
      '--prefix',
      folder,
      '--no-save',
      '--no-audit',
      '--no-fund',
      `node-linux-${arch}@${major}`,
    ];
    const npm = spawnSync('npm', args, { cwd: ROOT, encoding: 'utf8' });
    if (npm.status !== 0 || !existsSync(program))
      return { problem: `Node ${major} could not be installed: ${npm.stderr}` };
  }
  return program;
}

function testFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.test.ts') && !name.includes('node_modules'))
    .map((name) => relative(ROOT, join(folder, name)))
    .sort();
}

function fail(result, where, text) {
  result.failed += 1;
  result.failures.push({ where, text });
  print(`\nFAILED ${where}\n${indent(text)}`);
  return result;
}

function indent(text) {
  return text.replace(/^/gm, '    ');
}

function print(text) {
  process.stdout.write(`${text}\n`);
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const child of running) killGroup(child);
    print(`ended by ${signal}`);
    process.exit(1);
  });
}

main().catch((error) => {
  print(`${error.message}\n\n0 passed, 1 failed, 0 skipped`);
  process.exitCode = 1;
});
