/** Connections on which something hangs as long as they are open. They may be idle for as long as they like. */
import type { Socket } from 'node:net';
import type { HeldConnection } from '../../core/index.js';

const held = new WeakMap<Socket, Held>();

class Held implements HeldConnection {
  readonly #listeners = new Set<() => void>();
  #isClosed: boolean;

  constructor(socket: Socket) {
    this.#isClosed = socket.destroyed;
    socket.once('close', () => {
      this.#isClosed = true;
      for (const listener of this.#listeners) listener();
      this.#listeners.clear();
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  onClosed(listener: () => void): void {
    if (this.#isClosed) listener();
    else this.#listeners.add(listener);
  }
}

/** The same answer for the same socket. */
export function holdConnection(socket: Socket): HeldConnection {
  let connection = held.get(socket);
  if (connection === undefined) {
    connection = new Held(socket);
    held.set(socket, connection);
  }
  return connection;
}

export function isHeld(socket: Socket): boolean {
  return held.has(socket);
}
