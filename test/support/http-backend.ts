/**
 * An HTTP server that says exactly the bytes of its script, and remembers what it was sent. Nothing here uses the code under test.
 */
import net from 'node:net';
import { until } from './clock.js';

export interface BackendRequest {
  /** Request line and fields, latin1, without the blank line. */
  readonly head: string;
  readonly body: Buffer;
  /** Number of its connection, from 0. */
  readonly connection: number;
}

export class BackendConnection {
  readonly socket: net.Socket;
  readonly number: number;
  isClosed = false;
  #bytes: Buffer = Buffer.alloc(0);
  /** What came behind `#bytes`: joined when it may be enough for a request, so that large ones are not copied with each piece. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  #wantedBytes = 0;

  constructor(socket: net.Socket, number: number) {
    this.socket = socket;
    this.number = number;
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** Sends no more, in the ordinary way. */
  end(): void {
    this.socket.end();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** The whole requests among the bytes so far. */
  take(bytes: Buffer): BackendRequest[] {
    this.#parts.push(bytes);
    this.#partBytes += bytes.length;
    if (this.#bytes.length + this.#partBytes < this.#wantedBytes) return [];
    this.#bytes = Buffer.concat([this.#bytes, ...this.#parts]);
    this.#parts = [];
    this.#partBytes = 0;
    this.#wantedBytes = 0;
    const requests: BackendRequest[] = [];
    for (;;) {
      const headEnd = this.#bytes.indexOf('\r\n\r\n');
      if (headEnd < 0) return requests;
      const head = this.#bytes.toString('latin1', 0, headEnd);
      const length = Number(/\r\nContent-Length: *(\d+)/i.exec(head)?.[1] ?? 0);
      const isChunked = /\r\nTransfer-Encoding: *chunked/i.test(head);
      const end = isChunked ? this.#bytes.indexOf('0\r\n\r\n') + 5 : headEnd + 4 + length;
      if (this.#bytes.length < end || end < headEnd + 4) {
        if (!isChunked) this.#wantedBytes = end;
        return requests;
      }
      const body = Buffer.from(this.#bytes.subarray(headEnd + 4, end));
      this.#bytes = this.#bytes.subarray(end);
      requests.push({ head, body, connection: this.number });
    }
  }
}

export type BackendScript = (request: BackendRequest, connection: BackendConnection) => void;

export class HttpBackend {
  readonly requests: BackendRequest[] = [];
  readonly connections: BackendConnection[] = [];
  script: BackendScript;
  readonly #server: net.Server;
  readonly #path: string | null;

  private constructor(script: BackendScript, path: string | null) {
    this.script = script;
    this.#path = path;
    this.#server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
      const connection = new BackendConnection(socket, this.connections.length);
      this.connections.push(connection);
      socket.on('error', () => undefined); // told by `isClosed`
      socket.on('close', () => {
        connection.isClosed = true;
      });
      socket.on('end', () => socket.end());
      socket.on('data', (bytes) => {
        for (const request of connection.take(bytes)) {
          this.requests.push(request);
          this.script(request, connection);
        }
      });
    });
  }

  static async start(script: BackendScript, path: string | null = null): Promise<HttpBackend> {
    const backend = new HttpBackend(script, path);
    await new Promise<void>((resolve) => {
      backend.#server.listen(path !== null ? { path } : { port: 0, host: '127.0.0.1' }, resolve);
    });
    return backend;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** As `proxyAddress` has it. */
  get address(): string {
    return this.#path !== null ? `unix://${this.#path}` : `127.0.0.1:${this.port}`;
  }

  get openConnections(): number {
    return this.connections.filter((connection) => !connection.isClosed).length;
  }

  async request(index: number): Promise<BackendRequest> {
    await until(`request ${index}`, () => this.requests.length > index);
    return this.requests[index]!;
  }

  async stop(): Promise<void> {
    for (const connection of this.connections) connection.socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** An answer with a length, and further fields. */
export function answerText(status: number, body: string, fields = ''): string {
  return `HTTP/1.1 ${status} Some\r\nContent-Length: ${Buffer.byteLength(body, 'latin1')}\r\n${fields}\r\n${body}`;
}

/** Answers every request with its own body. */
export const echoBody: BackendScript = (request, connection) => {
  connection.send(answerText(200, request.body.toString('latin1')));
};
