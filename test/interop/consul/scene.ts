/** What the tests with a real Consul share: registries on it with short intervals, what stands in it, and a slow network in between. */
import { once } from 'node:events';
import net from 'node:net';
import { ConsulDriver, type ConsulOptions } from '../../../src/control/registry/consul/consul-driver.js';
import { ServerRegistry } from '../../../src/control/registry/server/server-registry.js';
import { MeshUrl, type Registry } from '../../../src/core/index.js';
import { ConsulServer, type ConsulServerOptions } from '../../support/consul-server.js';
import { Watch } from '../../support/registry-contract.js';
import { RecordingLogger, realClock } from '../../support/registry-deps.js';
import { atEnd, eventually } from '../support.js';

/** A thirtieth of the real ones, and a second more for the server's own pace. */
export const TIMES = { ttlMs: 2_000, beatMs: 700, waitMs: 1_000, requestTimeoutMs: 500 };
export const REFER = MeshUrl.parse('motan2://:0/com.x.Echo?group=g1');

export function node(port: number, more = ''): MeshUrl {
  return MeshUrl.parse(`motan2://127.0.0.1:${port}/com.x.Echo?group=g1&nodeType=service${more}`);
}

export async function startServer(options?: ConsulServerOptions): Promise<ConsulServer> {
  const server = await ConsulServer.start(options);
  atEnd(() => server.close());
  return server;
}

export interface OpenRegistry {
  readonly registry: Registry;
  /** What it says. */
  readonly logger: RecordingLogger;
}

/** A registry of the product; closed at the end. */
export function openRegistry(addresses: readonly string[], more: Partial<ConsulOptions> = {}): OpenRegistry {
  const logger = new RecordingLogger();
  const deps = { clock: realClock, random: Math.random, logger };
  const servers = addresses.map((address) => {
    const [host, port] = address.split(':');
    return { host: host!, port: Number(port) };
  });
  const options = { servers, isSecure: false, token: '', datacenter: '', times: TIMES, ...more };
  const driver = new ConsulDriver(options, deps);
  const registry = new ServerRegistry('c', 'consul', driver, { ...deps, lookEveryMs: 500 });
  atEnd(() => registry.close());
  return { registry, logger };
}

export function watch({ registry }: OpenRegistry, refer = REFER): Watch {
  const made = new Watch();
  made.subscription = registry.subscribe(refer, made);
  return made;
}

/** Service id to the state of its check, of all that is registered there. */
export async function registered(server: ConsulServer): Promise<ReadonlyMap<string, string>> {
  const checks = (await server.ask('GET', 'agent/checks')) as Record<
    string,
    { ServiceID: string; Status: string }
  >;
  return new Map(Object.values(checks).map(({ ServiceID, Status }) => [ServiceID, Status]));
}

/** Waits until exactly these are registered, each with its state. */
export async function untilRegistered(
  server: ConsulServer,
  wanted: Readonly<Record<string, string>>,
  withinMs = 10_000,
): Promise<void> {
  const text = JSON.stringify(Object.entries(wanted).sort());
  await eventually(`${text} is registered`, withinMs, async () => {
    try {
      return JSON.stringify([...(await registered(server))].sort()) === text;
    } catch {
      return false; // it does not answer at the moment
    }
  });
}

/** Registers something by hand. */
export async function addEntry(
  server: ConsulServer,
  id: string,
  tags: readonly string[],
  more: object = {},
): Promise<void> {
  await server.ask('PUT', 'agent/service/register', {
    ID: id,
    Name: 'motanrpc_g1',
    Tags: tags,
    Address: '127.0.0.1',
    Port: 7001,
    ...more,
  });
}

/** A server on a port of its own that treats every connection in this way; ended with its connections. */
export async function listen(onConnection: (socket: net.Socket) => void): Promise<string> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}); // an end like any other
    socket.on('close', () => sockets.delete(socket));
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

/** A network in between that can be cut. */
export class CuttableWire {
  readonly address: string;
  readonly #sockets: Set<net.Socket>;

  private constructor(address: string, sockets: Set<net.Socket>) {
    this.address = address;
    this.#sockets = sockets;
  }

  static async to(port: number): Promise<CuttableWire> {
    const sockets = new Set<net.Socket>();
    const address = await listen((near) => {
      const far = net.connect(port, '127.0.0.1');
      far.on('error', () => {}); // an end like any other
      sockets.add(near);
      near.pipe(far);
      far.pipe(near);
      near.on('close', () => {
        sockets.delete(near);
        far.destroy();
      });
      far.on('close', () => near.destroy());
    });
    return new CuttableWire(address, sockets);
  }

  /** Waits for a connection, and ends all. */
  async cutNext(): Promise<void> {
    await eventually('there is a connection', 20_000, async () => this.#sockets.size > 0);
    const cut = [...this.#sockets];
    for (const socket of cut) socket.destroy();
    await eventually('they are gone', 5_000, async () => cut.every((socket) => !this.#sockets.has(socket)));
  }
}

/** A network on which every packet to the server takes `delayMs`. */
export async function slowTo(server: ConsulServer, delayMs: number): Promise<string> {
  return await listen((near) => {
    const far = net.connect(server.port, '127.0.0.1');
    far.on('error', () => {}); // as above
    near.on('data', (chunk) => setTimeout(() => far.write(chunk), delayMs));
    far.pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
}

/** As an operator or motan-manager does; null deletes the key. */
export async function writeKey(server: ConsulServer, key: string, text: string | null): Promise<void> {
  const url = `http://${server.address}/v1/kv/${key}`;
  const answer = await fetch(url, text === null ? { method: 'DELETE' } : { method: 'PUT', body: text });
  if ((await answer.text()).trim() !== 'true') throw new Error(`${key} was not written: ${answer.status}`);
}
