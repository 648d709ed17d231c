/** Streams to a node: connects, then hands the connection on. */
import net from 'node:net';
import type { ByteStream } from './byte-stream.js';
import type { IoLoop } from './io-loop.js';
import { canConnectRaw, connectRaw } from './raw-connect.js';
import { RawStream, takeHandle } from './raw-stream.js';
import { SocketStream } from './socket-stream.js';

/** Go's default for connections, accepted and dialled: spec agent 4. A host that vanished does not hold its connection for ever. */
export const KEEPALIVE_SECONDS = 15;

export type DialTarget =
  | { readonly host: string; readonly port: number; readonly lookup?: net.LookupFunction }
  | { readonly path: string };

/** `done` is told exactly once, never before this returns: with a stream, or with what is wrong. */
export function dial(
  loop: IoLoop,
  target: DialTarget,
  timeoutMs: number,
  useRaw: boolean,
  done: (stream: ByteStream | null, error: string | null) => void,
): void {
  if (useRaw && canConnectRaw(target)) connectRaw(loop, target, timeoutMs, KEEPALIVE_SECONDS, done);
  else dialSocket(loop, target, timeoutMs, useRaw, done);
}

function dialSocket(
  loop: IoLoop,
  target: DialTarget,
  timeoutMs: number,
  useRaw: boolean,
  done: (stream: ByteStream | null, error: string | null) => void,
): void {
  const socket = net.connect({
    ...target,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_SECONDS * 1000,
    allowHalfOpen: true,
  });
  let isSettled = false;
  const settle = (error: string | null): void => {
    if (isSettled) return;
    isSettled = true;
    clearTimeout(timer);
    socket.removeAllListeners();
    if (error !== null) {
      // A late error of the abandoned socket must not end the process.
      socket.on('error', () => undefined);
      socket.destroy();
      done(null, error);
    } else {
      done(useRaw ? new RawStream(loop, takeHandle(socket)) : new SocketStream(loop, socket), null);
    }
  };
  const timer = setTimeout(() => settle(`no connection within ${timeoutMs} ms`), timeoutMs);
  socket.once('connect', () => settle(null));
  // A name with several addresses gives one error for all, which has a code but no message.
  socket.once('error', (error: NodeJS.ErrnoException) =>
    settle(error.message || (error.code ?? 'no connection')),
  );
}
