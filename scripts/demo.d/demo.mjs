/** The demo itself: says what it does, shows what comes, and checks that it is what it should be. See scripts/demo. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { LegacyDemo } from './legacy.mjs';
import { freePorts, has, killAll, run, start, stop, stopAll } from './processes.mjs';
import { openRegistry, REGISTRY_KINDS } from './registry-server.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PEONY = join(ROOT, 'bin/peony');
const SERVICE = 'com.weibo.HelloService';
const STREAM_CALLS = 2_000;
const WAIT_MS_MAX = 20_000;

const { values: options } = parseArgs({
  options: { keep: { type: 'boolean', default: false }, registry: { type: 'string', default: 'file' } },
});
if (!REGISTRY_KINDS.includes(options.registry)) {
  console.error(`--registry ${options.registry}: expected one of ${REGISTRY_KINDS.join(', ')}`);
  process.exit(2);
}
const keeps = options.keep;
const folder = mkdtempSync(join(tmpdir(), 'peony-demo-'));
const failures = [];
let passed = 0;
let interrupt = null;
const interrupted = new Promise((_resolve, reject) => {
  interrupt = () => reject(new Error('interrupted'));
});
interrupted.catch(() => undefined); // told to whoever waits

async function main() {
  const registry = await race(openRegistry(options.registry, { root: ROOT, folder, say, show }));
  const [port, managementPort, httpPort] = await freePorts(3);
  const config = join(folder, 'motan.yaml');

  say(
    `Two instances of a small Motan2 service start and announce themselves in ${
      options.registry === 'file' ? 'a directory, the file registry' : `the registry, ${registry.place}`
    }.`,
  );
  const first = await startService(registry);
  const second = await startService(registry);

  say('The agent gets a configuration as motan-go reads it, which is checked before.');
  writeFileSync(config, configuration(registry.entry));
  show(config, readFileSync(config, 'utf8'));
  await peony('check accepts the configuration', 0, ['check', '-c', config, '--strict']);

  say('The agent starts, with the command line of motan-go.');
  const ports = ['-port', `${port}`, '-hport', `${httpPort}`, '-mport', `${managementPort}`];
  const flags = ['-c', config, ...ports, '-log_dir', folder];
  show('$', `peony ${flags.join(' ')}`);
  const agent = await start('the agent', PEONY, flags, /agent started.*\n/, folder);
  show('', agent.output);
  const ask = ['--mport', `${managementPort}`];
  await until('the agent knows both instances', async () => (await nodesAvailable(ask)) === 2);

  say('Calls through the agent: from a shell, and from programs that know nothing but a socket.');
  const call = ['call', '--port', `${port}`, SERVICE];
  await peony('a call is answered', 0, [...call, 'hello', '"shell"', '-v'], /Hello, shell!/);
  await peony('types pass unchanged', 0, [...call, 'echo', '{"$int32": 5}', '--typed'], /^\{"\$int32":5\}$/m);
  await peony('an exception of the service is one', 1, [...call, 'fail', '"as asked"'], /as asked/);
  const unknown = ['call', '--port', `${port}`, 'com.weibo.Nobody', 'hello'];
  await peony('a service that nobody configured is told apart', 2, unknown, /cluster not found/);
  await client('python3', 'examples/python/motan_client.py', port);
  await client('php', 'examples/php/motan_client.php', port);

  say(`${STREAM_CALLS} calls run, one after the other, and in the middle of them one instance is stopped.`);
  await stopInTheMiddle(call, ask, second);

  say('The instance comes back on another port, and the agent finds it without being told.');
  const third = await startService(registry);
  await until('the agent knows the new instance', async () => (await nodesAvailable(ask)) === 2);
  const after = await peony('calls are shared again', 0, [
    ...call,
    'hello',
    '"again"',
    '--repeat',
    '100',
    '--json',
  ]);
  const nodes = Object.keys(JSON.parse(after.stdout).nodes);
  expect(
    'both instances serve',
    nodes.includes(`127.0.0.1:${first.port}`) && nodes.includes(`127.0.0.1:${third.port}`),
  );

  say('What the agent tells about itself.');
  const status = await peony('status is shown', 0, ['status', ...ask], /forward/);
  expect('the calls of the listener add up', isBalanced(await statusOf(ask)), status.stdout);
  await peony('services are listed', 0, ['services', ...ask], /com\.weibo\.HelloService/);

  const legacy = new LegacyDemo({
    root: ROOT,
    folder,
    registryEntry: registry.entry,
    peony,
    say,
    show,
    expect,
    until,
    statusOf,
    run: (...words) => race(run(...words)),
  });
  await legacy.startBackends();
  await legacy.call(port, httpPort, ask);

  say('The end of the access log.');
  const accessLog = join(folder, 'peony-access.log');
  await until(
    'the access log is written',
    async () => existsSync(accessLog) && readFileSync(accessLog).length > 0,
  );
  show(accessLog, readFileSync(accessLog, 'utf8').trimEnd().split('\n').slice(-3).join('\n'));

  if (keeps) await keepRunning(port, managementPort);

  say('Everything stops: the agents first, then the services.');
  expect('the agent drains and ends with 0', (await stop(agent)) === 0, agent.output);
  await legacy.stop();
  expect('the first instance ends with 0', (await stop(first)) === 0, first.output);
  expect('the new instance ends with 0', (await stop(third)) === 0, third.output);
}

async function startService(registry) {
  const script = join(ROOT, 'examples/echo-service/echo-service.mjs');
  const service = await start(
    'the service',
    process.execPath,
    [script, '--registry', registry.place],
    /on port (\d+)\n/,
    folder,
  );
  service.port = Number(service.ready[1]);
  show('', service.output);
  return service;
}

/** No call may fail, both instances must have served, and the one that stopped must have ended by itself. */
async function stopInTheMiddle(call, ask, second) {
  const words = [...call, 'hello', '"stream"', '--repeat', `${STREAM_CALLS}`, '--interval', '1', '--json'];
  const before = await callsIn(ask);
  const stream = run(PEONY, words, folder);
  await until(
    'a quarter of the calls is made',
    async () => (await callsIn(ask)) - before >= STREAM_CALLS / 4,
  );
  const madeBefore = (await callsIn(ask)) - before;
  const code = await stop(second);
  const madeAfter = (await callsIn(ask)) - before;
  show('', `instance on port ${second.port} left after ${madeBefore} calls and had ended after ${madeAfter}`);
  const { stdout, stderr } = await stream;
  show('$', `peony ${words.join(' ')}\n${stdout}${stderr}`);
  const summary = JSON.parse(stdout);
  expect('the instance ends with 0', code === 0, second.output);
  expect('it ended while calls were made', madeAfter < STREAM_CALLS);
  expect('no call failed', summary.ok === STREAM_CALLS && summary.failures === 0 && summary.exceptions === 0);
  expect('both instances have served', Object.keys(summary.nodes).length === 2);
}

