import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { until } from '../support/clock.js';
import { exceptionReply, HEARTBEAT, reply, request } from '../support/frames.js';
import { answerOk, type Script, ScriptedUpstream, silent } from '../support/scripted-peer.js';
import { folder, PEONY, peony, run, type StartedAgent, startAgent } from './cli-programs.js';

const SERVICE = 'com.weibo.HelloService';

let upstream: ScriptedUpstream;
let agent: StartedAgent;

before(async () => {
  upstream = await ScriptedUpstream.start(answerOk);
  agent = await startAgent('agent', await freePort(), configuration(upstream.port));
});

after(() => upstream.stop());

function configuration(port: number): string {
  return `motan-registry:
  fixed: { protocol: direct, address: "127.0.0.1:${port}" }
  nobody: { protocol: direct, address: "127.0.0.1:1" }
motan-refer:
  hello: { path: ${SERVICE}, group: g1, protocol: motan2, registry: fixed, requestTimeout: 1000, minRequestTimeout: 50, filter: accessLog }
  lonely: { path: com.weibo.Lonely, group: g1, protocol: motan2, registry: nobody }
  broken: { group: g1, protocol: motan2, registry: fixed }
`;
}

/** What becomes of calls; heartbeats are answered, so that the agent goes on trusting the node. */
function onCalls(script: Script): void {
  upstream.script = (frame, connection) =>
    (frame.type & HEARTBEAT) !== 0 ? answerOk(frame, connection) : script(frame, connection);
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function callAgent(...words: string[]): ReturnType<typeof peony> {
  return peony(['call', '--port', `${agent.port}`, SERVICE, ...words]);
}

test('call prints the answer and ends with 0', async () => {
  onCalls(answerOk);

  const { code, stdout, stderr } = await callAgent('hello', '"world"');

  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '"ok"\n', stderr: '' });
});

test('call sends typed arguments and metadata, and -v tells of the node', async () => {
  onCalls(answerOk);
  const seen = upstream.requests.length;

  const { stdout, stderr } = await callAgent(
    'hello',
    '-5',
    '{"$int32":7}',
    '--meta',
    'trace=t1',
    '--timeout',
    '700',
    '-v',
  );

  const sent = upstream.requests.slice(seen).find((frame) => frame.metadata.get('M_m') === 'hello')!;
  assert.equal(sent.body.toString('hex'), '0909080e');
  assert.equal(sent.metadata.get('trace'), 't1');
  assert.equal(sent.metadata.get('M_tmo'), '700');
  assert.equal(stdout, '"ok"\n');
  assert.match(stderr, new RegExp(`from node 127\\.0\\.0\\.1:${upstream.port}`));
  assert.match(stderr, /\d+ bytes sent, \d+ bytes received, simple/);
});

test('call --json is one object for programs', async () => {
  onCalls(answerOk);

  const { stdout } = await callAgent('hello', '--args-json', '["a"]', '--json');

  const { outcome, value, node, serialization } = JSON.parse(stdout) as Record<string, unknown>;
  assert.deepEqual(
    [outcome, value, node, serialization],
    ['ok', 'ok', `127.0.0.1:${upstream.port}`, 'simple'],
  );
});

test('call --repeat counts what came of it', async () => {
  onCalls(answerOk);

  const { code, stdout } = await callAgent('hello', '--repeat', '20', '--json');

  const { calls, ok, nodes } = JSON.parse(stdout) as Record<string, unknown>;
  assert.deepEqual([code, calls, ok, nodes], [0, 20, 20, { [`127.0.0.1:${upstream.port}`]: 20 }]);
});

test('an exception of the service ends with 1', async () => {
  onCalls((frame, connection) => connection.send(exceptionReply(frame.id, 30001, 2, 'not today')));

  const { code, stdout, stderr } = await callAgent('hello');

  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.equal(stderr, 'exception of the service: code 30001, type 2 (business): not today\n');
});

test('a service that the agent does not know ends with 2', async () => {
  const { code, stderr } = await peony(['call', '--port', `${agent.port}`, 'com.weibo.Unknown', 'hello']);

  assert.equal(code, 2);
  assert.match(stderr, /^exception of the agent: code 400, .*com\.weibo\.Unknown/);
});

test('a node that does not answer in time ends with 2', async () => {
  onCalls(silent);

  const { code, stderr } = await callAgent('hello', '--timeout', '60');

  assert.equal(code, 2);
  assert.match(stderr, /^exception of the agent: code 400/);
});

