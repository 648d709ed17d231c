/** `unixSock` and `managementUnixSock` take the place of the ports, and never the place of a foreign file. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { peony } from '../cli-programs.js';
import { call, connectOutcome, direct, get, Home, startUpstream } from './agent-process.js';

test('with unixSock and managementUnixSock the agent listens there and on no port', async (t) => {
  const home = await Home.make(t);
  const upstream = await startUpstream(t);
  const [forward, management] = [home.path('f.sock'), home.path('m.sock')];
  const section = { unixSock: forward, managementUnixSock: management };
  const agent = await home.start(t, { config: { ...direct(upstream.port), 'motan-agent': section } });

  const answer = await call(await agent.caller(t, { path: forward }), 1n);
  const status = await get({ socketPath: management, path: '/200' });
  const command = await peony(['status', '--unix', management]);

  assert.equal(answer.versionStatus & 7, 0);
  assert.deepEqual(status, { code: 200, body: 'ok.' });
  assert.equal(command.code, 0);
  for (const port of [home.port, home.managementPort])
    assert.equal(await connectOutcome(port), 'ECONNREFUSED');
  assert.equal(await agent.stop(), 0);
  assert.deepEqual([existsSync(forward), existsSync(management)], [false, false]);
});

test('sockets that a killed agent left are taken over', async (t) => {
  const home = await Home.make(t);
  const section = { unixSock: home.path('f.sock'), managementUnixSock: home.path('m.sock') };
  const first = await home.start(t, { config: { 'motan-agent': section } });
  await first.kill();
  assert.ok(existsSync(home.path('f.sock')));

  await home.start(t, { config: { 'motan-agent': section } });

  const { code } = await get({ socketPath: home.path('m.sock'), path: '/version' });
  assert.equal(code, 200);
});

test('the socket of an agent that lives is not taken over', async (t) => {
  const home = await Home.make(t);
  const other = await Home.make(t);
  const section = { unixSock: home.path('f.sock') };
  await home.start(t, { config: { 'motan-agent': section } });

  const second = other.launch(t, { config: { 'motan-agent': section } });

  assert.equal(await second.end(), 1);
  assert.match(second.stderr, /another process listens/);
  assert.ok(existsSync(home.path('f.sock')));
});

for (const key of ['unixSock', 'managementUnixSock']) {
  test(`a foreign file at the path of ${key} is refused and not removed`, async (t) => {
    const home = await Home.make(t);
    writeFileSync(home.path('precious'), 'data');

    const agent = home.launch(t, { config: { 'motan-agent': { [key]: home.path('precious') } } });

    assert.equal(await agent.end(), 1);
    assert.match(agent.stderr, /precious exists and is not a socket; it is not removed/);
    assert.equal(home.read('precious'), 'data');
  });
}
