/** How a start that cannot succeed ends: the exit code, and what is said about it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { atEnd, connectOutcome, Home } from './agent-process.js';

async function occupy(t: TestContext, port: number): Promise<void> {
  const server = net.createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  atEnd(t, () => server.close());
}

test('a configuration file that is not there ends the start with 2 and is named', async (t) => {
  const home = await Home.make(t);
  const agent = home.launch(t, { flags: ['-c', 'missing.yaml'] });

  assert.equal(await agent.end(), 2);
  assert.match(agent.stderr, /missing\.yaml/);
});

test('a configuration that cannot be read ends the start with 2 and is named', async (t) => {
  const home = await Home.make(t);
  mkdirSync(home.path('conf.yaml'));
  const agent = home.launch(t, { flags: ['-c', 'conf.yaml'] });

  assert.equal(await agent.end(), 2);
  assert.match(agent.stderr, /conf\.yaml/);
});

test('a configuration that is no YAML ends the start with 2 and names line and column', async (t) => {
  const home = await Home.make(t);
  writeFileSync(home.path('torn.yaml'), 'motan-agent:\n  application: a\n  port: [9981\n');
  const agent = home.launch(t, { flags: ['-c', 'torn.yaml'] });

  assert.equal(await agent.end(), 2);
  assert.match(agent.stderr, /torn\.yaml:\d+:\d+: /);
  assert.ok(!existsSync(home.path('agent.pid')));
});

test('a value that decides where the agent listens ends the start with 2 when it is wrong', async (t) => {
  const home = await Home.make(t);
  writeFileSync(home.path('typed.yaml'), 'motan-agent:\n  port: "9981"\n');
  const agent = home.launch(t, { flags: ['-c', 'typed.yaml'] });

  assert.equal(await agent.end(), 2);
  assert.match(agent.stderr, /typed\.yaml:2:9: .*motan-agent\.port/);
});

test('a forward port that is taken ends the start with 1, and nothing listens any more', async (t) => {
  const home = await Home.make(t);
  await occupy(t, home.port);
  const agent = home.launch(t);

  assert.equal(await agent.end(), 1);
  assert.match(agent.stderr, new RegExp(`^peony cannot start: .*forward.*${home.port}`));
  assert.equal(await connectOutcome(home.managementPort), 'ECONNREFUSED');
});

test('a management port that is taken ends the start with 1, and the forward port is not opened', async (t) => {
  const home = await Home.make(t);
  await occupy(t, home.managementPort);
  const agent = home.launch(t, { config: { 'motan-agent': { host: '127.0.0.1' } } });

  assert.equal(await agent.end(), 1);
  assert.match(agent.stderr, new RegExp(`^peony cannot start: management port ${home.managementPort} `));
  assert.equal(await connectOutcome(home.port), 'ECONNREFUSED');
});

test('an unknown flag ends with 2 and the list of flags', async (t) => {
  const home = await Home.make(t);
  const agent = home.launch(t, { flags: ['-prot', '1'] });

  assert.equal(await agent.end(), 2);
  assert.match(agent.stderr, /^flag provided but not defined: -prot\b/);
  assert.match(agent.stderr, /-port/);
});

test('-h tells the flags and ends with 0', async (t) => {
  const home = await Home.make(t);
  const agent = home.launch(t, { flags: ['-h'] });

  assert.equal(await agent.end(), 0);
  assert.match(agent.stdout, /-port/);
});
