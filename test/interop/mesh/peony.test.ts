/** Another Peony as the registry of Peony: named by the id of its registry, and by what motan-go would take. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type Agent, type AgentConfig, SERVICE, startPeony } from '../agent.js';
import { goCallUntil, motanGo, startGoServer } from '../motan-go/peers.js';
import { eventually, freePort, makeFolder, peerTest } from '../support.js';

const WAIT_MS = 20_000;

async function registeredAt(other: Agent): Promise<{ port: number; parameters: Record<string, string> }[]> {
  const { body } = JSON.parse(await other.management('/registry/list')) as {
    body: { register_nodes: { port: number; parameters: Record<string, string> }[] };
  };
  return body.register_nodes;
}

peerTest('a service and a refer of ours go through another Peony', [motanGo], async () => {
  const folder = makeFolder();
  const [exportPort, ownPort] = [await freePort(), await freePort()];
  const otherConfig: AgentConfig = {
    'motan-agent': { eport: exportPort, runtime_dir: join(folder, 'runtime') },
    'motan-registry': { shared: { protocol: 'file', path: join(folder, 'registry') } },
  };
  const other = await startPeony(otherConfig);
  await other.management('/200');
  const mesh = (proxyRegistry: string): AgentConfig => ({
    'motan-registry': {
      other: { protocol: 'mesh', address: `127.0.0.1:${other.managementPort}`, proxyRegistry },
    },
  });
  const entry = { path: SERVICE, group: 'mesh-peony', protocol: 'motan2', registry: 'other' };
  const { at } = await startGoServer({ group: 'mesh-peony' });
  const service = { ...entry, provider: 'motan2', proxy: `motan2:${at}`, export: `motan2:${ownPort}` };
  const exporting = await startPeony({ ...mesh('shared'), 'motan-service': { echo: service } });
  const calling = await startPeony({
    ...mesh('file://:0'),
    'motan-refer': { echo: { ...entry, requestTimeout: 2000, connectRetryInterval: 200 } },
  });

  await exporting.management('/200');
  const call = { at: calling.port, group: 'mesh-peony' };
  const answer = await goCallUntil('a call arrives', WAIT_MS, call, ({ ok }) => ok);
  const registered = await registeredAt(other);
  await exporting.management('/503');
  await eventually('it is taken out', WAIT_MS, async () => (await registeredAt(other)).length === 0);

  assert.equal(answer.value, 'hello again from go');
  assert.deepEqual(
    registered.map(({ parameters }) => parameters.proxy),
    [`motan2:${ownPort}`],
  );
});
