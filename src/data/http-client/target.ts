/** Where an upstream is: host and port, with TLS or without, or a unix socket; and how a connection to it is opened. */
import net from 'node:net';
import tls from 'node:tls';
import { type ByteStream, dial, type IoLoop, SocketStream } from '../transport/index.js';

export type HttpTarget =
  | {
      readonly host: string;
      readonly port: number;
      /** Name that the certificate must have; null for plain HTTP. */
      readonly tlsName: string | null;
      /** Asked at each connect in place of the system: gives addresses that were checked before. */
      readonly lookup?: net.LookupFunction;
    }
  | { readonly path: string };

const UNIX = 'unix://';

/**
 * Reads `host:port`, `host`, `[v6]:port` or `unix:///path`; null when it is none of them.
 * @param defaultPort when the text names none
 * @param tlsName makes it a TLS target; the empty string means the host itself
 */
export function parseTarget(
  address: string,
  defaultPort: number,
  tlsName: string | null = null,
): HttpTarget | null {
  if (address.startsWith(UNIX)) {
    const path = address.slice(UNIX.length);
    return path === '' || path.includes('\0') ? null : { path };
  }
  const found = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/?#[\]@\0]+))(?::(\d{1,5}))?$/.exec(address);
  if (found === null) return null;
  const host = found[1] ?? found[2]!;
  const port = found[3] === undefined ? defaultPort : Number(found[3]);
  if (port < 1 || port > 65535) return null;
  return { host, port, tlsName: tlsName === '' ? host : tlsName };
}

/** `host:port` or `unix:path`: for reports and as the key of a table of upstreams. */
export function targetName(target: HttpTarget): string {
  if ('path' in target) return `unix:${target.path}`;
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  return target.tlsName === null ? `${host}:${target.port}` : `https://${host}:${target.port}`;
}

/** Why there is no connection, in the words of the system: its error code stands in `text`. */
export interface DialTrouble {
  readonly kind: 'refused' | 'connect-timeout';
  readonly text: string;
}

/** Calls `done` once with a stream or with the trouble. */
export function dialTarget(
  loop: IoLoop,
  target: HttpTarget,
  timeoutMs: number,
  useRaw: boolean,
  done: (stream: ByteStream | null, trouble: DialTrouble | null) => void,
): void {
  if ('path' in target || target.tlsName === null) {
    const startedMs = loop.clock.nowMs();
    dial(loop, target, timeoutMs, useRaw, (stream, error) => {
      if (stream !== null) {
        done(stream, null);
        return;
      }
      // The system's own ETIMEDOUT is one, too; a refusal within the time is not.
      const isLate = loop.clock.nowMs() - startedMs >= timeoutMs || /\bETIMEDOUT\b/.test(error ?? '');
      done(null, { kind: isLate ? 'connect-timeout' : 'refused', text: error || 'no connection' });
    });
    return;
  }
  dialTls(loop, target, target.tlsName, timeoutMs, done);
}

function dialTls(
  loop: IoLoop,
  target: { readonly host: string; readonly port: number; readonly lookup?: net.LookupFunction },
  name: string,
  timeoutMs: number,
  done: (stream: ByteStream | null, trouble: DialTrouble | null) => void,
): void {
  // An address is no server name: RFC 6066. The certificate is checked against `host` then.
  const servername = net.isIP(name) === 0 ? { servername: name } : {};
  const { host, port, lookup } = target;
  const checked = lookup === undefined ? {} : { lookup };
  const socket = tls.connect({ host, port, ...checked, ...servername, ALPNProtocols: ['http/1.1'] });
  socket.setNoDelay(true);
  let isSettled = false;
  const settle = (trouble: DialTrouble | null): void => {
    if (isSettled) return;
    isSettled = true;
    clearTimeout(timer);
    socket.removeListener('secureConnect', onConnected);
    socket.removeListener('error', onError);
    if (trouble === null) {
      done(new SocketStream(loop, socket), null);
      return;
    }
    // A late error of the abandoned socket must not end the process.
    socket.on('error', () => undefined);
    socket.destroy();
    done(null, trouble);
  };
  const onConnected = (): void => settle(null);
  const onError = (error: Error): void => settle({ kind: 'refused', text: error.message });
  const timer = setTimeout(
    () => settle({ kind: 'connect-timeout', text: `no connection within ${timeoutMs} ms` }),
    timeoutMs,
  );
  socket.once('secureConnect', onConnected);
  socket.once('error', onError);
}
