/** An HTTP listener on a port that the system chose, with everything behind it scripted, and callers that speak raw bytes. */
import assert from 'node:assert/strict';
import net from 'node:net';
import type { TestContext } from 'node:test';
import {
  type Call,
  type Failure,
  failed,
  type HttpDomain,
  type HttpSettings,
  type ListenerState,
  MeshUrl,
  Metadata,
  type MotanException,
  Reply,
  ReplyHead,
} from '../../../src/core/index.js';
import {
  type HttpExchange,
  type HttpHandler,
  HttpServer,
  type HttpServerDeps,
} from '../../../src/data/server/index.js';
import { IoLoop, rawStreamsWork } from '../../../src/data/transport/index.js';
import { realClock, until, within } from '../../support/clock.js';
import { RecordingLogger } from '../../support/plane.js';

export const HTTP_SETTINGS: HttpSettings = {
  keepalive: true,
  upstreamIdleMs: 5000,
  upstreamTimeoutMs: 5000,
  defaultDomain: '',
  bodyBytesMax: 10_000_000,
  headBytesMax: 4096,
  headTimeoutMs: 10_000,
  bodyTimeoutMs: 10_000,
  idleTimeoutMs: 10_000,
  allow: [],
  metadataAllow: [],
  ownHosts: ['localhost', '127.0.0.1'],
};

export interface ServerOptions {
  http?: Partial<HttpSettings>;
  callsMax?: number;
  frameBytesMax?: number;
  unixSock?: string;
  useRaw?: boolean;
  domains?: readonly HttpDomain[];
  deps?: Partial<Pick<HttpServerDeps, 'typedCalls' | 'directProxy' | 'connect' | 'routeRpc'>>;
}

/** What happens to calls of the bridge and of domains; by default they stay open. */
export type Service = (call: Call) => void;

export class ServerScene {
  readonly server: HttpServer;
  readonly loop: IoLoop;
  readonly logger = new RecordingLogger();
  /** Calls that came, oldest first. Bodies are copied, because views end. */
  readonly calls: { call: Call; body: Buffer }[] = [];
  service: Service | null = null;
  /** Faults that the test provokes. */
  faults = 0;
  readonly #callers: RawCaller[] = [];
  readonly #path: string | null;

  constructor(loop: IoLoop, useRaw: boolean, options: ServerOptions) {
    this.loop = loop;
    this.#path = options.unixSock ?? null;
    const state: ListenerState = {
      name: 'http',
      kind: 'http',
      host: '127.0.0.1',
      port: 0,
      unixSock: this.#path,
      frameBytesMax: options.frameBytesMax ?? 10_485_760,
      callsMax: options.callsMax ?? 50_000,
      http: { ...HTTP_SETTINGS, ...options.http },
    };
    const domains = new Map((options.domains ?? []).map((domain) => [domain.domain, domain]));
    this.server = new HttpServer(state, {
      loop,
      logger: this.logger,
      useRaw,
      connectionsMax: 1000,
      routeRpc: (call) => this.take(call),
      domains: (host) => domains.get(host) ?? null,
      typedCalls: null,
      directProxy: null,
      connect: null,
      ...options.deps,
    });
  }

  take(call: Call): void {
    this.calls.push({ call, body: Buffer.from(call.bytes.subarray(call.bodyStart, call.bodyEnd)) });
    this.service?.(call);
  }

  async caller(): Promise<RawCaller> {
    const target = this.#path === null ? { port: this.server.port, host: '127.0.0.1' } : { path: this.#path };
    const caller = await RawCaller.connect(target);
    this.#callers.push(caller);
    return caller;
  }

  /** Lets go of callers that have ended their connection. */
  forgetCallers(): void {
    this.#callers.length = 0;
  }

  /** Sends `request` on a connection of its own and gives the one answer. */
  async ask(request: string | Buffer, method = 'GET'): Promise<RawAnswer> {
    const caller = await this.caller();
    caller.send(request);
    const answer = await caller.answer(method);
    caller.close();
    return answer;
  }

  assertBalance(): void {
    const report = this.server.report();
    const { ok, failed: notServed, shed, inFlight, in: all } = report;
    assert.equal(all, ok + notServed + shed + inFlight, 'in = ok + failed + shed + inFlight');
    assert.ok(inFlight >= 0);
  }

