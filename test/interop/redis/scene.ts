/** What the tests with a real Redis share: registries on it, a client of the test's own, and how the servers are named in an entry. */
import { Cluster, Redis } from 'ioredis';
import { registries } from '../../../src/control/registry/index.js';
import { MeshUrl, type Registry } from '../../../src/core/index.js';
import { RedisServer, type RedisServerOptions } from '../../support/redis-server.js';
import { type Watch, Watch as WatchOf } from '../../support/registry-contract.js';
import { RecordingLogger, realClock } from '../../support/registry-deps.js';
import { atEnd } from '../support.js';

export const REFER = MeshUrl.parse('motan2://:0/com.x.Echo?group=g1');
export const NODES = 'peony:{g1/com.x.Echo}:nodes';
export const CHANNEL = 'peony:{g1/com.x.Echo}:changed';

export function node(port: number, more = ''): MeshUrl {
  return MeshUrl.parse(`motan2://127.0.0.1:${port}/com.x.Echo?group=g1&nodeType=service${more}`);
}

export function nameOf(port: number): string {
  return `motan2://127.0.0.1:${port}`;
}

export function keyOf(port: number): string {
  return `peony:{g1/com.x.Echo}:node:${nameOf(port)}`;
}

export async function startServer(options?: RedisServerOptions): Promise<RedisServer> {
  const server = await RedisServer.start(options);
  atEnd(() => server.close());
  return server;
}

/** A registry of the product; closed at the end. `logger` keeps what it says. */
export function openRegistry(parameters: string): {
  readonly registry: Registry;
  readonly logger: RecordingLogger;
} {
  const logger = new RecordingLogger();
  const deps = { clock: realClock, random: Math.random, logger, defaultDirectory: '' };
  const url = MeshUrl.parse(`redis://:0/?leaseTime=3&lookInterval=1&${parameters}`);
  const registry = registries.redis.create('redis', url, deps);
  atEnd(() => registry.close());
  return { registry, logger };
}

export function on(server: RedisServer): string {
  return `address=${server.address}`;
}

export function watchOn(registry: Registry, refer = REFER): Watch {
  const watch = new WatchOf();
  watch.subscription = registry.subscribe(refer, watch);
  return watch;
}

/** A client of the test's own, that goes on when the server was away. */
export function clientOf(server: RedisServer, password?: string): Redis {
  const client = new Redis({ port: server.port, ...(password === undefined ? {} : { password }) });
  client.on('error', () => {}); // servers go away in these tests
  atEnd(async () => client.disconnect());
  return client;
}

export function clusterClientOf(servers: readonly RedisServer[]): Cluster {
  const client = new Cluster(servers.map(({ port }) => ({ host: '127.0.0.1', port })));
  client.on('error', () => {}); // servers go away in these tests
  atEnd(async () => client.disconnect());
  return client;
}
