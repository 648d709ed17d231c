/** Opening the management listener: a port on all interfaces, the first free one of a range, or a unix socket. */
import fs from 'node:fs/promises';
import net, { type ListenOptions, type Server } from 'node:net';
import { AgentError, messageOf } from '../../core/index.js';

export interface ManagementAddress {
  /** Empty means all interfaces, IPv4 and IPv6. */
  readonly host: string;
  readonly port: number;
  /** First and last port to try; overrides `port`. */
  readonly portRange: readonly [number, number] | null;
  /** When set, no TCP port is opened. */
  readonly unixSock: string | null;
}

/** Owner and group: whoever can open the socket may change the agent's state. */
const SOCKET_MODE = 0o660;

/** Resolves with `host:port` or `unix:path`. Throws AgentError `E_PORT_BUSY`, `E_SOCKET_PATH` or `E_LISTEN`. */
export async function listenOn(server: Server, address: ManagementAddress): Promise<string> {
  if (address.unixSock !== null) return await listenOnUnix(server, address.unixSock);
  const [first, last] = address.portRange ?? [address.port, address.port];
  for (let port = first; port <= last; port += 1) {
    if (await tryPort(server, address.host, port)) return boundAddress(server);
  }
  const ports = first === last ? `port ${first} is` : `all ports of ${first}-${last} are`;
  throw new AgentError(
    'E_PORT_BUSY',
    `management ${ports} in use${address.host === '' ? '' : ` on ${address.host}`}`,
  );
}

/** False when the port is in use. */
async function tryPort(server: Server, host: string, port: number): Promise<boolean> {
  try {
    await listen(server, { port, host: host === '' ? '::' : host });
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EADDRINUSE') return false;
    // A machine without IPv6.
    if (host === '' && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'))
      return await tryPort(server, '0.0.0.0', port);
    throw new AgentError('E_LISTEN', `management cannot listen on ${host}:${port}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function listenOnUnix(server: Server, path: string): Promise<string> {
  await removeStaleSocket(path);
  try {
    await listen(server, { path });
    await fs.chmod(path, SOCKET_MODE);
  } catch (cause) {
    throw new AgentError('E_LISTEN', `management cannot listen on ${path}: ${messageOf(cause)}`, { cause });
  }
  return `unix:${path}`;
}

/** Removes what a dead process left. Never another kind of file, and never the socket of somebody who still answers. */
async function removeStaleSocket(path: string): Promise<void> {
  const stat = await fs.lstat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw new AgentError('E_SOCKET_PATH', `managementUnixSock ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  });
  if (stat === null) return;
  if (!stat.isSocket()) {
    throw new AgentError(
      'E_SOCKET_PATH',
      `managementUnixSock ${path} exists and is not a socket; it is not removed`,
    );
  }
  if (await isAnswered(path)) {
    throw new AgentError('E_PORT_BUSY', `management socket ${path} is in use by another process`);
  }
  await fs.unlink(path);
}

async function isAnswered(path: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = net.connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // ECONNREFUSED is what a dead owner leaves; anything else (EACCES, EAGAIN) may be a living one.
    socket.once('error', (error) => resolve(codeOf(error) !== 'ECONNREFUSED'));
  });
}

async function listen(server: Server, options: ListenOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error): void => reject(error);
    server.once('error', failed);
    server.listen(options, () => {
      server.off('error', failed);
      resolve();
    });
  });
}

function boundAddress(server: Server): string {
  const bound = server.address() as net.AddressInfo;
  return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
