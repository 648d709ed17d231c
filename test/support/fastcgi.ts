/** The other side of FastCGI as tests play it, without the code under test: requests read, answers made, a scripted backend. */
import net from 'node:net';
import { within } from './clock.js';

export interface ReadRequest {
  /** `type:content bytes`, in order. */
  readonly records: string[];
  readonly role: number;
  readonly flags: number;
  readonly params: Map<string, string>;
  readonly body: Buffer;
  /** True when both streams were closed by an empty record and nothing is left over. */
  readonly isComplete: boolean;
}

/** Reads one request out of all of its bytes, or as far as they go. With `wholePairs` as PHP reads: no pair may be cut by a record. */
export function readRequest(bytes: Buffer, options: { wholePairs?: boolean } = {}): ReadRequest {
  const records: string[] = [];
  const paramRecords: Buffer[] = [];
  const body: Buffer[] = [];
  let role = -1;
  let flags = -1;
  let paramsClosed = false;
  let stdinClosed = false;
  let at = 0;
  while (at + 8 <= bytes.length) {
    const type = bytes[at + 1]!;
    const size = bytes.readUInt16BE(at + 4);
    const end = at + 8 + size + bytes[at + 6]!;
    if (end > bytes.length) break;
    if (bytes[at] !== 1 || bytes.readUInt16BE(at + 2) !== 1) throw new Error(`bad record head at ${at}`);
    if (paramsClosed && type === 4) throw new Error('parameters after their end');
    if (stdinClosed) throw new Error('a record after the end of STDIN');
    const content = bytes.subarray(at + 8, at + 8 + size);
    records.push(`${type}:${size}`);
    if (type === 1) [role, flags] = [content.readUInt16BE(0), content[2]!];
    if (type === 4 && size === 0) paramsClosed = true;
    if (type === 4) paramRecords.push(content);
    if (type === 5 && size === 0) stdinClosed = true;
    if (type === 5) body.push(content);
    at = end;
  }
  const params = new Map<string, string>();
  const blocks = options.wholePairs ? paramRecords : [Buffer.concat(paramRecords)];
  if (paramsClosed) for (const block of blocks) readPairs(block, params);
  const isComplete = paramsClosed && stdinClosed && at === bytes.length;
  return { records, role, flags, params, body: Buffer.concat(body), isComplete };
}

function readPairs(block: Buffer, into: Map<string, string>): void {
  let at = 0;
  const size = (): number => {
    const first = block.readUInt8(at);
    if (first < 0x80) {
      at += 1;
      return first;
    }
    at += 4;
    return block.readUInt32BE(at - 4) & 0x7fffffff;
  };
  while (at < block.length) {
    const nameBytes = size();
    const valueBytes = size();
    const valueAt = at + nameBytes;
    if (valueAt + valueBytes > block.length) throw new Error('a pair is cut by its record');
    const name = block.toString('latin1', at, valueAt);
    if (into.has(name)) throw new Error(`parameter ${name} is there twice`);
    into.set(name, block.toString('latin1', valueAt, valueAt + valueBytes));
    at = valueAt + valueBytes;
  }
}

export function record(type: number, content: Buffer | string = '', padding = 0, id = 1): Buffer {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
  const head = Buffer.from([1, type, id >> 8, id & 0xff, bytes.length >> 8, bytes.length & 0xff, padding, 0]);
  return Buffer.concat([head, bytes, Buffer.alloc(padding)]);
}

/** STDOUT records; longer content over as many as it takes. */
export function stdout(content: Buffer | string, padding = 0): Buffer {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 0xffff)
    pieces.push(record(6, bytes.subarray(at, at + 0xffff), padding));
  return Buffer.concat(pieces);
}

export function stderr(content: Buffer | string): Buffer {
  return record(7, content);
}

export function endRequest(appStatus = 0, protocolStatus = 0): Buffer {
  const content = Buffer.alloc(8);
  content.writeUInt32BE(appStatus, 0);
  content[4] = protocolStatus;
  return record(3, content);
}

/** A whole answer, as PHP makes it. */
export function answer(body: Buffer | string, head = 'Content-type: text/html\r\n'): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  return Buffer.concat([stdout(Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), bytes])), endRequest()]);
}

