/**
 * One TCP connection to one ZooKeeper server, from the hello to its end. It ends once and is not used again; what lasts longer is the session.
 *
 *   dialing --connected--> greeting --welcome--> open --> closed          every state may end in closed
 *
 * Answers come in the order of the requests. A server that owes an answer for too long counts as gone, whatever TCP says: a stopped
 * process, or a network that swallows packets, closes nothing.
 */
import net from 'node:net';
import { type Clock, messageOf, ProtocolError } from '../../../core/index.js';
import { JuteReader, type JuteWriter } from './jute.js';
import {
  CODE,
  type Hello,
  helloFrame,
  OP,
  readEvent,
  readHead,
  readWelcome,
  request,
  type WatchEvent,
  type Welcome,
  XID_AUTH,
  XID_EVENT,
  XID_PING,
  XID_SET_WATCHES,
} from './messages.js';

/** A list of 100,000 nodes is about 4 MiB; the server itself takes no more than 1 MiB in a request. */
const FRAME_BYTES_MAX = 16 * 1024 * 1024;
const GREETING_MS_MAX = 3_000;
/** Where the session would allow more: trouble is to be known within two of these. */
const PING_MS_MAX = 5_000;
const XID_MAX = 0x7fff_ffff;

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

export interface ConnectionEvents {
  onWelcome(welcome: Welcome): void;
  /** `zxid` 0 when the answer has none. Told before the answer itself. */
  onZxid(zxid: bigint): void;
  onPong(): void;
  onEvent(event: WatchEvent): void;
  /** Said once, with the cause. Refused: closed by the server after our hello, without a welcome. */
  onClosed(trouble: string, wasRefused: boolean): void;
}

/**
 * Settles a request. `reader` stands at the body; it is null when there is an error. Runs before the next message is looked at, so that
 * a watch that was asked for is known before its event.
 */
export type Settle = (code: number, reader: JuteReader | null) => void;

interface Pending {
  readonly xid: number;
  readonly sentMs: number;
  readonly settle: Settle;
}

export class Connection {
  /** `host:port` of the server. */
  readonly name: string;
  readonly #events: ConnectionEvents;
  readonly #clock: Clock;
  readonly #socket: net.Socket;
  #state: 'dialing' | 'greeting' | 'open' | 'closed' = 'dialing';
  #chunks: Buffer[] = [];
  #size = 0;
  /** Bytes of the frame that is being received, with its length; 0 while the length is not known. */
  #wanted = 0;
  readonly #pending: Pending[] = [];
  #pendingAt = 0;
  #xid = 0;
  #pingSentMs: number | null = null;
  #lastSentMs: number;
  #lastHeardMs: number;
  /** Longest wait for an answer, and longest pause without a request. */
  #quietMsMax = GREETING_MS_MAX;
  #timer: NodeJS.Timeout;
  #isCorked = false;