  async calledTimes(count: number): Promise<void> {
    await until(`${count} calls`, () => this.calls.length >= count);
  }

  async close(): Promise<void> {
    for (const caller of this.#callers) caller.close();
    await until('all connections are closed', () => this.server.report().connections === 0);
    this.assertBalance();
    const faults = this.logger.entries.filter(({ level }) => level === 'error');
    assert.equal(faults.length, this.faults, JSON.stringify(faults));
    await this.server.drain(100);
    this.loop.close();
  }
}

/** A scene that is closed at the end of `t`, with the proof that its books balance. */
export async function serverScene(t: TestContext, options: ServerOptions = {}): Promise<ServerScene> {
  const loop = new IoLoop(realClock);
  const useRaw = options.useRaw ?? (await rawStreamsWork(loop));
  const scene = new ServerScene(loop, useRaw, options);
  await scene.server.listen();
  t.after(() => scene.close());
  return scene;
}

export interface RawAnswer {
  status: number;
  /** The head as text, without the blank line. */
  head: string;
  /** Lower-case name to value; repeated ones joined by a line feed. */
  fields: Map<string, string>;
  body: Buffer;
}

export class RawCaller {
  readonly socket: net.Socket;
  readonly #ended: Promise<void>;
  #pieces: Buffer[] = [];
  isEnded = false;
  /** Why the connection broke, when it did not end well. */
  error: Error | null = null;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.#pieces.push(bytes);
    });
    this.#ended = new Promise((resolve) => {
      const end = (): void => {
        this.isEnded = true;
        resolve();
      };
      socket.once('end', end);
      socket.once('close', end);
      socket.on('error', (error) => {
        this.error = error;
        end();
      });
    });
  }

  /** What was received and not taken. */
  get received(): Buffer {
    if (this.#pieces.length !== 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0]!;
  }

  static connect(target: net.NetConnectOpts): Promise<RawCaller> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ ...target, allowHalfOpen: true }, () => {
        socket.off('error', reject);
        resolve(new RawCaller(socket));
      });
      socket.once('error', reject);
    });
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** The next final answer, taken out of what was received. Fails when the connection ends before. */
  async answer(method = 'GET'): Promise<RawAnswer> {
    let found: RawAnswer | null = null;
    await until('an answer', () => {
      found = this.#take(method);
      if (found === null && this.isEnded)
        throw new Error(`ended instead of an answer: ${this.received.toString('latin1')}`);
      return found !== null;
    });
    return found!;
  }

  /** Waits for the end of the connection's other side; gives what was received and not taken. */
  async ended(): Promise<string> {
    await within('the end of the connection', this.#ended);
    return this.received.toString('latin1');
  }

  close(): void {
    this.socket.destroy();
  }

  #take(method: string): RawAnswer | null {
    const received = this.received;
    const headEnd = received.indexOf('\r\n\r\n');
    if (headEnd < 0) return null;
    const head = received.toString('latin1', 0, headEnd);
    const [line, ...rest] = head.split('\r\n');
    const fields = new Map<string, string>();
    for (const field of rest) {
      const [name, value] = [field.slice(0, field.indexOf(':')), field.slice(field.indexOf(':') + 1).trim()];
      const before = fields.get(name.toLowerCase());
      fields.set(name.toLowerCase(), before === undefined ? value : `${before}\n${value}`);
    }
    const status = Number(line!.split(' ')[1]);
    const found = this.#bodyFrom(headEnd + 4, status, fields, method);
    if (found === null) return null;
    this.#pieces = [received.subarray(found.end)];
    return { status, head, fields, body: found.body };
  }

  #bodyFrom(
    start: number,
    status: number,
    fields: Map<string, string>,
    method: string,
  ): { body: Buffer; end: number } | null {
    const none = { body: Buffer.alloc(0), end: start };
    if (method === 'HEAD' || status === 204 || status === 304 || status < 200) return none;
    if (fields.get('transfer-encoding') === 'chunked') return this.#chunksFrom(start);
    const length = fields.get('content-length');
    if (length !== undefined) {
      const end = start + Number(length);
      return this.received.length < end ? null : { body: this.received.subarray(start, end), end };
    }
    if (method === 'CONNECT') return none;
    return this.isEnded ? { body: this.received.subarray(start), end: this.received.length } : null;
  }

  #chunksFrom(start: number): { body: Buffer; end: number } | null {
    const pieces: Buffer[] = [];
    for (let at = start; ; ) {
      const lineEnd = this.received.indexOf('\r\n', at);
      if (lineEnd < 0) return null;
      const size = Number.parseInt(this.received.toString('latin1', at, lineEnd), 16);
      const end = lineEnd + 2 + size;
      if (this.received.length < end + 2) return null;
      assert.equal(this.received.toString('latin1', end, end + 2), '\r\n');
      if (size === 0) return { body: Buffer.concat(pieces), end: end + 2 };
      pieces.push(this.received.subarray(lineEnd + 2, end));
      at = end + 2;
    }
  }
}

