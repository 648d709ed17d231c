/**
 * A stream on net.Socket: public API only. Used where Node's own handles cannot be (see raw-stream.ts): the same behaviour,
 * with one more copy of large bodies and more CPU per connection and write.
 */
import type net from 'node:net';
import { ByteStream } from './byte-stream.js';
import type { IoLoop } from './io-loop.js';

export class SocketStream extends ByteStream {
  readonly remoteHost: string;
  readonly #socket: net.Socket;

  constructor(loop: IoLoop, socket: net.Socket) {
    super(loop);
    this.#socket = socket;
    const address = socket.remoteAddress ?? '@'; // unnamed unix peer, as Go prints it (spec wire 3.2)
    this.remoteHost = address.startsWith('::ffff:') ? address.slice(7) : address;
    socket.on('data', (bytes: Buffer) => {
      loop.tick();
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      this.owner?.onBytes(bytes, view, bytes.length);
    });
    socket.on('end', () => this.owner?.onEnd());
    socket.on('error', (error) => this.close(error.message));
    socket.on('close', () => this.close(null));
    socket.resume();
  }

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  protected writeSlices(slices: Uint8Array[]): boolean {
    const socket = this.#socket;
    socket.cork();
    for (let index = 0; index < slices.length - 1; index += 1) socket.write(slices[index]!);
    let isSync = true;
    socket.write(slices[slices.length - 1]!, (error) => {
      if (!isSync) this.writeDone(error ? error.message : null);
    });
    socket.uncork();
    // Taken by the kernel at once: the callback still comes, later, and then says nothing.
    if (socket.writableLength === 0) return true;
    isSync = false;
    return false;
  }

  protected shutdown(): void {
    this.#socket.end();
  }

  protected destroyHandle(): void {
    this.#socket.destroy();
  }
}
