/**
 * The two other sides of the agent, under full control of a test: an upstream that does what its script says, and a
 * caller that sends and reads raw bytes. Nothing here uses the code under test.
 */
import net from 'node:net';
import { within } from './clock.js';
import { type Frame, FrameCutter, HEARTBEAT, heartbeatReply, reply } from './frames.js';

/** A connection of a scripted peer: frames in, bytes out. */
export class PeerConnection {
  readonly socket: net.Socket;
  readonly frames: Frame[] = [];
  readonly closed: Promise<void>;
  /** Resolves when the other side has said that it sends no more. */
  readonly ended: Promise<void>;
  isClosed = false;
  hasEnded = false;
  bytesRead = 0;
  /** Bytes that are no frames; null while all were. */
  garbage: Error | null = null;
  readonly #cutter = new FrameCutter();
  readonly #queue: Frame[] = [];
  #waiter: ((frame: Frame) => void) | null = null;
  onFrame: ((frame: Frame) => void) | null = null;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => undefined); // told by `closed`
    socket.on('data', (bytes) => this.#onData(bytes));
    this.ended = new Promise((resolve) => {
      socket.once('end', () => {
        this.hasEnded = true;
        resolve();
      });
    });
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.isClosed = true;
        resolve();
      });
    });
  }

  send(...parts: Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** The next frame that came, or will come. */
  async next(withinMs = 5000): Promise<Frame> {
    const known = this.#queue.shift();
    if (known !== undefined) return known;
    const frame = new Promise<Frame>((resolve) => {
      this.#waiter = resolve;
    });
    return within('a frame', Promise.race([frame, this.#failWhenClosed()]), withinMs);
  }

  /** The next `count` frames, in the order in which they came. */
  async take(count: number, withinMs = 5000): Promise<Frame[]> {
    const frames: Frame[] = [];
    while (frames.length < count) frames.push(await this.next(withinMs));
    return frames;
  }

  /** Reads nothing more until `resume`. */
  halt(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Sends no more; still reads. */
  end(): void {
    this.socket.end();
  }

  /** Ends the connection at once. */
  close(): void {
    this.socket.destroy();
  }

  /** Ends it with a reset. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Resolves when nothing more can come from the other side. */
  async over(withinMs = 5000): Promise<void> {
    await within('the end of the connection', Promise.race([this.ended, this.closed]), withinMs);
  }

  async #failWhenClosed(): Promise<never> {
    await Promise.race([this.ended, this.closed]);
    throw new Error('the connection was closed while a frame was awaited');
  }

  #onData(bytes: Buffer): void {
    this.bytesRead += bytes.length;
    try {
      for (const frame of this.#cutter.push(bytes)) this.#onFrame(frame);
    } catch (error) {
      this.garbage ??= error as Error;
      this.socket.destroy();
    }
  }

  #onFrame(frame: Frame): void {
    if (this.onFrame !== null) {
      this.onFrame(frame);
      return;
    }
    this.frames.push(frame);
    const waiter = this.#waiter;
    this.#waiter = null;
    if (waiter !== null) waiter(frame);
    else this.#queue.push(frame);
  }
}

/** What an upstream does with a request. */
export type Script = (frame: Frame, connection: PeerConnection) => void;

/** Answers calls with `ok`, heartbeats with theirs. */
export const answerOk: Script = (frame, connection) => {
  const isHeartbeat = (frame.type & HEARTBEAT) !== 0;
  connection.send(isHeartbeat ? heartbeatReply(frame.id) : reply(frame.id));
};

/** Answers calls with their own body and heartbeats with theirs. */
export const echo: Script = (frame, connection) => {
  const isHeartbeat = (frame.type & HEARTBEAT) !== 0;
  connection.send(isHeartbeat ? heartbeatReply(frame.id) : reply(frame.id, { body: frame.body }));
};

/** Reads and never answers. */
export const silent: Script = () => undefined;

/** A node of the mesh as a test plays it. Without a script its requests wait for `expect`. */
export class ScriptedUpstream {
  readonly connections: PeerConnection[] = [];
  /** Every request that came, in order, over all connections. */
  readonly requests: Frame[] = [];
  #script: Script | null;
  #server: net.Server | null = null;
  #port = 0;
  #path: string | null = null;
  readonly #queue: [Frame, PeerConnection][] = [];
  #waiter: ((got: [Frame, PeerConnection]) => void) | null = null;
  #onConnection: ((connection: PeerConnection) => void) | null = null;
  /** Halts every accepted connection before a byte is read. */
  isHalted = false;
  keepsRequests = true;

  constructor(script: Script | null) {
    this.#script = script;
  }

  static async start(script: Script | null = null, path: string | null = null): Promise<ScriptedUpstream> {
    const upstream = new ScriptedUpstream(script);
    upstream.#path = path;
    await upstream.listen();
    return upstream;
  }

  get port(): number {
    return this.#port;
  }

  set script(script: Script) {
    this.#script = script;
  }

  get openConnections(): PeerConnection[] {
    return this.connections.filter((connection) => !connection.isClosed);
  }

  /** Listens, the second time on the port of the first. */
  async listen(): Promise<void> {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      if (this.#path !== null) server.listen(this.#path, resolve);
      else server.listen(this.#port, '127.0.0.1', resolve);
    });
    const address = server.address();
    this.#port = address !== null && typeof address !== 'string' ? address.port : 0;
  }

  /** The next request that no script took. */
  async expect(withinMs = 5000): Promise<[Frame, PeerConnection]> {
    const known = this.#queue.shift();
    if (known !== undefined) return known;
    const got = new Promise<[Frame, PeerConnection]>((resolve) => {
      this.#waiter = resolve;
    });
    return within('a request at the upstream', got, withinMs);
  }

  /** The next connection, beyond those that exist. */
  nextConnection(): Promise<PeerConnection> {
    return within(
      'a connection at the upstream',
      new Promise((resolve) => {
        this.#onConnection = resolve;
      }),
    );
  }

  /** Stops listening and ends all connections, as a process that dies. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    for (const connection of this.connections) connection.close();
    if (server === null) return;
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  #accept(socket: net.Socket): void {
    const connection = new PeerConnection(socket);
    if (this.isHalted) connection.halt();
    this.connections.push(connection);
    socket.on('end', () => socket.end());
    connection.onFrame = (frame) => this.#onRequest(frame, connection);
    this.#onConnection?.(connection);
    this.#onConnection = null;
  }

  #onRequest(frame: Frame, connection: PeerConnection): void {
    if (this.keepsRequests) this.requests.push(frame);
    if (this.#script !== null) {
      this.#script(frame, connection);
      return;
    }
    const waiter = this.#waiter;
    this.#waiter = null;
    if (waiter !== null) waiter([frame, connection]);
    else this.#queue.push([frame, connection]);
  }
}

export type Address = { readonly port: number } | { readonly path: string };

/** A caller of the agent. Half-open connections are allowed, as some callers use them. */
export async function connectPeer(
  address: Address,
  onBlocked?: (error: Error) => void,
): Promise<PeerConnection> {
  const target = 'port' in address ? { port: address.port, host: '127.0.0.1' } : { path: address.path };
  const socket = net.connect({ ...target, allowHalfOpen: true });
  const connection = new PeerConnection(socket);
  await within(
    'a connection to the agent',
    new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (error) => {
        onBlocked?.(error);
        reject(error);
      });
    }),
  );
  return connection;
}
