/** Redis for the fault matrix. Leases last three seconds, and are renewed every second. */
import type { Redis } from 'ioredis';
import { MeshUrl } from '../../../src/core/index.js';
import { type RedisServer, redisPeer } from '../../support/redis-server.js';
import { clientOf, keyOf, NODES, nameOf, startServer } from '../redis/scene.js';
import {
  CROWD,
  crowdUrl,
  inSlices,
  nodeUrl,
  type RegistryKind,
  type RegistryUnderTest,
  SERVICE,
  upTo,
} from './registry-under-test.js';
import type { Wire } from './wire.js';

const CHANNEL = NODES.replace(/nodes$/, 'changed');
const CROWD_TAG = `peony:{${CROWD}/${CROWD}}`;
const LEASE_S = 3;

/** Values that no node has: no JSON, other JSON, a url of somebody else, a Java object, another protocol. */
const RUBBISH: readonly (string | Buffer)[] = [
  'motan2://',
  '{"url":',
  '[]',
  'null',
  '{"url":7}',
  '{"url":"motan2://127.0.0.1:1/com.x.Other?group=g1"}',
  `{"url":"motan2://127.0.0.1/${SERVICE}?group=g1"}`,
  Buffer.from('aced0005740005', 'hex'),
  `{"url":"dubbo://127.0.0.1:1/${SERVICE}?group=g1","availability":"perhaps"}`,
];

class RedisUnderTest implements RegistryUnderTest {
  readonly intervalMs = (LEASE_S * 1000) / 3;
  readonly lapseMs = LEASE_S * 1000;
  readonly #server: RedisServer;
  readonly #client: Redis;

  constructor(server: RedisServer) {
    this.#server = server;
    this.#client = clientOf(server);
  }

  get port(): number {
    return this.#server.port;
  }

  entry(address: string): Record<string, unknown> {
    return { protocol: 'redis', address, leaseTime: LEASE_S, lookInterval: 1 };
  }

  kill(): Promise<void> {
    return this.#server.kill();
  }

  restart(options: { readonly isWiped: boolean }): Promise<void> {
    return this.#server.restart(options);
  }

  pause(): void {
    this.#server.pause();
  }

  resume(): void {
    this.#server.resume();
  }

  async addresses(): Promise<readonly string[]> {
    const keys = (await this.#client.smembers(NODES)).map((name) => keyOf(Number(name.split(':').pop())));
    if (keys.length === 0) return [];
    const texts = await this.#client.mget(...keys);
    return texts
      .filter((text) => text?.includes('"available"'))
      .map((text) => new URL(JSON.parse(text!).url.replace('motan2:', 'http:')).host);
  }

  async isListed(group: string, path: string): Promise<boolean> {
    const tag = `peony:{${group}/${path}}`;
    const names = await this.#client.smembers(`${tag}:nodes`);
    const texts = await Promise.all(names.map((name) => this.#client.get(`${tag}:node:${name}`)));
    return texts.some((text) => text !== null && !text.includes('"unavailable"'));
  }

  async list(port: number): Promise<void> {
    const text = JSON.stringify({ url: nodeUrl(port) });
    const name = nameOf(port);
    await this.#client.multi().set(keyOf(port), text).sadd(NODES, name).publish(CHANNEL, name).exec();
  }

  async unlist(port: number): Promise<void> {
    const name = nameOf(port);
    await this.#client.multi().del(keyOf(port)).srem(NODES, name).publish(CHANNEL, name).exec();
  }

  async empty(): Promise<void> {
    await this.#client.flushall();
  }

  async addRubbish(count: number): Promise<void> {
    const pipeline = this.#client.pipeline();
    for (const index of upTo(count)) {
      const name = `odd-${index}`;
      pipeline.set(NODES.replace(/nodes$/, `node:${name}`), RUBBISH[index % RUBBISH.length]!);
      pipeline.sadd(NODES, name).publish(CHANNEL, name);
    }
    await pipeline.exec();
  }

  async removeRubbish(): Promise<void> {
    const odd = (await this.#client.smembers(NODES)).filter((name) => name.startsWith('odd-'));
    const pipeline = this.#client.pipeline();
    for (const name of odd) pipeline.del(NODES.replace(/nodes$/, `node:${name}`)).srem(NODES, name);
    await pipeline.publish(CHANNEL, '').exec();
  }

  async listCrowd(count: number, weight: number): Promise<void> {
    await inSlices(upTo(count), 1_000, (some) => {
      const pipeline = this.#client.pipeline();
      for (const index of some) {
        const name = nameOf(10_000 + index);
        pipeline.set(`${CROWD_TAG}:node:${name}`, JSON.stringify({ url: crowdUrl(index, weight) }));
        pipeline.sadd(`${CROWD_TAG}:nodes`, name).publish(`${CROWD_TAG}:changed`, name);
      }
      return pipeline.exec();
    });
  }

  async listUrls(urls: readonly string[]): Promise<void> {
    await inSlices(urls, 1_000, (some) => {
      const pipeline = this.#client.pipeline();
      for (const text of some) {
        const { group, path, address } = MeshUrl.parse(text);
        const tag = `peony:{${group}/${path}}`;
        pipeline.set(`${tag}:node:motan2://${address}`, JSON.stringify({ url: text }));
        pipeline.sadd(`${tag}:nodes`, `motan2://${address}`);
      }
      return pipeline.exec();
    });
  }

  async lockOut(wires: readonly Wire[]): Promise<() => Promise<void>> {
    const closed = await startServer({ password: 'right-word' });
    for (const wire of wires) wire.lead(closed.port);
    return () => closed.close();
  }
}

export const redis: RegistryKind = {
  name: 'redis',
  peer: redisPeer,
  start: async () => new RedisUnderTest(await startServer({ isPersistent: true })),
};
