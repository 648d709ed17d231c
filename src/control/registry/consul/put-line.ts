/**
 * Small requests without a body over one connection, many with one write: an agent with a thousand services marks fifty checks a second for ever,
 * and takes all services out when it ends. What costs is not the mark but the request around it.
 *
 *   put, put, put --end of the turn--> one write --> answers in the order of the requests
 *
 * An answer that cannot be read, or does not come in time, ends the connection, and every request on it has failed; the next one connects anew.
 */
import net from 'node:net';
import tls from 'node:tls';

/** Requests without an answer; more wait. */
const OPEN_MAX = 128;
const HEAD_BYTES_MAX = 16 * 1024;
const BODY_BYTES_MAX = 64 * 1024;
const END_OF_HEAD = Buffer.from('\r\n\r\n');
const NO_BYTES = Buffer.alloc(0);

export interface PutLineOptions {
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
  /** Empty without. */
  readonly token: string;
  readonly requestTimeoutMs: number;
}

/** `answer`: it was refused, with this status. `wire`: nobody answered as Consul does. `cancelled`: by us. */
export type OnAnswered = (
  outcome: 'done' | 'answer' | 'wire' | 'cancelled',
  text: string,
  status: number,
) => void;

interface Put {
  readonly request: string;
  readonly onAnswered: OnAnswered;
}

export class PutLine {
  readonly #options: PutLineOptions;
  readonly #headers: string;
  #socket: net.Socket | null = null;
  #waiting: Put[] = [];
  #open: Put[] = [];
  #input: Buffer = NO_BYTES;
  #isFlushing = false;
  #isClosed = false;

  constructor(options: PutLineOptions) {
    this.#options = options;
    const { host, port, token } = options;
    const name = host.includes(':') ? `[${host}]` : host;
    const secret = token === '' ? '' : `x-consul-token: ${token}\r\n`;
    this.#headers = ` HTTP/1.1\r\nhost: ${name}:${port}\r\n${secret}content-length: 0\r\n\r\n`;
  }

  /** `path` is escaped as it should be. */
  put(path: string, onAnswered: OnAnswered): void {
    if (this.#isClosed) {
      onAnswered('cancelled', 'cancelled', 0);
      return;
    }
    const request = `PUT ${path}${this.#headers}`;
    this.#waiting.push({ request, onAnswered });
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    setImmediate(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#end('cancelled', 'cancelled');
  }

  #flush(): void {
    const room = OPEN_MAX - this.#open.length;
    if (this.#isClosed || room === 0 || this.#waiting.length === 0) return;
    const puts = this.#waiting.splice(0, room);
    this.#open.push(...puts);
    this.#socket ??= this.#connect();
    this.#socket.setTimeout(this.#options.requestTimeoutMs);
    this.#socket.write(puts.map(({ request }) => request).join(''), 'latin1');
  }

  #connect(): net.Socket {
    const { host, port, isSecure, requestTimeoutMs } = this.#options;
    const name = net.isIP(host) === 0 ? { servername: host } : {};
    const socket = isSecure ? tls.connect({ host, port, ...name }) : net.connect({ host, port });
    let reason = 'the connection was closed';
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      if (socket === this.#socket) this.#onData(chunk);
    });
    socket.on('error', (error) => {
      reason = error.message === '' ? ((error as NodeJS.ErrnoException).code ?? reason) : error.message;
    });
    socket.on('timeout', () => socket.destroy(new Error(`no answer within ${requestTimeoutMs} ms`)));
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      if (socket === this.#socket) this.#end('wire', reason);
    });
    return socket;
  }

  #onData(chunk: Buffer): void {
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    try {
      while (this.#readAnswer());
    } catch (error) {
      this.#end('wire', (error as Error).message);
      return;
    }
    // Idle connections may stay as long as Consul likes.
    if (this.#open.length === 0) this.#socket?.setTimeout(0);
    this.#flush();
  }

  /** False when the next answer is not there as a whole. */
  #readAnswer(): boolean {
    const input = this.#input;
    if (input.length === 0) return false;
    const headEnd = input.indexOf(END_OF_HEAD);
    if (headEnd < 0) {
      if (
        input.length > HEAD_BYTES_MAX ||
        !input.toString('latin1', 0, 5).startsWith('HTTP/'.slice(0, input.length))
      )
        throw new Error('what answers there does not speak HTTP as Consul does');
      return false;
    }
    const head = input.toString('latin1', 0, headEnd);
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0);
    const size = status === 204 ? 0 : Number(/\r\ncontent-length: *(\d{1,9})/i.exec(head)?.[1] ?? -1);
    if (status < 200 || size < 0 || size > BODY_BYTES_MAX)
      throw new Error('what answers there does not answer as Consul does');
    const bodyAt = headEnd + END_OF_HEAD.length;
    if (input.length < bodyAt + size) return false;
    const text = input.toString('utf8', bodyAt, bodyAt + size).trim();
    this.#input = input.length === bodyAt + size ? NO_BYTES : input.subarray(bodyAt + size);
    const put = this.#open.shift();
    if (put === undefined) throw new Error('an answer that nobody asked for');
    put.onAnswered(status < 300 ? 'done' : 'answer', text, status);
    return true;
  }

  #end(outcome: 'wire' | 'cancelled', reason: string): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#input = NO_BYTES;
    const puts = [...this.#open, ...this.#waiting];
    this.#open = [];
    this.#waiting = [];
    socket?.destroy();
    for (const { onAnswered } of puts) onAnswered(outcome, reason, 0);
  }
}
