/** A network between an agent and its registry that can do what networks do: refuse, swallow, dawdle, break, and lead to somebody else. */
import { once } from 'node:events';
import net from 'node:net';
import { atEnd } from '../support.js';

export class Wire {
  readonly port: number;
  readonly #sockets = new Set<net.Socket>();
  readonly #home: number;
  #target: number;
  #mode: 'open' | 'refusing' | 'black-holed' = 'open';
  #delayMs = 0;
  /** Connections that came, since the beginning. */
  connections = 0;
  /** Sees all that goes to the server. */
  onSent: ((chunk: Buffer, socket: net.Socket) => void) | null = null;

  private constructor(port: number, target: number) {
    this.port = port;
    this.#home = target;
    this.#target = target;
  }

  static async to(target: number): Promise<Wire> {
    const server = net.createServer((near) => wire.#join(near)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const wire: Wire = new Wire((server.address() as net.AddressInfo).port, target);
    atEnd(async () => {
      server.close();
      wire.cut();
    });
    return wire;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Ends what is open, and every new connection at once. */
  refuse(): void {
    this.#mode = 'refusing';
    this.cut();
  }

  /** Swallows all bytes; new connections are accepted, and swallowed too. */
  blackHole(): void {
    this.#mode = 'black-holed';
    for (const socket of this.#sockets) socket.unpipe().removeAllListeners('data').resume();
  }

  /** What goes to the server takes so long from now on. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** Another server answers from now on. */
  lead(port: number): void {
    this.#target = port;
    this.cut();
  }

  /** As at the beginning. What was swallowed is lost, so those connections are dead; so are those to others. */
  heal(): void {
    const isDirty = this.#mode === 'black-holed' || this.#target !== this.#home;
    this.#mode = 'open';
    this.#delayMs = 0;
    this.#target = this.#home;
    if (isDirty) this.cut();
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(near: net.Socket): void {
    this.connections += 1;
    this.#keep(near);
    if (this.#mode === 'refusing') {
      near.destroy();
      return;
    }
    if (this.#mode === 'black-holed') {
      near.resume();
      return;
    }
    const far = net.connect(this.#target, '127.0.0.1');
    this.#keep(far);
    near.on('data', (chunk) => {
      this.onSent?.(chunk, far);
      this.#pass(chunk, far);
    });
    far.pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  }

  #pass(chunk: Buffer, far: net.Socket): void {
    if (this.#delayMs === 0) far.write(chunk);
    // Timers of one length fire in their order, so bytes stay in theirs.
    else setTimeout(() => far.write(chunk), this.#delayMs);
  }

  #keep(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {}); // an end like any other
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
