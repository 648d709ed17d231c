/** The registry contract on a real Redis, single and as a cluster; every test has keys of its own. */
import test from 'node:test';
import { registries } from '../../../src/control/registry/index.js';
import { MeshUrl, silentLogger } from '../../../src/core/index.js';
import { peerOrSkip } from '../../support/peers.js';
import { RedisCluster, redisPeer } from '../../support/redis-server.js';
import { registryContract } from '../../support/registry-contract.js';
import { realClock } from '../../support/registry-deps.js';
import { atEnd, shared } from '../support.js';
import { clientOf, clusterClientOf, startServer } from './scene.js';

const { name, available, hint } = redisPeer;

const single = shared(async () => {
  const server = await startServer();
  return { parameters: `address=${server.address}`, client: clientOf(server) };
});

const cluster = shared(async () => {
  const made = await RedisCluster.start();
  atEnd(() => made.close());
  return { parameters: `cluster=true&address=${made.addresses}`, client: clusterClientOf(made.servers) };
});

if (available) {
  for (const [kind, place] of [
    ['redis', single],
    ['redis cluster', cluster],
  ] as const) {
    let harnesses = 0;
    registryContract(kind, { announces: true }, async () => {
      const { parameters, client } = await place();
      harnesses += 1;
      const prefix = `contract-${harnesses}`;
      const url = MeshUrl.parse(`redis://:0/?keyPrefix=${prefix}&${parameters}`);
      const deps = { clock: realClock, logger: silentLogger, random: Math.random, defaultDirectory: '' };
      return {
        open: () => registries.redis.create('r1', url, deps),
        refer: (service) => new MeshUrl({ protocol: 'motan2', path: service, group: 'g1' }),
        addMalformed: async ({ group, path }) => {
          await client.sadd(`${prefix}:{${group}/${path}}:nodes`, 'motan2://10.0.0.1:1');
          await client.set(`${prefix}:{${group}/${path}}:node:motan2://10.0.0.1:1`, 'rubbish');
        },
        writeCommand: async (scope, text) => {
          const name = scope.kind === 'service' ? scope.group : `agent/${scope.application}`;
          const key = `${prefix}:{${name}}:command`;
          if (text === null) await client.del(key);
          else await client.set(key, text);
          await client.publish(`${key}:changed`, '');
        },
        close: async () => {},
      };
    });
  }
} else {
  test('redis registry fulfils the contract', (t) => void peerOrSkip(t, name, available, hint));
}
