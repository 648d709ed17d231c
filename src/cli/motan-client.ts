/**
 * A small Motan2 client for `peony call`: one connection, any number of calls in flight on it. No pool, no retry and no
 * heartbeat, because who asks by hand wants to see what one try gives.
 *
 * What goes wrong with the transport rejects with an AgentError: `E_NO_CONNECTION` before the call left, `E_TIMEOUT`,
 * `E_CONNECTION_LOST`, `E_BAD_ANSWER`, `E_ANSWER_TOO_LARGE`. An exception in the answer is an answer.
 */
import net from 'node:net';
import { BufferPool } from '../base/index.js';
import { AgentError, type Metadata, messageOf, TYPE_HEARTBEAT } from '../core/index.js';
import { FrameReader } from '../wire/framing/index.js';
import { encodeMetadata, parseMetadata } from '../wire/motan2/index.js';

const HEADER_BYTES = 17;
const VERSION_1_STATUS_0 = 0x08;

export type CallTarget =
  | { readonly host: string; readonly port: number }
  /** A unix socket. */
  | { readonly path: string };

export interface CallRequest {
  readonly metadata: Metadata;
  /** Arguments, serialized. */
  readonly body: Buffer;
  /** Number of the serialization, 0 to 31 (spec wire 8.1). */
  readonly serialization: number;
}

/** One answer; its bytes are its own. */
export interface CallAnswer {
  readonly type: number;
  /** 0 is normal, 1 an exception. */
  readonly status: number;
  readonly serialization: number;
  readonly metadata: Metadata;
  /** As it came: zipped when the type says so. */
  readonly body: Buffer;
  readonly requestId: bigint;
  readonly requestBytes: number;
  readonly answerBytes: number;
  /** From the request's write to its answer. */
  readonly elapsedMs: number;
}

interface Pending {
  readonly startedMs: number;
  readonly requestBytes: number;
  readonly timer: NodeJS.Timeout;
  readonly resolve: (answer: CallAnswer) => void;
  readonly reject: (error: AgentError) => void;
}

export class MotanClient {
  readonly #socket: net.Socket;
  readonly #reader: FrameReader;
  readonly #answerBytesMax: number;
  readonly #pending = new Map<bigint, Pending>();
  // As the Java client: unix ms above, a counter below, so that ids stand out in the logs of the peers.
  #nextId = BigInt(Date.now()) << 20n;
  #end: AgentError | null = null;

  private constructor(socket: net.Socket, answerBytesMax: number) {
    this.#socket = socket;
    this.#answerBytesMax = answerBytesMax;
    this.#reader = new FrameReader(answerBytesMax, new BufferPool());
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', (error) =>
      this.#fail(new AgentError('E_CONNECTION_LOST', `connection lost: ${error.message}`)),
    );
    socket.on('close', () =>
      this.#fail(new AgentError('E_CONNECTION_LOST', 'the connection was closed before the answer came')),
    );
  }

  /** Rejects with AgentError `E_NO_CONNECTION`. */
  static async connect(target: CallTarget, withinMs: number, answerBytesMax: number): Promise<MotanClient> {
    const socket = net.connect('path' in target ? { path: target.path } : { ...target, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      const refuse = (reason: string): void => {
        socket.destroy();
        reject(new AgentError('E_NO_CONNECTION', `no connection to ${targetText(target)}: ${reason}`));
      };
      const timer = setTimeout(() => refuse(`not within ${withinMs} ms`), withinMs);
      socket.once('error', (error) => {
        clearTimeout(timer);
        refuse(error instanceof AggregateError ? error.errors.map(messageOf).join(', ') : error.message);
      });
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.removeAllListeners('error');
        resolve();
      });
    });
    return new MotanClient(socket, answerBytesMax);
  }

  /** False once the connection cannot be used any more. */
  get isOpen(): boolean {
    return this.#end === null;
  }

  call(request: CallRequest, withinMs: number): Promise<CallAnswer> {
    if (this.#end !== null) return Promise.reject(this.#end);
    const id = this.#nextId;
    this.#nextId += 1n;
    const frame = encodeRequest(request, id);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new AgentError('E_TIMEOUT', `no answer within ${withinMs} ms`));
      }, withinMs);
      const startedMs = performance.now();
      this.#pending.set(id, { startedMs, requestBytes: frame.length, timer, resolve, reject });
      this.#socket.write(frame);
    });
  }

  close(): void {
    this.#fail(new AgentError('E_CONNECTION_LOST', 'the client was closed'));
  }

  #read(chunk: Buffer): void {
    try {
      this.#reader.push(chunk, new DataView(chunk.buffer, chunk.byteOffset, chunk.length), chunk.length);
      while (this.#reader.next()) this.#settle(this.#reader);
    } catch (error) {
      // A ProtocolError: the stream cannot be resumed.
      this.#fail(
        new AgentError('E_BAD_ANSWER', `the answer makes no sense: ${messageOf(error)}`, { cause: error }),
      );
    }
  }

  #settle(frame: FrameReader): void {
    const id = (BigInt(frame.idHigh) << 32n) | BigInt(frame.idLow);
    const pending = this.#pending.get(id);
    // An id that is not known belongs to a call that was given up; heartbeats are nobody's answer.
    if (pending === undefined || (frame.version === 2 && (frame.type & TYPE_HEARTBEAT) !== 0)) return;
    const elapsedMs = performance.now() - pending.startedMs;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    if (frame.oversize) {
      const text = `the answer is over ${this.#answerBytesMax} bytes`;
      pending.reject(new AgentError('E_ANSWER_TOO_LARGE', text));
    } else if (frame.version === 1) {
      pending.reject(new AgentError('E_BAD_ANSWER', 'a Motan2 call was answered in Motan v1'));
    } else {
      pending.resolve({
        type: frame.type,
        status: frame.versionStatus & 0x07,
        serialization: frame.serialization >> 3,
        metadata: parseMetadata(frame.bytes, frame.metaStart, frame.metaEnd),
        body: Buffer.from(frame.bytes.subarray(frame.bodyStart, frame.bodyEnd)),
        requestId: id,
        requestBytes: pending.requestBytes,
        answerBytes: frame.end - frame.start,
        elapsedMs,
      });
    }
  }

  /** The first reason counts; what follows of it (`close` after `error`) tells nothing new. */
  #fail(reason: AgentError): void {
    this.#end ??= reason;
    this.#socket.destroy();
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(this.#end);
    }
    this.#pending.clear();
  }
}

export function encodeRequest(request: CallRequest, id: bigint): Buffer {
  const metadata = encodeMetadata(request.metadata);
  const { body } = request;
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt16BE(0xf1f1, 0);
  head[3] = VERSION_1_STATUS_0;
  head[4] = request.serialization << 3;
  head.writeBigUInt64BE(id, 5);
  head.writeUInt32BE(metadata.length, 13);
  const bodySize = Buffer.alloc(4);
  bodySize.writeUInt32BE(body.length);
  return Buffer.concat([head, metadata, bodySize, body]);
}

export function targetText(target: CallTarget): string {
  return 'path' in target ? `unix:${target.path}` : `${target.host}:${target.port}`;
}