/** One `simple` string or byte array. */
export function simple(value: string | Buffer, tag = typeof value === 'string' ? 1 : 3): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  const head = Buffer.alloc(5);
  head[0] = tag;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** The answer of a transparent service. */
export function httpValue(block: string, body: string | Buffer = ''): Buffer {
  const parts = Buffer.concat([simple(Buffer.from(block, 'latin1')), simple(Buffer.from(body))]);
  const head = Buffer.alloc(5);
  head[0] = 21;
  head.writeUInt32BE(parts.length, 1);
  return Buffer.concat([head, parts]);
}

export interface ValueOptions {
  metadata?: readonly (readonly [string, string])[];
  address?: string;
  serialization?: number;
}

/** Answers a call with a body as its node sends it. */
export function reply(call: Call, body: Buffer, options: ValueOptions = {}): void {
  const head = new ReplyHead(Metadata.of(options.metadata ?? []), null);
  const made = new Reply(null, head, null, 2, 1, 0x08, options.serialization ?? 0x30, body, 0, body.length);
  made.address = options.address ?? '';
  call.origin.onReply(call, made);
}

export function replyException(call: Call, exception: MotanException): void {
  const head = new ReplyHead(new Metadata(), exception);
  const none = Buffer.alloc(0);
  call.origin.onReply(call, new Reply(null, head, exception, 2, 1, 0x09, 0x30, none, 0, 0));
}

export function replyFailure(call: Call, cause: Failure): void {
  call.origin.onReply(call, failed(cause));
}

/** A domain whose service answers all paths below `/rpc`. */
export function domain(
  name: string,
  call: (service: string, call: Call) => void,
  parameters: Record<string, string> = { application: 'cli-app' },
): HttpDomain {
  const url = new MeshUrl({
    protocol: 'motan2',
    group: 'fg',
    parameters: new Map(Object.entries(parameters)),
  });
  return {
    domain: name,
    url,
    serviceOf: (path) => (path.startsWith('/rpc') ? 'svc.web' : null),
    call,
  };
}

/** A handler that remembers its exchanges and does with them what the test says; without that they stay open. */
export class RecordingHandler implements HttpHandler {
  readonly exchanges: HttpExchange[] = [];
  readonly #serve: ((exchange: HttpExchange) => void) | null;

  constructor(serve: ((exchange: HttpExchange) => void) | null = null) {
    this.#serve = serve;
  }

  handle(exchange: HttpExchange): void {
    this.exchanges.push(exchange);
    this.#serve?.(exchange);
  }

  get paths(): string[] {
    return this.exchanges.map((exchange) => exchange.target.path);
  }

  async handledTimes(count: number): Promise<void> {
    await until(`${count} requests at the handler`, () => this.exchanges.length >= count);
  }
}

/** Answers with what it was sent. */
export function echo(): RecordingHandler {
  const collector = {
    onBodyCollected(exchange: HttpExchange): void {
      const { body, bodyStart, bodyEnd } = exchange;
      exchange.respond(200, [], Buffer.from(body.subarray(bodyStart, bodyEnd)));
    },
  };
  return new RecordingHandler((exchange) => exchange.collectBody(64 * 1024 * 1024, collector));
}

/** Answers with the target of the request. */
export function tellTarget(): RecordingHandler {
  return new RecordingHandler((exchange) => exchange.respond(200, [], Buffer.from(exchange.head.target)));
}
