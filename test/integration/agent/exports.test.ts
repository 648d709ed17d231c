/** Exported services of a running agent: who hears of them, when, and what a caller gets through two agents. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { peony } from '../cli-programs.js';
import {
  type AgentProcess,
  call,
  eventually,
  freePort,
  Home,
  refer,
  SERVICE,
  type Sections,
  startUpstream,
} from './agent-process.js';

function exporting(directory: string, exportPort: number, backendPort: number, more: object = {}): Sections {
  return {
    'motan-registry': { shared: { protocol: 'file', path: directory } },
    'motan-service': {
      hello: {
        path: SERVICE,
        group: 'g1',
        registry: 'shared',
        export: `motan2:${exportPort}`,
        proxy: `motan2:${backendPort}`,
        filter: 'accessLog,metrics',
        ...more,
      },
    },
  };
}

function calling(directory: string): Sections {
  return {
    'motan-registry': { shared: { protocol: 'file', path: directory } },
    'motan-refer': { hello: refer({ registry: 'shared' }) },
  };
}

async function two(t: TestContext, more: object = {}) {
  const [server, client] = [await Home.make(t), await Home.make(t)];
  const directory = server.path('registry');
  mkdirSync(directory);
  const backend = await startUpstream(t);
  const exportPort = await freePort();
  const serving = await server.start(t, { config: exporting(directory, exportPort, backend.port, more) });
  const asking = await client.start(t, { config: calling(directory) });
  return { serving, asking, backend, exportPort, server };
}

const nodesOf = async (agent: AgentProcess): Promise<number> => (await agent.nodes()).length;

test('a service is called once its agent is at 200, and no longer found at 503', async (t) => {
  const { serving, asking, exportPort } = await two(t);
  const caller = await asking.caller(t);
  assert.equal(await nodesOf(asking), 0);

  assert.equal((await serving.get('/200')).body, 'ok.');
  await eventually('the node', async () => (await nodesOf(asking)) === 1);
  const answer = await call(caller, 1n);
  assert.equal(answer.versionStatus & 7, 0);
  assert.equal(answer.metadata.get('x-forwarded-for'), `127.0.0.1:${exportPort}`);

  const status = JSON.parse((await serving.get('/registry/status')).body) as {
    status: string;
    registryStatus: { service: string; status: string }[];
  };
  assert.equal(status.status, 'register-success');
  assert.equal(status.registryStatus[0]!.service, SERVICE);

  await serving.get('/503');
  await eventually('the registry to be told', async () => {
    const told = JSON.parse((await serving.get('/registry/status')).body) as { status: string };
    return told.status === 'unregister-success';
  });
  // Discovery never takes the last node away: who is asked all the same still answers.
  assert.equal((await call(caller, 2n)).versionStatus & 7, 0);
});

test('a backend that fails its check takes its service out, and back in', async (t) => {
  const checks = {
    healthCheck: 'tcp',
    healthCheckInterval: 100,
    healthCheckFailures: 2,
    healthCheckSuccesses: 1,
  };
  const { serving, backend, server } = await two(t, checks);
  await serving.get('/200');
  const announced = async (): Promise<string> => {
    const { registries } = (await serving.status()) as unknown as {
      registries: { announced: { node: string; seen: string }[] }[];
    };
    return registries[0]!.announced.find(({ node }) => node.includes(SERVICE))?.seen ?? 'absent';
  };
  await eventually('the service to be announced', async () => (await announced()) === 'available');

  await backend.stop();
  await eventually('the service to be out', async () => (await announced()) === 'unavailable');
  const { stdout } = await peony(['status', '--mport', `${server.managementPort}`]);
  assert.match(stdout, /HelloService +g1 +\d+ +motan2 127\.0\.0\.1:\d+ +NOT HEALTHY: .*ECONNREFUSED/);
  assert.equal(
    await serving.metric(
      `peony_export_healthy{service="${SERVICE}",group="g1",listener="${await exportName(serving)}",provider="motan2"}`,
    ),
    0,
  );

  await backend.listen();
  await eventually('the service to be back', async () => (await announced()) === 'available');
});

async function exportName(agent: AgentProcess): Promise<string> {
  return (await agent.status()).listeners.find((one) => one.name.startsWith('export:'))!.name;
}

test('an agent that stops is no longer announced', async (t) => {
  const { serving, asking } = await two(t);
  await serving.get('/200');
  await eventually('the node', async () => (await nodesOf(asking)) === 1);

  assert.equal(await serving.stop(), 0);

  await eventually('the registry to be empty', async () => {
    const { registries } = (await asking.status()) as unknown as {
      registries: { subscribed: { nodes: number }[] }[];
    };
    return registries[0]!.subscribed[0]!.nodes === 0;
  });
});

test('a refer of a service of the same agent is connected at once', async (t) => {
  const home = await Home.make(t);
  const directory = home.path('registry');
  mkdirSync(directory);
  const backend = await startUpstream(t);
  const exportPort = await freePort();
  const config = {
    ...exporting(directory, exportPort, backend.port),
    'motan-registry': {
      shared: { protocol: 'file', path: directory },
      own: { protocol: 'direct', host: '127.0.0.1', port: exportPort },
    },
    'motan-refer': { hello: refer({ registry: 'own', connectRetryInterval: 60_000 }) },
  };

  const agent = await home.start(t, { config });

  const caller = await agent.caller(t);
  assert.equal((await call(caller, 1n)).versionStatus & 7, 0);
});