/** A connection to the scripted backend. */
export class FcgiPeer {
  readonly socket: net.Socket;
  isClosed = false;
  /** The other side has said that it sends no more, or is gone. */
  hasLeft = false;
  readonly closed: Promise<void>;
  #received: Buffer[] = [];
  #onRequest: ((request: ReadRequest) => void) | null = null;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('error', () => undefined); // told by `closed`
    socket.on('data', (bytes) => {
      this.#received.push(bytes);
      this.#look();
    });
    socket.once('end', () => {
      this.hasLeft = true;
    });
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.isClosed = true;
        this.hasLeft = true;
        resolve();
      });
    });
  }

  get received(): Buffer {
    return Buffer.concat(this.#received);
  }

  /** The whole request that came or will come. */
  request(): Promise<ReadRequest> {
    const got = new Promise<ReadRequest>((resolve) => {
      this.#onRequest = resolve;
      this.#look();
    });
    return within('a whole FastCGI request', got);
  }

  send(...parts: Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** Ends the connection; what was sent still arrives. */
  end(): void {
    this.socket.end();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  #look(): void {
    if (this.#onRequest === null || this.#received.length === 0) return;
    const request = readRequest(this.received);
    if (!request.isComplete) return;
    const tell = this.#onRequest;
    this.#onRequest = null;
    tell(request);
  }
}

/** A FastCGI backend that does what a test says. Without a script its connections wait for `connection`. */
export class ScriptedFcgi {
  readonly peers: FcgiPeer[] = [];
  /** Most connections that were open at once. */
  openMax = 0;
  script: ((request: ReadRequest, peer: FcgiPeer) => void) | null = null;
  readonly #server = net.createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  readonly #queue: FcgiPeer[] = [];
  #waiters: ((peer: FcgiPeer) => void)[] = [];

  static async start(path?: string): Promise<ScriptedFcgi> {
    const backend = new ScriptedFcgi();
    await new Promise<void>((resolve, reject) => {
      backend.#server.once('error', reject);
      if (path === undefined) backend.#server.listen(0, '127.0.0.1', resolve);
      else backend.#server.listen(path, resolve);
    });
    return backend;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  get open(): number {
    return this.peers.filter((peer) => !peer.isClosed).length;
  }

  /** The next connection that was or will be accepted. */
  connection(): Promise<FcgiPeer> {
    const known = this.#queue.shift();
    if (known !== undefined) return Promise.resolve(known);
    const got = new Promise<FcgiPeer>((resolve) => {
      this.#waiters.push(resolve);
    });
    return within('a connection at the FastCGI backend', got);
  }

  async stop(): Promise<void> {
    for (const peer of this.peers) peer.socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #accept(socket: net.Socket): void {
    const peer = new FcgiPeer(socket);
    this.peers.push(peer);
    // A turn later: the end of the connection before may be told after the beginning of the next.
    setImmediate(() => {
      this.openMax = Math.max(this.openMax, this.peers.filter(({ hasLeft }) => !hasLeft).length);
    });
    socket.on('end', () => socket.end());
    if (this.script !== null) {
      const { script } = this;
      void peer.request().then(
        (request) => script(request, peer),
        () => undefined, // the caller ended it first
      );
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#queue.push(peer);
    else waiter(peer);
  }
}

/** Asks a real backend for one page, on a connection of its own; resolves with head and body of its output. */
export async function askFcgi(
  target: { port: number } | { path: string },
  params: Record<string, string>,
): Promise<string> {
  const socket = net.connect({ ...target, ...('port' in target ? { host: '127.0.0.1' } : {}) });
  const pairs = Object.entries(params).map(([name, value]) => {
    const sizes = Buffer.from([name.length, value.length]); // none of them reaches 128
    return Buffer.concat([sizes, Buffer.from(name + value, 'latin1')]);
  });
  const begin = record(1, Buffer.from([0, 1, 0, 0, 0, 0, 0, 0]));
  socket.write(Buffer.concat([begin, record(4, Buffer.concat(pairs)), record(4), record(5)]));
  const chunks: Buffer[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    socket.on('data', (bytes) => chunks.push(bytes));
    socket.once('end', resolve);
    socket.once('error', reject);
  });
  try {
    await within('the answer of a FastCGI backend', ended);
  } finally {
    socket.destroy();
  }
  return readOutput(Buffer.concat(chunks));
}

function readOutput(bytes: Buffer): string {
  let output = '';
  for (let at = 0; at + 8 <= bytes.length; ) {
    const size = bytes.readUInt16BE(at + 4);
    if (bytes[at + 1] === 6) output += bytes.toString('latin1', at + 8, at + 8 + size);
    at += 8 + size + bytes[at + 6]!;
  }
  return output;
}
