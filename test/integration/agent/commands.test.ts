/** Commands over the life of an agent: restarts while the registry cannot be read, groups that programs refer to, and the command line. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { CommandReport } from '../../../src/core/index.js';
import { type AgentProcess, eventually, Home, PEONY, refer } from './agent-process.js';

const TEXT = '{"clientCommandList":[{"index":1,"commandType":1,"pattern":"com.x."},{"commandType":9}]}';

function config(home: Home) {
  return {
    'motan-agent': { registry: 'here', snapshot_dir: 'snapshot' },
    'motan-registry': { here: { protocol: 'file', path: home.path('registry') } },
    'motan-refer': { hello: refer({ registry: 'here' }) },
  };
}

function commandFile(home: Home, group: string): string {
  return home.path('registry', '.command', 'service', `${group}.json`);
}

function writeCommand(home: Home, group: string, text: string): void {
  const file = commandFile(home, group);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** Of the commands for a group, as the agent tells them, once `condition` holds. */
async function report(
  agent: AgentProcess,
  group: string,
  condition: (report: CommandReport) => boolean,
): Promise<CommandReport> {
  return await eventually(
    `commands of ${group}`,
    async () => {
      const { scopes } = JSON.parse((await agent.get('/v1/commands')).body) as { scopes: CommandReport[] };
      return scopes.find(({ scope, ...rest }) => {
        return scope.kind === 'service' && scope.group === group && condition({ scope, ...rest });
      });
    },
    10_000,
  );
}

test('an agent that restarts while its registry cannot be read shows the command of before', async (t) => {
  const home = await Home.make(t);
  writeCommand(home, 'g1', TEXT);
  const first = await home.start(t, { config: config(home) });
  const before = await report(first, 'g1', ({ text }) => text === TEXT);
  assert.equal(await first.stop(), 0);

  rmSync(commandFile(home, 'g1'));
  mkdirSync(commandFile(home, 'g1')); // what stands there now is no file
  const second = await home.start(t, { config: config(home) });
  const saved = await report(second, 'g1', ({ source, trouble }) => source === 'saved' && trouble !== null);
  const shown = await promisify(execFile)(PEONY, ['commands', '--mport', `${home.managementPort}`]);
  rmSync(commandFile(home, 'g1'), { recursive: true });
  await report(second, 'g1', ({ source, text }) => source === 'registry' && text === null);

  assert.deepEqual([saved.text, saved.receivedAtMs], [TEXT, before.receivedAtMs]);
  assert.match(shown.stdout, /^Commands are recorded, not applied in this version\./);
  assert.match(shown.stdout, /here +group g1 +saved .* degrade +1 +com\.x\. +refuse calls/);
  assert.match(shown.stdout, /IN TROUBLE: .*g1\.json cannot be read/);
  assert.match(shown.stdout, /1 of the list +commandType/);
});

test('the commands of a group that a program refers to at run time are watched while it does', async (t) => {
  const home = await Home.make(t);
  writeCommand(home, 'dynamic', TEXT);
  const agent = await home.start(t, { config: config(home) });
  await report(agent, 'g1', ({ source }) => source === 'registry');
  const post = (path: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${home.managementPort}${path}`, {
      method: 'POST',
      body: JSON.stringify({
        protocol: 'motan2',
        host: '',
        port: 0,
        path: 'com.x.Dynamic',
        group: 'dynamic',
        parameters: { proxyRegistry: 'here' },
      }),
    });

  const added = await post('/registry/subscribe');
  const found = await report(agent, 'dynamic', ({ text }) => text === TEXT);
  const removed = await post('/registry/unsubscribe');

  assert.deepEqual([added.status, removed.status], [200, 200]);
  assert.equal(found.registry, 'here');
  const { scopes } = JSON.parse((await agent.get('/v1/commands')).body) as { scopes: CommandReport[] };
  assert.deepEqual(
    scopes.map(({ scope }) => scope),
    [
      { kind: 'agent', application: 'process-test' },
      { kind: 'service', group: 'g1' },
    ],
  );
});
