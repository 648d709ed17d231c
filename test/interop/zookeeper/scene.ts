/** What the tests with a real ZooKeeper share: registries on it, a session of the test's own, and a network in between that can be cut. */
import { once } from 'node:events';
import net from 'node:net';
import { registries } from '../../../src/control/registry/index.js';
import { ZooKeeperClient } from '../../../src/control/registry/zookeeper/client.js';
import type { JuteWriter } from '../../../src/control/registry/zookeeper/jute.js';
import { OP } from '../../../src/control/registry/zookeeper/messages.js';
import { Session } from '../../../src/control/registry/zookeeper/session.js';
import { MeshUrl, type Registry } from '../../../src/core/index.js';
import { RecordingLogger, realClock } from '../../support/registry-deps.js';
import { ZooKeeperServer } from '../../support/zookeeper-server.js';
import { atEnd, eventually } from '../support.js';

export const REFER = MeshUrl.parse('motan2://:0/com.x.Echo?group=g1');
export const SERVERS = '/motan/g1/com.x.Echo/server';
export const UNAVAILABLE = '/motan/g1/com.x.Echo/unavailableServer';
export const CLIENTS = '/motan/g1/com.x.Echo/client';

export const AGENT = MeshUrl.parse('motan2://127.0.0.1:8002/shop?group=shop&application=shop&nodeType=agent');

export function node(port: number, more = ''): MeshUrl {
  return MeshUrl.parse(`motan2://127.0.0.1:${port}/com.x.Echo?group=g1&nodeType=service${more}`);
}

export async function startServer(tickMs?: number): Promise<ZooKeeperServer> {
  const server = await ZooKeeperServer.start(tickMs === undefined ? {} : { tickMs });
  atEnd(() => server.close());
  return server;
}

/** A registry of the product; closed at the end. `logger` keeps what it says. */
export function openRegistry(
  address: string,
  parameters = '',
  lookEveryMs = 10_000,
): { readonly registry: Registry; readonly logger: RecordingLogger } {
  const logger = new RecordingLogger();
  const deps = {
    clock: realClock,
    random: Math.random,
    logger,
    defaultDirectory: '',
    localIp: '127.0.0.9',
    lookEveryMs,
  };
  const url = MeshUrl.parse(`zookeeper://:0/?registrySessionTimeout=2&address=${address}${parameters}`);
  const registry = registries.zookeeper.create('zk', url, deps);
  atEnd(() => registry.close());
  return { registry, logger };
}

/** The tree as the test itself sees and changes it. */
export class Tree {
  readonly client: ZooKeeperClient;
  readonly session: Session;

  private constructor(session: Session) {
    this.session = session;
    this.client = new ZooKeeperClient(session);
  }

  static async open(server: ZooKeeperServer, digest: string | null = null): Promise<Tree> {
    const servers = [{ host: '127.0.0.1', port: server.port }];
    const session = await new Promise<Session>((resolve) => {
      const made = new Session(
        { servers, timeoutMs: 4_000, digest },
        { clock: realClock, random: Math.random },
        { onUp: () => resolve(made), onDown: () => {}, onHeard: () => {} },
      );
      made.start();
    });
    atEnd(() => session.close());
    return new Tree(session);
  }

  async names(path: string): Promise<string[]> {
    return (await this.client.children(path, { kind: 'children', path, onWatch: () => {} })) ?? [];
  }

  async text(path: string): Promise<string | null> {
    const content = await this.client.content(path);
    return content === null ? null : content.data.toString('utf8');
  }

  /** Makes a node that stays, and its parents. */
  async write(path: string, data: string | Buffer): Promise<void> {
    const parent = path.slice(0, path.lastIndexOf('/'));
    if (parent !== '' && (await this.client.stat(parent)) === null) await this.write(parent, '');
    await this.create(path, data);
  }

  /** As it is, without parents. `acl`: digest identity that alone has all rights. */
  async create(path: string, data: string | Buffer, acl: string | null = null): Promise<void> {
    const write = (writer: JuteWriter): void => {
      writer.text(path).buffer(Buffer.from(data)).int(1).int(31);
      if (acl === null) writer.text('world').text('anyone').int(0);
      else writer.text('digest').text(acl).int(0);
    };
    await this.session.request(path, OP.create, write, () => {});
  }

  async delete(path: string): Promise<void> {
    await this.session.request(
      path,
      OP.delete,
      (writer) => writer.text(path).int(-1),
      () => {},
    );
  }

  async set(path: string, data: string | Buffer): Promise<void> {
    await this.session.request(
      path,
      5,
      (writer) => writer.text(path).buffer(Buffer.from(data)).int(-1),
      () => {},
    );
  }

  /** Waits until the children are these. */
  async until(path: string, names: readonly string[], withinMs = 10_000): Promise<void> {
    const wanted = [...names].sort().join();
    await eventually(`${path} holds ${wanted || 'nothing'}`, withinMs, async () => {
      return (await this.names(path)).sort().join() === wanted;
    });
  }
}

/** A network between a registry and its server that refuses, or swallows, what goes through it. */
export class Wire {
  readonly port: number;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  /** That went through to the server, since the beginning. */
  connections = 0;
  #mode: 'open' | 'refusing' | 'black-holed' = 'open';

  private constructor(server: net.Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async to(port: number): Promise<Wire> {
    const server = net.createServer((near) => wire.#join(near, port)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const wire: Wire = new Wire(server, (server.address() as net.AddressInfo).port);
    atEnd(async () => wire.#close());
    return wire;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Ends what is open, and every new connection at once. */
  refuse(): void {
    this.#mode = 'refusing';
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Swallows all bytes; new connections are accepted, and swallowed too. */
  blackHole(): void {
    this.#mode = 'black-holed';
    for (const socket of this.#sockets) socket.unpipe().resume();
  }

  /** As a healed network: what was swallowed is lost, so those connections are dead. */
  heal(): void {
    const wasBlackHoled = this.#mode === 'black-holed';
    this.#mode = 'open';
    if (wasBlackHoled) for (const socket of this.#sockets) socket.destroy();
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(near: net.Socket, port: number): void {
    this.#keep(near);
    if (this.#mode === 'refusing') {
      near.destroy();
      return;
    }
    if (this.#mode === 'black-holed') {
      near.resume();
      return;
    }
    const far = net.connect(port, '127.0.0.1');
    this.#keep(far);
    this.connections += 1;
    near.pipe(far);
    far.pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  }

  #keep(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {}); // an end like any other
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #close(): void {
    this.#server.close();
    this.cut();
  }
}
