/** Peony and Motan Java at one Consul agent. */
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { consulPeer } from '../../support/consul-server.js';
import { type AgentConfig, SERVICE, startPeony } from '../agent.js';
import { goCallUntil, motanGo } from '../motan-go/peers.js';
import { javaSuite, motanJava, startJavaServer } from '../motan-java/peers.js';
import { eventually, freePort, peerTest, shared } from '../support.js';
import { registered, startServer } from './scene.js';

const WAIT_MS = 30_000;

/** Motan Java does not list itself under a loopback address. */
const ownHost = Object.values(networkInterfaces())
  .flat()
  .find((one) => one !== undefined && one.family === 'IPv4' && !one.internal)?.address;
const ownAddress = {
  name: 'an address',
  available: ownHost !== undefined,
  hint: 'needs an IPv4 address of this machine that is not loopback',
};

const place = shared(() => startServer());

function sections(address: string): AgentConfig {
  return { 'motan-registry': { consul: { protocol: 'consul', address } } };
}

peerTest(
  'a Java server is found, with the parameters that it wrote, and called',
  [consulPeer, motanJava, motanGo, ownAddress],
  async () => {
    const { address } = await place();
    const group = 'java-server';
    const refer = { path: SERVICE, group, protocol: 'motan2', registry: 'consul', requestTimeout: 2000 };
    const peony = await startPeony({ ...sections(address), 'motan-refer': { echo: refer } });

    await startJavaServer([{ protocol: 'motan2', serialization: 'simple', group }], {
      protocol: 'consul',
      address,
      host: ownHost!,
    });
    const call = { at: peony.port, group };
    const answer = await goCallUntil('the Java server is found', WAIT_MS, call, ({ ok }) => ok);

    assert.equal(answer.value, 'hello again from java');
  },
);

peerTest(
  'a Java client finds an export of ours, and one in two groups on one port in both',
  [consulPeer, motanJava, ownAddress],
  async () => {
    const server = await place();
    const groups = ['java-client', 'java-client-2'];
    const [group, second] = groups as [string, string];
    const backend = await startJavaServer([{ protocol: 'motan2', serialization: 'simple', group }]);
    const exportPort = await freePort();
    const service = {
      path: SERVICE,
      protocol: 'motan2',
      registry: 'consul',
      provider: 'motan2',
      proxy: `motan2:${backend.ports[0]}`,
      requestTimeout: 2000,
      serialization: 'simple',
      export: `motan2:${exportPort}`,
    };
    const peony = await startPeony({
      ...sections(server.address),
      'motan-service': { one: { ...service, group }, two: { ...service, group: second } },
    });
    await peony.management('/200');
    await eventually('both groups are registered', WAIT_MS, async () => {
      const states = [...(await registered(server))].filter(([id]) => id.includes(`:${exportPort}-`));
      return states.length === 2 && states.every(([, state]) => state === 'passing');
    });

    const refers = groups.map((name) => ({
      protocol: 'motan2' as const,
      serialization: 'simple' as const,
      group: name,
      port: 0,
    }));
    const results = await javaSuite('java', refers, {
      protocol: 'consul',
      address: server.address,
      host: ownHost!,
    });

    assert.ok(groups.every((name) => results.some(({ refer }) => refer.includes(`:${name}:`))));
  },
);
