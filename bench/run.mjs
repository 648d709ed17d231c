/**
 * The benchmark of the whole agent: Peony beside the motan-go agent, nginx and the Rust relay on this machine.
 *
 *   node bench/run.mjs [--case NAME]... [--rounds N] [--seconds N] [--systems LIST] [--no-go] [--foreign-max PERCENT]
 *                      [--json FILE] [--write-docs] [--strict] [--list] [--peony PROGRAM]
 *
 * Each system is pinned to CPU 0; load and backends share CPU 1. In each round all systems of a case are measured one
 * after the other, and ratios are taken inside the round. docs/benchmarks.md tells how to read the table. With --strict a
 * missed target is exit code 1. --peony measures another build than this clone's.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildMeshload, buildMotanGo, buildPeony, installed, ROOT } from './lib/build.mjs';
import { measure } from './lib/measure.mjs';
import { MEMORY_CASES } from './lib/memory.mjs';
import { isThere } from './lib/processes.mjs';
import * as report from './lib/report.mjs';
import { SCENARIOS, SYSTEMS } from './lib/scenarios/index.mjs';
import { pidsOf, startBackends, startSystem } from './lib/systems.mjs';

const LOAD_CASES = SCENARIOS.flatMap(({ cases }) => cases);
const NAMES = [...LOAD_CASES, ...MEMORY_CASES].map(({ name }) => name);
/** The first round also warms up the just-in-time compiler. */
const FIRST_WARMUP_SECONDS = 2;
const WARMUP_SECONDS = 0.5;
const MEMORY_ROUNDS_MAX = 3;

async function main() {
  const options = readOptions();
  if (options.list) return console.log(listOfCases());
  if (cpus().length < 2 || !(await isThere('taskset', '--version'))) {
    throw new Error('the benchmark needs two CPUs and taskset (util-linux), to pin agent and load apart');
  }
  const programs = await build(options);
  const folder = mkdtempSync(join(tmpdir(), 'peony-bench-'));
  // After the processes that write there are ended, however this one ends.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  await present(programs, await runAll(programs, options, folder), options);
}

function listOfCases() {
  const ofScenario = ({ title, cases }) =>
    cases.map((spec) => ({ name: spec.name, text: `${title}: ${spec.title}` }));
  const lines = [
    ...SCENARIOS.flatMap(ofScenario),
    ...MEMORY_CASES.map(({ name, title, unit }) => ({ name, text: `${title} (${unit})` })),
  ];
  const width = Math.max(...NAMES.map((name) => name.length));
  return lines.map(({ name, text }) => `${name.padEnd(width)}  ${text}`).join('\n');
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      case: { type: 'string', multiple: true, default: NAMES },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      systems: { type: 'string', default: SYSTEMS.join(',') },
      'no-go': { type: 'boolean', default: false },
      'foreign-max': { type: 'string', default: '10' },
      json: { type: 'string' },
      'write-docs': { type: 'boolean', default: false },
      strict: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      peony: { type: 'string' },
    },
  });
  const systems = values.systems.split(',').filter((name) => !(values['no-go'] && name === 'motan-go'));
  requireKnown('--case', values.case, NAMES);
  requireKnown('--systems', systems, SYSTEMS);
  if (values['write-docs'] && values.case.length < NAMES.length)
    throw new Error('--write-docs writes all cases: leave --case away');
  return {
    ...values,
    systems,
    rounds: positive('--rounds', values.rounds),
    seconds: positive('--seconds', values.seconds),
    foreignMax: positive('--foreign-max', values['foreign-max']),
  };
}

function requireKnown(option, words, known) {
  const unknown = words.find((word) => !known.includes(word));
  if (unknown !== undefined) throw new Error(`${option}: "${unknown}" is none of ${known.join(', ')}`);
}

