/**
 * Clients of the package ioredis, as this registry wants them: they connect once, send nothing twice, keep nothing for later, and give up
 * a server that is silent. Connecting again is `KeptConnection`'s.
 */
import type { Cluster, Redis } from 'ioredis';

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** Where the server is, and how to be let in. */
export interface RedisSettings {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  /** The server; the Sentinels; some nodes of the cluster. */
  readonly servers: readonly ServerAddress[];
  /** How the Sentinels call what they watch; empty without. */
  readonly masterName: string;
  /** Empty texts are not sent. */
  readonly username: string;
  readonly password: string;
  readonly sentinelUsername: string;
  readonly sentinelPassword: string;
  readonly db: number;
  /** Null: in the clear. `ca` null: the certificates that Node trusts. */
  readonly tls: { readonly ca: string | null } | null;
}

/** What is taken from the package. */
export interface RedisClasses {
  readonly Redis: typeof Redis;
  readonly Cluster: typeof Cluster;
}

const CONNECT_MS_MAX = 3_000;
/** An answer takes no longer from a server that is alive. */
const SILENT_MS_MAX = 3_000;
const SENTINEL_ANSWER_MS_MAX = 2_000;
const KEEP_ALIVE_MS = 10_000;
/** A cluster that is changing asks for patience; more of it than this is a failure. */
const REDIRECTIONS_MAX = 8;

/** For commands: the server, the master, or the whole cluster. */
export function makeClient(classes: RedisClasses, settings: RedisSettings): Redis | Cluster {
  if (settings.kind !== 'cluster') return makeOne(classes, settings, settings.servers[0]!);
  const cluster = new classes.Cluster([...settings.servers], {
    redisOptions: optionsOf(settings),
    ...(settings.tls === null ? {} : { dnsLookup: (name, done) => done(null, name) }),
    lazyConnect: true,
    enableOfflineQueue: false,
    clusterRetryStrategy: () => null,
    maxRedirections: REDIRECTIONS_MAX,
  });
  cluster.on('+node', hearAllErrors);
  return cluster;
}

/** For one server of those that there are: a channel is heard on each server of a cluster. */
export function makeOne(classes: RedisClasses, settings: RedisSettings, server: ServerAddress): Redis {
  const options = {
    ...optionsOf(settings),
    db: settings.db,
    enableOfflineQueue: false,
    retryStrategy: () => null,
    ...(settings.kind === 'sentinel' ? sentinelOptionsOf(settings) : server),
  };
  const client = new classes.Redis(options);
  hearAllErrors(client);
  return client;
}

function sentinelOptionsOf({ servers, masterName, sentinelUsername, sentinelPassword, tls }: RedisSettings) {
  return {
    sentinels: [...servers],
    name: masterName,
    ...(sentinelUsername === '' ? {} : { sentinelUsername }),
    ...(sentinelPassword === '' ? {} : { sentinelPassword }),
    ...(tls === null ? {} : { sentinelTLS: tlsOptionsOf(tls), enableTLSForSentinelMode: true }),
    sentinelCommandTimeout: SENTINEL_ANSWER_MS_MAX,
    sentinelRetryStrategy: () => null,
    // Who was the master answers on, but takes no writes. (The Sentinels also end the connections to it.)
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  };
}

/**
 * ioredis hears one error of a socket. One that is closed during a TLS handshake with a server that is not trusted has two, and one that
 * nobody hears ends the process.
 */
function hearAllErrors(client: Redis): void {
  const hear = (): void => {
    client.stream?.on('error', () => {
      // The first one, or the end, is told by the client.
    });
  };
  client.on('connecting', () => setImmediate(hear));
  client.on('connect', hear);
}

function optionsOf({ username, password, tls }: RedisSettings) {
  return {
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
    ...(tls === null ? {} : { tls: tlsOptionsOf(tls) }),
    // All servers and proxies speak version 2; it is enough for us.
    protocol: 2 as const,
    lazyConnect: true,
    disableClientInfo: true,
    connectionName: 'peony',
    connectTimeout: CONNECT_MS_MAX,
    socketTimeout: SILENT_MS_MAX,
    keepAlive: KEEP_ALIVE_MS,
    maxRetriesPerRequest: 0,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxLoadingRetryTime: 1_000,
  };
}

function tlsOptionsOf({ ca }: NonNullable<RedisSettings['tls']>): { ca?: string } {
  return ca === null ? {} : { ca };
}
