/** A connection that has become a tunnel: bytes pass both ways, each end is half-closed alone, and slow ends hold the other up. */
import type { ByteStream, StreamOwner } from '../../transport/index.js';
import { appendCopy } from './append-copy.js';
import { STREAM_PENDING_MAX, type Tunnel, type TunnelPeer } from './exchange.js';

/** A tunnel is closed by its handler when nothing moves; what is in it may stand still for as long. */
const STALL_MS = 600_000;

/** The connection that it was. */
export interface TunnelOwner {
  onTunnelBytes(length: number): void;
  onTunnelClosed(): void;
}

export class HttpTunnel implements StreamOwner, Tunnel {
  readonly #owner: TunnelOwner;
  readonly #stream: ByteStream;
  readonly #peer: TunnelPeer;
  /** What was read behind the head, until the peer takes it. */
  #early: Buffer | null;
  #isPaused = false;
  #hasEnded = false;

  /** Takes the stream over, whether it was paused or not. */
  constructor(owner: TunnelOwner, stream: ByteStream, peer: TunnelPeer, early: Buffer) {
    this.#owner = owner;
    this.#stream = stream;
    this.#peer = peer;
    this.#early = early.length > 0 ? early : null;
    stream.owner = this;
    stream.writeStallMs = STALL_MS;
    // The peer first has to know its tunnel.
    queueMicrotask(() => this.#readOn());
  }

  write(bytes: Buffer, start: number, end: number): boolean {
    const stream = this.#stream;
    appendCopy(stream, bytes, start, end);
    if (stream.pendingBytes <= STREAM_PENDING_MAX) return true;
    stream.notifyWhenDrained();
    return false;
  }

  pauseReading(): void {
    this.#isPaused = true;
    this.#stream.pauseReading();
  }

  resumeReading(): void {
    this.#isPaused = false;
    this.#readOn();
  }

  end(): void {
    if (this.#hasEnded) this.#stream.closeWhenWritten();
    else this.#stream.end();
  }

  close(reason: string | null): void {
    this.#stream.close(reason);
  }

  onBytes(input: Buffer, _view: DataView, length: number): Buffer | null {
    this.#owner.onTunnelBytes(length);
    this.#peer.onBytes(input, 0, length);
    return null;
  }

  onDirectBytes(): Buffer | null {
    return null; // no read of its own is ever asked for
  }

  onEnd(): void {
    this.#hasEnded = true;
    this.#peer.onEnd();
  }

  onDrained(): void {
    this.#peer.onWritable();
  }

  onClosed(reason: string | null): void {
    this.#owner.onTunnelClosed();
    this.#peer.onClosed(reason);
  }

  #readOn(): void {
    if (this.#isPaused || this.#stream.isClosed) return;
    const early = this.#early;
    this.#early = null;
    if (early !== null) this.#peer.onBytes(early, 0, early.length);
    if (!this.#isPaused && !this.#hasEnded) this.#stream.resumeReading();
  }
}
