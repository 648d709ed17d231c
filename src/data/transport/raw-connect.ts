/**
 * Connects on Node's own handle, without net.Socket: half of what a connection costs that carries one call only, as those to PHP-FPM do.
 *
 *   new --connect--> under way --oncomplete--> handed on      a deadline or an error closes the handle
 *
 * As `raw-stream.ts`, this is not public API: `rawStreamsWork` tries it at start, and where it fails net.connect takes over.
 */
import net from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { WheelTimer } from '../../base/index.js';
import { messageOf } from '../../core/index.js';
import type { ByteStream } from './byte-stream.js';
import type { IoLoop } from './io-loop.js';
import { type RawHandle, RawStream } from './raw-stream.js';

export type ConnectAddress = { readonly host: string; readonly port: number } | { readonly path: string };
export type ConnectDone = (stream: ByteStream | null, error: string | null) => void;

interface ConnectRequest {
  oncomplete: ((status: number) => void) | null;
}

interface ConnectingHandle extends RawHandle {
  connect(request: ConnectRequest, address: string, port?: number): number | undefined;
  connect6?(request: ConnectRequest, address: string, port: number): number;
}

interface ConnectBinding {
  readonly TCP: new (type: number) => ConnectingHandle;
  readonly TCPConnectWrap: new () => ConnectRequest;
  readonly Pipe: new (type: number) => ConnectingHandle;
  readonly PipeConnectWrap: new () => ConnectRequest;
}

/** The number of a socket that connects, for both kinds of handle. */
const CLIENT_SOCKET = 0;

const binding = loadBinding();

function loadBinding(): ConnectBinding | null {
  const bindingOf = (process as unknown as { binding?: (name: string) => object }).binding;
  if (bindingOf === undefined) return null;
  try {
    const found = {
      ...bindingOf.call(process, 'tcp_wrap'),
      ...bindingOf.call(process, 'pipe_wrap'),
    } as unknown as Partial<ConnectBinding>;
    const isWhole =
      found.TCP !== undefined &&
      found.TCPConnectWrap !== undefined &&
      found.Pipe !== undefined &&
      found.PipeConnectWrap !== undefined;
    return isWhole ? (found as ConnectBinding) : null;
  } catch (error) {
    process.emitWarning(`internal connect requests cannot be used: ${messageOf(error)}`);
    return null;
  }
}

/** Names have to be looked up first, which net.connect does. */
export function canConnectRaw(address: ConnectAddress): boolean {
  return binding !== null && ('path' in address || net.isIP(address.host) !== 0);
}

/**
 * @param keepaliveSeconds of the connection, when it is TCP and leaves the machine
 * @param done told exactly once, never before this returns
 */
export function connectRaw(
  loop: IoLoop,
  address: ConnectAddress,
  timeoutMs: number,
  keepaliveSeconds: number,
  done: ConnectDone,
): void {
  new RawConnect(loop, address, timeoutMs, keepaliveSeconds, done).start();
}

class RawConnect implements WheelTimer {
  readonly #loop: IoLoop;
  readonly #address: ConnectAddress;
  readonly #timeoutMs: number;
  readonly #keepaliveSeconds: number;
  readonly #done: ConnectDone;
  #handle: ConnectingHandle | null = null;
  deadlineMs: number;
  wheelNext: WheelTimer | null = null;
  wheelPrevious: WheelTimer | null = null;
  wheelSlot = -1;

  constructor(
    loop: IoLoop,
    address: ConnectAddress,
    timeoutMs: number,
    keepaliveSeconds: number,
    done: ConnectDone,
  ) {
    this.#loop = loop;
    this.#address = address;
    this.#timeoutMs = timeoutMs;
    this.#keepaliveSeconds = keepaliveSeconds;
    this.#done = done;
    this.deadlineMs = loop.clock.nowMs() + timeoutMs;
  }

  start(): void {
    const { TCP, TCPConnectWrap, Pipe, PipeConnectWrap } = binding!;
    const address = this.#address;
    const isPath = 'path' in address;
    const handle = isPath ? new Pipe(CLIENT_SOCKET) : new TCP(CLIENT_SOCKET);
    const request = isPath ? new PipeConnectWrap() : new TCPConnectWrap();
    request.oncomplete = (status) => this.#onComplete(status);
    this.#handle = handle;
    let status: number | undefined;
    if (isPath) status = handle.connect(request, address.path);
    else if (net.isIPv6(address.host)) status = handle.connect6!(request, address.host, address.port);
    else status = handle.connect(request, address.host, address.port);
    if (status !== undefined && status !== 0) setImmediate(() => this.#onComplete(status));
    else this.#loop.timers.add(this);
  }

  onDeadline(): void {
    this.#fail(`no connection within ${this.#timeoutMs} ms`);
  }

  #onComplete(status: number): void {
    const handle = this.#handle;
    if (handle === null) return; // its time was over before
    this.#loop.timers.remove(this);
    this.#loop.tick();
    if (status !== 0) {
      this.#fail(`connect ${getSystemErrorName(status)} ${addressText(this.#address)}`);
      return;
    }
    this.#handle = null;
    handle.setNoDelay?.(true);
    if (!isLoopback(this.#address)) handle.setKeepAlive?.(true, this.#keepaliveSeconds);
    this.#done(new RawStream(this.#loop, handle), null);
  }

  #fail(error: string): void {
    this.#handle!.close();
    this.#handle = null;
    this.#done(null, error);
  }
}

/** A process of this machine does not vanish without a word, so the four system calls of keepalive are saved. */
function isLoopback(address: ConnectAddress): boolean {
  return !('path' in address) && (address.host.startsWith('127.') || address.host === '::1');
}

/** As net.connect's errors have it. */
function addressText(address: ConnectAddress): string {
  return 'path' in address ? address.path : `${address.host}:${address.port}`;
}
