/**
 * A stream on Node's own handle (`TCP` or `Pipe`), without net.Socket on top.
 *
 * The streams machinery of net.Socket costs 1 to 2 us per write and 20 to 40 us per connection, and it cannot read accepted
 * connections into our own buffer. The handle can do both, but it is not public API: only this file and `raw-connect.ts` know it, and
 * `rawStreamsWork` tries it on a loopback connection at start. Where that fails, `socket-stream.ts` takes over.
 */
import type net from 'node:net';
import { getSystemErrorName } from 'node:util';
import { messageOf } from '../../core/index.js';
import { ByteStream } from './byte-stream.js';
import type { IoLoop } from './io-loop.js';

/** What is used of a TCP or Pipe handle. Present in Node 20 to 26. */
export interface RawHandle {
  onread: () => Uint8Array | undefined;
  useUserBuffer(buffer: Uint8Array): void;
  readStart(): number;
  readStop(): number;
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  writev(request: WriteRequest, slices: Uint8Array[], allBuffers: boolean): number;
  shutdown(request: WriteRequest): number;
  close(): void;
  getpeername?(out: { address?: string }): number;
  setNoDelay?(on: boolean): number;
  setKeepAlive?(on: boolean, delaySeconds: number): number;
}

interface WriteRequest {
  oncomplete: ((status: number) => void) | null;
  /** What the kernel still reads from: the handle itself keeps no reference to the slices of a `writev`. */
  slices: Uint8Array[] | null;
}

interface StreamBinding {
  WriteWrap: new () => WriteRequest;
  ShutdownWrap: new () => WriteRequest;
  streamBaseState: Int32Array;
  kReadBytesOrError: number;
  kLastWriteWasAsync: number;
}

const UV_EOF = -4095;
const IGNORED = (): undefined => undefined;

const binding = loadBinding();

/** Whether this Node has what streams on handles need. */
export const hasRawStreams = binding !== null;

function loadBinding(): StreamBinding | null {
  // Missing or guarded in some future Node: then the public API is used, and the start says so.
  const bindingOf = (process as unknown as { binding?: (name: string) => unknown }).binding;
  if (bindingOf === undefined) return null;
  try {
    const found = bindingOf.call(process, 'stream_wrap') as Partial<StreamBinding> | undefined;
    const isWhole =
      found?.WriteWrap !== undefined &&
      found.ShutdownWrap !== undefined &&
      found.streamBaseState !== undefined &&
      found.kReadBytesOrError !== undefined &&
      found.kLastWriteWasAsync !== undefined;
    return isWhole ? (found as StreamBinding) : null;
  } catch (error) {
    process.emitWarning(`internal stream handles cannot be used: ${messageOf(error)}`);
    return null;
  }
}

/** Free between writes that the kernel takes at once, which are nearly all. */
let idleRequest: WriteRequest | null = null;

export class RawStream extends ByteStream {
  readonly #handle: RawHandle;
  /** Asked for when it is first wanted: dialled streams are never asked. */
  #remoteHost: string | null = null;
  #isReading = true;
  #isShutdown = false;
  /** Buffer that the handle reads into now, when it is not the shared one. */
  #target: Buffer | null = null;

  /** Takes the handle over: nobody else may touch it. Reading starts at once. */
  constructor(loop: IoLoop, handle: RawHandle) {
    super(loop);
    this.#handle = handle;
    handle.onread = () => this.#onRead();
    handle.useUserBuffer(loop.readBuffer);
    handle.readStart();
  }

  get remoteHost(): string {
    this.#remoteHost ??= hostOf(this.#handle);
    return this.#remoteHost;
  }

  pauseReading(): void {
    if (!this.#isReading || this.isClosed) return;
    this.#isReading = false;
    this.#handle.readStop();
  }

  resumeReading(): void {
    if (this.#isReading || this.isClosed) return;
    this.#isReading = true;
    this.#handle.readStart();
  }

  protected writeSlices(slices: Uint8Array[]): boolean {
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = binding!;
    const request = idleRequest ?? new WriteWrap();
    idleRequest = null;
    const status =
      slices.length === 1
        ? this.#handle.writeBuffer(request, slices[0]!)
        : this.#handle.writev(request, slices, true);
    if (status !== 0) {
      this.close(`write failed: ${getSystemErrorName(status)}`);
      return false;
    }
    if (streamBaseState[kLastWriteWasAsync] === 0) {
      idleRequest = request;
      return true;
    }
    request.slices = slices;
    request.oncomplete = (result) =>
      this.writeDone(result < 0 ? `write failed: ${getSystemErrorName(result)}` : null);
    return false;
  }

  protected shutdown(): void {
    if (this.#isShutdown) return;
    this.#isShutdown = true;
    const request = new binding!.ShutdownWrap();
    request.oncomplete = null;
    // A peer that is gone already makes this fail; the read side then tells.
    this.#handle.shutdown(request);
  }

  protected destroyHandle(): void {
    this.#handle.onread = IGNORED; // null ends the process
    this.#handle.close();
  }

  #onRead(): Uint8Array | undefined {
    const length = binding!.streamBaseState[binding!.kReadBytesOrError]!;
    const owner = this.owner;
    if (length <= 0 || owner === null) {
      if (length < 0) this.#onReadEnd(length);
      return undefined;
    }
    const loop = this.loop;
    loop.tick();
    const before = this.#target;
    const isShared = before === null || before === loop.headBuffer;
    const target = isShared
      ? owner.onBytes(loop.readBuffer, loop.readView, length)
      : owner.onDirectBytes(length);
    if (target === before) return undefined;
    this.#target = target;
    return target ?? loop.readBuffer;
  }

  #onReadEnd(status: number): void {
    if (status !== UV_EOF) {
      this.close(`read failed: ${getSystemErrorName(status)}`);
      return;
    }
    this.#isReading = false;
    this.#handle.readStop();
    this.owner?.onEnd();
  }
}

function hostOf(handle: RawHandle): string {
  if (handle.getpeername === undefined) return '@'; // unnamed unix peer, as Go prints it (spec wire 3.2)
  const name: { address?: string } = {};
  handle.getpeername(name);
  const address = name.address ?? '';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

/** Takes the handle away from a connected socket; the socket object is of no use after that. */
export function takeHandle(socket: net.Socket): RawHandle {
  const holder = socket as unknown as { _handle: RawHandle | null };
  const handle = holder._handle!;
  handle.readStop();
  holder._handle = null;
  return handle;
}