  constructor(server: ServerAddress, hello: Hello, events: ConnectionEvents, clock: Clock) {
    this.name = `${server.host}:${server.port}`;
    this.#events = events;
    this.#clock = clock;
    this.#lastSentMs = this.#lastHeardMs = clock.nowMs();
    this.#timer = setTimeout(() => this.#onGreetingLate(), GREETING_MS_MAX);
    this.#socket = net.connect({ host: server.host, port: server.port, noDelay: true, keepAlive: true });
    this.#socket.on('connect', () => {
      this.#state = 'greeting';
      this.#socket.write(helloFrame(hello));
    });
    this.#socket.on('data', (chunk) => this.#onData(chunk));
    this.#socket.on('error', (error) => this.#end(socketTrouble(error), this.#state === 'greeting'));
    this.#socket.on('close', () => this.#onSocketClosed());
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Sends a request; `write` adds its body. After the end of the connection `settle` is called with `connectionLoss`. */
  request(type: number, write: (writer: JuteWriter) => void, settle: Settle): void {
    this.#xid = this.#xid === XID_MAX ? 1 : this.#xid + 1;
    this.#request(this.#xid, type, write, settle);
  }

  authenticate(scheme: string, secret: string, settle: Settle): void {
    this.#request(XID_AUTH, OP.auth, (writer) => writer.int(0).text(scheme).text(secret), settle);
  }

  setWatches(write: (writer: JuteWriter) => void, settle: Settle): void {
    this.#request(XID_SET_WATCHES, OP.setWatches, write, settle);
  }

  close(trouble: string): void {
    this.#end(trouble, false);
  }

  #request(xid: number, type: number, write: (writer: JuteWriter) => void, settle: Settle): void {
    if (this.#state !== 'open') {
      settle(CODE.connectionLoss, null);
      return;
    }
    const writer = request(xid, type);
    write(writer);
    this.#pending.push({ xid, sentMs: this.#clock.nowMs(), settle });
    this.#send(writer.toFrame());
  }

  /** What is sent in one turn of the loop goes out together. */
  #send(frame: Buffer): void {
    this.#lastSentMs = this.#clock.nowMs();
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(frame);
  }

  #onData(chunk: Buffer): void {
    this.#lastHeardMs = this.#clock.nowMs();
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    try {
      while (this.#state !== 'closed') {
        const frame = this.#takeFrame();
        if (frame === null) return;
        if (this.#state === 'open') this.#onFrame(frame);
        else this.#onWelcome(frame);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.close(`it sends what ZooKeeper would not: ${error.message}`);
    }
  }

  #takeFrame(): Buffer | null {
    if (this.#wanted === 0) {
      if (this.#size < 4) return null;
      const head = this.#join();
      const length = head.readInt32BE(0);
      if (length < 0 || length > FRAME_BYTES_MAX) throw new ProtocolError(describeStranger(head));
      this.#wanted = 4 + length;
    }
    if (this.#size < this.#wanted) return null;
    const all = this.#join();
    const frame = all.subarray(4, this.#wanted);
    const rest = all.subarray(this.#wanted);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#size = rest.length;
    this.#wanted = 0;
    return frame;
  }

  #join(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks, this.#size)];
    return this.#chunks[0]!;
  }

  #onWelcome(frame: Buffer): void {
    const welcome = readWelcome(frame);
    this.#state = 'open';
    if (welcome.timeoutMs > 0) {
      this.#quietMsMax = Math.max(1, Math.min(PING_MS_MAX, Math.floor(welcome.timeoutMs / 3)));
      clearTimeout(this.#timer);
      this.#timer = setInterval(() => this.#onTick(), Math.ceil(this.#quietMsMax / 4));
    }
    this.#events.onWelcome(welcome);
  }

  #onFrame(frame: Buffer): void {
    const reader = new JuteReader(frame);
    const { xid, zxid, code } = readHead(reader);
    if (zxid > 0n) this.#events.onZxid(zxid);
    if (xid === XID_EVENT) {
      this.#events.onEvent(readEvent(reader));
    } else if (xid === XID_PING) {
      this.#pingSentMs = null;
      this.#events.onPong();
    } else {
      const pending = this.#nextPending(xid);
      pending.settle(code, code === 0 ? reader : null);
    }
  }

  #nextPending(xid: number): Pending {
    const pending = this.#pending[this.#pendingAt];
    if (pending?.xid !== xid) throw new ProtocolError(`answer ${xid}, expected ${pending?.xid ?? 'none'}`);
    this.#pendingAt += 1;
    if (this.#pendingAt >= 256 || this.#pendingAt === this.#pending.length) {
      this.#pending.splice(0, this.#pendingAt);
      this.#pendingAt = 0;
    }
    return pending;
  }

  /** Keeps the session alive, and finds a server that owes an answer. */
  #onTick(): void {
    const nowMs = this.#clock.nowMs();
    const oldestMs = Math.min(this.#pingSentMs ?? nowMs, this.#pending[this.#pendingAt]?.sentMs ?? nowMs);
    if (nowMs - Math.max(oldestMs, this.#lastHeardMs) > this.#quietMsMax) {
      this.close(`no answer for ${Math.round(nowMs - this.#lastHeardMs)} ms`);
    } else if (this.#pingSentMs === null && nowMs - this.#lastSentMs >= this.#quietMsMax * 0.75) {
      this.#pingSentMs = nowMs;
      this.#send(request(XID_PING, OP.ping).toFrame());
    }
  }

  #onGreetingLate(): void {
    this.close(
      this.#state === 'dialing'
        ? `no connection within ${GREETING_MS_MAX} ms`
        : `it accepts the connection, but does not answer as ZooKeeper does within ${GREETING_MS_MAX} ms`,
    );
  }

  #onSocketClosed(): void {
    if (this.#state === 'open') {
      this.#end('the server closed the connection', false);
    } else {
      this.#end(
        'the server closed the connection without a welcome: it starts, has no quorum, or refuses us',
        true,
      );
    }
  }

  #end(trouble: string, wasRefused: boolean): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    clearTimeout(this.#timer);
    this.#socket.destroy();
    this.#chunks = [];
    const lost = this.#pending.splice(this.#pendingAt);
    for (const { settle } of lost) settle(CODE.connectionLoss, null);
    this.#events.onClosed(trouble, wasRefused);
  }
}

/** What answers where a ZooKeeper should, by its first bytes. */
function describeStranger(bytes: Buffer): string {
  const first = bytes
    .subarray(0, 40)
    .toString('latin1')
    .split(/[\r\n]/, 1)[0]!;
  return /^[\x20-\x7e]{4,}$/.test(first)
    ? JSON.stringify(first)
    : `a message of ${bytes.readUInt32BE(0)} bytes`;
}

/** A name with several addresses fails with several errors, and no text of its own. */
function socketTrouble(error: Error): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0]);
  return messageOf(error);
}