async function client(command, script, port) {
  if (!has(command)) {
    console.log(`   ${command} is not installed, so its client is left out`);
    return;
  }
  const words = [join(ROOT, script), `${port}`, SERVICE, 'hello', command];
  const { code, stdout, stderr } = await race(run(command, words, folder));
  show('$', `${command} ${script} ${words.slice(1).join(' ')}\n${stdout}${stderr}`);
  expect(`the ${command} client gets its answer`, code === 0 && stdout.startsWith(`Hello, ${command}!`));
}

/** Runs a command, shows it, and expects an exit code and, in its output, a text. */
async function peony(claim, code, words, text = /^/) {
  const result = await race(run(PEONY, words, folder));
  const shown = words.map((word) => (/^[\w./:=-]+$/.test(word) ? word : `'${word}'`)).join(' ');
  show('$', `peony ${shown}\n${result.stderr}${result.stdout}`);
  expect(claim, result.code === code && text.test(result.stdout + result.stderr), `exit code ${result.code}`);
  return result;
}

async function statusOf(ask) {
  const { code, stdout, stderr } = await run(PEONY, ['status', ...ask, '--json'], folder);
  if (code !== 0) throw new Error(`peony status ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

async function nodesAvailable(ask) {
  return (await statusOf(ask)).clusters.find(({ service }) => service === SERVICE).endpointsAvailable;
}

async function callsIn(ask) {
  return (await statusOf(ask)).listeners.find(({ name }) => name === 'forward').in;
}

function isBalanced(status) {
  return status.listeners.every((each) => each.in === each.ok + each.failed + each.shed + each.inFlight);
}

async function keepRunning(port, managementPort) {
  say('Everything runs until Ctrl-C. In another terminal, for example:');
  show(
    '$',
    `bin/peony call ${SERVICE} hello '"me"' --port ${port}\nbin/peony status --mport ${managementPort}`,
  );
  const alive = setInterval(() => undefined, 60_000);
  await interrupted.catch(() => undefined);
  clearInterval(alive);
}

function configuration(registryEntry) {
  return `motan-agent:
  application: demo
  host: 127.0.0.1
  httpProxyEnable: true
  runtime_dir: ${join(folder, 'runtime')}
  snapshot_dir: ${join(folder, 'snapshot')}
  pidfile: ${join(folder, 'agent.pid')}
motan-registry:
  shared:
${registryEntry}motan-refer:
  hello:
    path: ${SERVICE}
    group: demo
    protocol: motan2
    registry: shared
    serialization: simple
    requestTimeout: 1000
    retries: 1
    loadbalance: roundrobin
    filter: accessLog,metrics
${LegacyDemo.callerConfiguration('shared')}`;
}

async function until(what, holds) {
  const deadlineMs = Date.now() + WAIT_MS_MAX;
  while (!(await race(holds()))) {
    if (Date.now() > deadlineMs) throw new Error(`waited ${WAIT_MS_MAX / 1000} s in vain: ${what}`);
    await race(pause(50));
  }
}

function race(promise) {
  return Promise.race([promise, interrupted]);
}

function expect(claim, holds, detail = '') {
  if (holds) {
    passed += 1;
    console.log(`   ok: ${claim}`);
  } else {
    failures.push(claim);
    console.log(`   NOT OK: ${claim}${detail === '' ? '' : `\n${indent(detail)}`}`);
  }
}

function say(text) {
  console.log(`\n== ${text}`);
}

function show(mark, text) {
  if (mark !== '' && mark !== '$') console.log(`   ${mark}:`);
  console.log(indent(`${mark === '$' ? '$ ' : ''}${text}`));
}

function indent(text) {
  return text.trimEnd().replace(/^/gm, '   | ');
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, interrupt);
process.on('exit', killAll);

try {
  await main();
} catch (error) {
  failures.push(error.message);
  console.log(`\nThe demo ends early: ${error.message}`);
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}
console.log(
  `\n${passed} expectations held, ${failures.length} did not${failures.map((each) => `\n  ${each}`).join('')}`,
);
process.exitCode = failures.length === 0 ? 0 : 1;
