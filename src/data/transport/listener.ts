/**
 * Accepts connections on one TCP port or unix socket and hands each on as a stream.
 *
 * When the process runs out of file descriptors libuv accepts and closes what waits, so that the loop does not spin; this is
 * counted, and calls on the connections that exist are not touched. Before that point `connectionsMax` refuses new
 * connections in the same way, so that registries, logs and upstream connections keep descriptors to work with.
 */
import fs from 'node:fs';
import net from 'node:net';
import { AgentError, messageOf } from '../../core/index.js';
import type { ByteStream } from './byte-stream.js';
import { KEEPALIVE_SECONDS } from './dial.js';
import type { IoLoop } from './io-loop.js';
import { type RawHandle, RawStream } from './raw-stream.js';
import { SocketStream } from './socket-stream.js';

/** With Node's default of 511 a burst of 9,900 connects took 10 s instead of 1.2 s: lost SYNs are sent again after 1 s. */
const BACKLOG = 4096;

export interface ListenAddress {
  /** Stable name, for messages: `forward`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly unixSock: string | null;
}

export interface ListenerEvents {
  onStream(stream: ByteStream): void;
  /** Accepting failed for now: no descriptor left. */
  onAcceptPause(): void;
}

export interface ListenerOptions {
  readonly useRaw: boolean;
  readonly connectionsMax: number;
}

interface ServerHandle {
  onconnection: (status: number, handle: RawHandle | undefined) => void;
  setNoDelay?(on: boolean): number;
  setKeepAlive?(on: boolean, delaySeconds: number): number;
}

export class Listener {
  readonly #loop: IoLoop;
  readonly #address: ListenAddress;
  readonly #events: ListenerEvents;
  readonly #options: ListenerOptions;
  readonly #server: net.Server;
  #count: () => number = () => 0;

  constructor(loop: IoLoop, address: ListenAddress, events: ListenerEvents, options: ListenerOptions) {
    this.#loop = loop;
    this.#address = address;
    this.#events = events;
    this.#options = options;
    this.#server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
  }

  /** Connections that exist, as the owner counts them. */
  set connectionCount(count: () => number) {
    this.#count = count;
  }

  /** `host:port` as bound, or `unix:path`. */
  get boundAddress(): string {
    const bound = this.#server.address();
    if (bound === null || typeof bound === 'string') return `unix:${this.#address.unixSock ?? ''}`;
    return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
  }

  get port(): number {
    const bound = this.#server.address();
    return bound === null || typeof bound === 'string' ? 0 : bound.port;
  }

  /** Throws AgentError `E_PORT_BUSY` (or `E_LISTEN`) that names the listener and its address. */
  async listen(): Promise<void> {
    const { name, host, port, unixSock } = this.#address;
    if (unixSock !== null) await removeStaleSocket(name, unixSock);
    const target = unixSock !== null ? { path: unixSock } : { port, ...(host === '' ? {} : { host }) };
    await new Promise<void>((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException): void => {
        const code = error.code === 'EADDRINUSE' ? 'E_PORT_BUSY' : 'E_LISTEN';
        const where = unixSock ?? `${host === '' ? '*' : host}:${port}`;
        reject(
          new AgentError(code, `listener "${name}" cannot listen on ${where}: ${error.message}`, {
            cause: error,
          }),
        );
      };
      this.#server.once('error', onError);
      this.#server.listen({ ...target, backlog: BACKLOG }, () => {
        this.#server.off('error', onError);
        resolve();
      });
    });
    this.#server.on('error', () => this.#events.onAcceptPause());
    if (this.#options.useRaw) this.#acceptRaw();
    else this.#server.on('connection', (socket) => this.#acceptSocket(socket));
  }

  /** Stops accepting. Connections that exist live on. */
  close(): void {
    this.#server.close();
    const { unixSock } = this.#address;
    if (unixSock !== null) fs.rmSync(unixSock, { force: true });
  }

  #acceptRaw(): void {
    const handle = (this.#server as unknown as { _handle: ServerHandle })._handle;
    // Accepted connections inherit both on Linux: no system calls per connection.
    handle.setNoDelay?.(true);
    handle.setKeepAlive?.(true, KEEPALIVE_SECONDS);
    handle.onconnection = (status, accepted) => {
      if (status !== 0 || accepted === undefined) {
        this.#events.onAcceptPause();
      } else if (this.#count() >= this.#options.connectionsMax) {
        accepted.close();
        this.#events.onAcceptPause();
      } else {
        this.#events.onStream(new RawStream(this.#loop, accepted));
      }
    };
  }

  #acceptSocket(socket: net.Socket): void {
    if (this.#count() >= this.#options.connectionsMax) {
      socket.destroy();
      this.#events.onAcceptPause();
      return;
    }
    this.#events.onStream(new SocketStream(this.#loop, socket));
  }
}

/**
 * motan-go removes whatever lies at the path, recursively. We remove only a socket, and only when nobody answers there: taking the
 * path of an agent that runs would cut it off.
 */
async function removeStaleSocket(name: string, path: string): Promise<void> {
  let found: fs.Stats;
  try {
    found = fs.lstatSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new AgentError('E_LISTEN', `listener "${name}" cannot look at ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (!found.isSocket()) {
    throw new AgentError(
      'E_LISTEN',
      `listener "${name}": ${path} exists and is not a socket; it is not removed`,
    );
  }
  if (await answers(path))
    throw new AgentError('E_PORT_BUSY', `listener "${name}": another process listens on ${path}`);
  fs.rmSync(path);
}

/** Whether somebody accepts connections at the path. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