function positive(option, text) {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${option}: "${text}" is not a number above 0`);
  return value;
}

async function build(options) {
  say('building the load generator');
  const programs = { meshload: await buildMeshload(), motanGo: null, peony: null, nginx: null, phpFpm: null };
  if (options.systems.includes('motan-go')) {
    say('building the motan-go agent');
    programs.motanGo = await buildMotanGo();
    if (programs.motanGo === null) {
      say('Go is not installed: no comparison with motan-go');
      options.systems = options.systems.filter((name) => name !== 'motan-go');
    }
  }
  if (options.peony !== undefined) {
    programs.peony = resolve(options.peony);
  } else if (options.systems.includes('peony')) {
    say('building Peony');
    programs.peony = await buildPeony();
  }
  programs.phpFpm = installed('php-fpm', 'php-fpm8.2', 'php-fpm8.3', 'php-fpm8.4');
  programs.nginx = installed('nginx');
  if (options.systems.includes('nginx') && programs.nginx === null) {
    say('nginx is not installed: no comparison with it');
    options.systems = options.systems.filter((name) => name !== 'nginx');
  }
  return programs;
}

/** @returns { load: Map of case name to system to runs, memory: Map of case name to system to figures } */
async function runAll(programs, options, folder) {
  const results = { load: new Map(), memory: new Map() };
  for (const scenario of SCENARIOS) {
    await runScenario(scenario, programs, options, join(folder, scenario.cases[0].name), results.load);
  }
  for (const spec of MEMORY_CASES.filter(({ name }) => options.case.includes(name))) {
    if (!spec.systems.some((name) => options.systems.includes(name))) continue;
    say(`${spec.name}: ${spec.title}`);
    results.memory.set(spec.name, await runMemoryCase(spec, programs, options, join(folder, spec.name)));
  }
  return results;
}

async function runScenario(scenario, programs, options, folder, results) {
  const cases = scenario.cases.filter(({ name }) => options.case.includes(name));
  const systems = scenario.systems.filter((name) => options.systems.includes(name));
  if (cases.length === 0 || systems.length === 0) return;
  const missing = (scenario.needs ?? []).filter((program) => programs[program] === null);
  if (missing.length > 0) {
    say(`SKIPPED, as ${missing.join(', ')} is not installed: ${cases.map(({ name }) => name).join(', ')}`);
    return;
  }
  // Before the agents: motan-go tries a node whose first connect failed again after a minute only.
  const backends = await startBackends(scenario, { programs, folder });
  for (const spec of cases) {
    say(`${spec.name}: ${scenario.title}, ${spec.title}`);
    const place = join(folder, spec.name);
    const context = { programs, folder: place, backends: backends.ports, spec };
    results.set(spec.name, await runLoadCase(scenario, systems, backends.children, context, options));
    // The access logs of a fast agent fill hundreds of megabytes in a case.
    rmSync(place, { recursive: true, force: true });
  }
  await backends.stop();
}

async function runLoadCase(scenario, names, backends, context, options) {
  const systems = [];
  for (const name of names) systems.push(await startSystem(scenario, name, context));
  const runs = Object.fromEntries(names.map((name) => [name, []]));

  for (let round = 0; round < options.rounds; round += 1) {
    const warmupSeconds = round === 0 ? FIRST_WARMUP_SECONDS : WARMUP_SECONDS;
    for (const system of systems) {
      const others = systems.filter((other) => other !== system).flatMap(({ children }) => children);
      const peers = pidsOf([...backends, ...others]);
      const run = await measure(context.programs.meshload, system, context.spec, {
        ...options,
        warmupSeconds,
        peers,
      });
      runs[system.name].push(run);
      const { rps, p50Us, p99Us, cpuUs, foreignPercent, stealPercent } = run;
      say(
        `  ${system.name.padEnd(8)} ${rps.toFixed(0).padStart(7)}/s  p50 ${p50Us.toFixed(0)} p99 ${p99Us.toFixed(0)} µs  ` +
          `${cpuUs.toFixed(1)} µs CPU  (foreign ${foreignPercent} %, steal ${stealPercent} %)`,
      );
    }
  }
  for (const system of systems) await system.stop();
  return runs;
}

async function runMemoryCase(spec, programs, options, folder) {
  const rounds = Math.min(options.rounds, MEMORY_ROUNDS_MAX);
  const systems = spec.systems.filter((name) => options.systems.includes(name));
  const figures = Object.fromEntries(systems.map((system) => [system, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const system of systems) {
      const place = join(folder, `${system}-${round}`);
      const figure = await spec.measure(system, { programs, folder: place });
      figures[system].push(figure);
      say(`  ${system.padEnd(8)} ${figure.toFixed(2)}`);
    }
  }
  return figures;
}

async function present(programs, results, options) {
  if (results.load.size + results.memory.size === 0)
    throw new Error('none of these systems takes part in these cases');
  const memoryCases = MEMORY_CASES.filter(({ name }) => results.memory.has(name));
  const all = [...results.load.values()].flatMap((runs) => Object.values(runs).flat());
  const environment = await report.environment(programs, all, options);

  const parts = [`Measured on: ${environment}.`];
  for (const scenario of SCENARIOS) {
    const cases = scenario.cases.filter(({ name }) => results.load.has(name));
    if (cases.length > 0)
      parts.push(`**${scenario.title}**`, report.loadTable(scenario, cases, results.load));
  }
  if (memoryCases.length > 0) {
    parts.push('**Memory and scale**', report.memoryTable(memoryCases, results.memory));
  }
  const text = parts.join('\n\n');
  console.log(`\n${text}`);

  if (options.json !== undefined) {
    const plain = {
      environment,
      load: Object.fromEntries(results.load),
      memory: Object.fromEntries(results.memory),
    };
    writeFileSync(options.json, `${JSON.stringify(plain, null, 2)}\n`);
  }
  if (options['write-docs']) report.writeFigures(join(ROOT, 'docs/benchmarks.md'), text);

  const missed = [
    ...LOAD_CASES.filter(({ name }) => results.load.has(name)).filter(
      (spec) => report.isMet(spec, results.load.get(spec.name)) === false,
    ),
    ...memoryCases.filter((spec) => report.isMemoryMet(spec, results.memory.get(spec.name)) === false),
  ];
  if (missed.length > 0) console.log(`\ntargets missed: ${missed.map(({ name }) => name).join(', ')}`);
  if (options.strict && missed.length > 0) process.exitCode = 1;
}

/** Progress goes to standard error: standard output has the table alone. */
function say(text) {
  process.stderr.write(`${text}\n`);
}

main().catch((error) => {
  say(`bench: ${error.message}`);
  process.exit(1);
});