test('a call straight to a node needs no agent', async () => {
  onCalls((frame, connection) => connection.send(reply(frame.id)));

  const { code, stdout } = await peony([
    'call',
    '--direct',
    `127.0.0.1:${upstream.port}`,
    SERVICE,
    'hello',
    '--json',
  ]);

  const { outcome, node } = JSON.parse(stdout) as Record<string, unknown>;
  assert.deepEqual([code, outcome, node], [0, 'ok', null]);
});

test('unix sockets serve as well as ports, of an agent and of a node', async () => {
  const path = join(folder, 'node.sock');
  const node = await ScriptedUpstream.start(answerOk, path);

  const throughSocket = await peony(['call', '--unix', path, SERVICE, 'hello']);
  const direct = await peony(['call', '--direct', `unix://${path}`, SERVICE, 'hello']);
  await node.stop();

  assert.deepEqual([throughSocket.stdout, direct.stdout], ['"ok"\n', '"ok"\n']);
});

test('a node that answers garbage, or closes, ends with 2', async () => {
  const direct = ['call', '--direct', `127.0.0.1:${upstream.port}`, SERVICE, 'hello'];

  onCalls((_frame, connection) => connection.send(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')));
  const garbage = await peony(direct);
  onCalls((_frame, connection) => connection.close());
  const closed = await peony(direct);

  assert.deepEqual([garbage.code, closed.code], [2, 2]);
  assert.match(garbage.stderr, /^failed: the answer makes no sense: not a Motan frame/);
  assert.match(closed.stderr, /^failed: (?:the connection was closed|connection lost)/);
});

test('an answer that never comes is given up after the timeout', async () => {
  onCalls(silent);

  const { code, stderr } = await peony([
    'call',
    '--direct',
    `127.0.0.1:${upstream.port}`,
    SERVICE,
    'hello',
    '--timeout',
    '50',
  ]);

  assert.equal(code, 2);
  assert.match(stderr, /^failed: no answer within \d+ ms/);
});

test('where nobody listens, call ends with 2 and status with 3, each with the place', async () => {
  const port = await freePort();
  const call = await peony(['call', '--port', `${port}`, SERVICE, 'hello']);

  assert.equal(call.code, 2);
  assert.match(call.stderr, new RegExp(`no connection to 127\\.0\\.0\\.1:${port}: .*ECONNREFUSED`));
  for (const command of ['status', 'state', 'services']) {
    const { code, stderr } = await peony([command], { env: { mport: `${port}` } });
    assert.equal(code, 3, command);
    assert.match(stderr, new RegExp(`^peony: no agent answers at 127\\.0\\.0\\.1:${port}: .*ECONNREFUSED`));
  }
});

test('what is no agent is not taken for one', async () => {
  const server = net.createServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;

  const { code, stderr } = await peony(['status', '--mport', `${port}`]);
  server.close();

  assert.equal(code, 3);
  assert.match(stderr, /is no Peony agent: \/v1\/status gives HTTP 200 "OK"/);
});

test('status shows the balance of calls, why a node is not available, and what is quarantined', async () => {
  const { code, stdout } = await peony(['status', ...agent.ask]);

  assert.equal(code, 0);
  assert.match(stdout, /forward +127\.0\.0\.1:\d+ +\d+/);
  assert.match(stdout, /com\.weibo\.Lonely +g1 +0 of 1 available/);
  assert.match(stdout, /127\.0\.0\.1:1 +NOT AVAILABLE: .*ECONNREFUSED/);
  assert.match(stdout, /agent\.yaml:\d+:\d+: motan-refer\.broken: /);
});

test('status --json is what the agent answers, and its calls add up', async () => {
  const { stdout } = await peony(['status', ...agent.ask, '--json']);

  const status = JSON.parse(stdout) as {
    listeners: Record<string, number>[];
    quarantined: { entry: string }[];
  };
  for (const each of status.listeners) {
    assert.equal(each.in, each.ok! + each.failed! + each.shed! + each.inFlight!);
  }
  assert.deepEqual(
    status.quarantined.map((problem) => problem.entry),
    ['motan-refer.broken'],
  );
});

test('state and services name clusters and nodes', async () => {
  const state = await peony(['state', ...agent.ask]);
  const services = await peony(['services', ...agent.ask]);
  const json = await peony(['services', ...agent.ask, '--json']);

  assert.match(state.stdout, /^state \d+, /);
  assert.ok(state.stdout.includes(`node motan2://127.0.0.1:${upstream.port}, group g1`));
  assert.match(services.stdout, new RegExp(`${SERVICE} +g1 +1 +1 +on`));
  const { refers } = JSON.parse(json.stdout) as { refers: { service: string }[] };
  assert.deepEqual(refers.map((refer) => refer.service).sort(), [SERVICE, 'com.weibo.Lonely']);
});

test('decode reads frames from standard input, raw or hex', async () => {
  const raw = await peony(['decode'], { input: request({ service: 'a' }) });
  const hex = await peony(['decode'], { input: request({ service: 'a' }).toString('hex') });
  const broken = await peony(['decode'], { input: 'f1f1' });

  assert.equal((JSON.parse(raw.stdout) as { kind: string }).kind, 'request');
  assert.equal(raw.stdout, hex.stdout);
  assert.deepEqual([raw.code, hex.code, broken.code], [0, 0, 2]);
});

test('check and config read the configuration that the agent runs with', async () => {
  const check = await peony(['check', '-c', join(folder, 'agent.yaml'), '--json']);
  const config = await peony([
    'config',
    '-c',
    join(folder, 'agent.yaml'),
    '--explain',
    'motan-refer.hello.group',
  ]);

  assert.equal(check.code, 2);
  assert.deepEqual((JSON.parse(check.stdout) as { leftOut: string[] }).leftOut, ['motan-refer.broken']);
  assert.match(config.stdout, /motan-refer\.hello\.group = g1\n {2}set by {4}.*agent\.yaml:\d+:\d+/);
});

test('a configuration that cannot be parsed ends the start with 2 and names the place', async () => {
  const file = join(folder, 'torn.yaml');
  writeFileSync(file, 'motan-agent:\n  port: [9981\n');

  const { code, stderr } = await peony(['run', '-c', file]);

  assert.equal(code, 2);
  assert.match(stderr, /torn\.yaml:\d+:\d+/);
});

test('a port that is taken ends the start with 1 and names it', async () => {
  await assert.rejects(startAgent('second', agent.port, configuration(upstream.port)), (error: Error) => {
    assert.match(error.message, /^ended with 1: /);
    assert.ok(error.message.includes(String(agent.port)));
    return true;
  });
});

test('an agent that is told to stop drains and ends with 0', async () => {
  const other = await startAgent('other', await freePort(), configuration(upstream.port));

  const { code } = await other.stop();

  assert.equal(code, 0);
});

test('logs carry the name under which the program was started', async () => {
  const link = join(folder, 'agent');
  symlinkSync(PEONY, link);
  const logs = join(folder, 'linked');
  const port = await freePort();
  const config = join(folder, 'linked.yaml');
  writeFileSync(
    config,
    `motan-agent:\n  managementUnixSock: ${folder}/linked.sock\n  runtime_dir: ${folder}/linked-run\n`,
  );
  const ended = run(link, [
    '-c',
    config,
    '-port',
    `${port}`,
    '-log_dir',
    logs,
    '-pidfile',
    join(folder, 'linked.pid'),
  ]);
  await until('the pid file is written', () => existsSync(join(folder, 'linked.pid')), 15_000);
  await until('the agent serves', () =>
    readFileSync(join(logs, 'agent.log'), 'utf8').includes('the agent serves'),
  );

  process.kill(Number(readFileSync(join(folder, 'linked.pid'), 'utf8')), 'SIGTERM');

  assert.equal((await ended).code, 0);
});

test('a clone that is not built says what to run', async () => {
  const clone = join(folder, 'clone', 'bin');
  mkdirSync(clone, { recursive: true });
  writeFileSync(join(folder, 'clone', 'package.json'), '{"type":"module"}');
  copyFileSync(PEONY, join(clone, 'peony'));

  const { code, stderr } = await run(process.execPath, [join(clone, 'peony'), 'status']);

  assert.equal(code, 2);
  assert.match(stderr, /npm ci && npm run build/);
});

test('a reader that goes away does not make a command fail', async () => {
  const { code, stderr } = await run('sh', ['-c', `"$0" --help | head -n 1`, PEONY]);

  assert.deepEqual([code, stderr], [0, '']);
});
