/**
 * A relay between two peers that keeps what passes: for claims about bytes that neither side can see, like the gzip bit.
 * It reads Motan2 frames with code of its own, so that a mistake in the product's codec cannot hide itself.
 */
import { once } from 'node:events';
import net from 'node:net';
import { atEnd } from './support.js';

const HEADER_BYTES = 13;

/** The header of one Motan2 frame that passed. */
export interface TappedFrame {
  readonly towards: 'server' | 'client';
  readonly isHeartbeat: boolean;
  readonly isGzip: boolean;
  readonly isProxied: boolean;
  readonly serialization: number;
  readonly requestId: bigint;
  readonly metaBytes: number;
  readonly bodyBytes: number;
}

export class Tap {
  readonly port: number;
  /** All frames since the start, in the order in which they were complete. */
  readonly frames: TappedFrame[] = [];

  constructor(port: number) {
    this.port = port;
  }
}

/** Listens on a port of its own and relays every connection to `target` on loopback. */
export async function startTap(target: number): Promise<Tap> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    const upstream = net.connect(target, '127.0.0.1');
    relay(client, upstream, (frame) => tap.frames.push(toFrame(frame, 'server')), sockets);
    relay(upstream, client, (frame) => tap.frames.push(toFrame(frame, 'client')), sockets);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const tap = new Tap((server.address() as net.AddressInfo).port);
  atEnd(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return tap;
}

function relay(
  from: net.Socket,
  to: net.Socket,
  onFrame: (frame: Buffer) => void,
  sockets: Set<net.Socket>,
): void {
  sockets.add(from);
  let rest: Buffer = Buffer.alloc(0);
  from.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (let size = frameBytes(rest); size !== null; size = frameBytes(rest)) {
      onFrame(rest.subarray(0, size));
      rest = rest.subarray(size);
    }
    to.write(chunk);
  });
  from.on('close', () => to.destroy());
  from.on('error', () => to.destroy()); // an end like any other: the peers tell their tests about it
}

/** Size of the frame at the beginning, or null while it is not whole. */
function frameBytes(bytes: Buffer): number | null {
  if (bytes.length < HEADER_BYTES + 4) return null;
  const bodySizeAt = HEADER_BYTES + 4 + bytes.readUInt32BE(HEADER_BYTES);
  if (bytes.length < bodySizeAt + 4) return null;
  const size = bodySizeAt + 4 + bytes.readUInt32BE(bodySizeAt);
  return bytes.length < size ? null : size;
}

function toFrame(bytes: Buffer, towards: TappedFrame['towards']): TappedFrame {
  const type = bytes.readUInt8(2);
  const metaBytes = bytes.readUInt32BE(HEADER_BYTES);
  return {
    towards,
    isHeartbeat: (type & 0x10) !== 0,
    isGzip: (type & 0x08) !== 0,
    isProxied: (type & 0x02) !== 0,
    serialization: bytes.readUInt8(4) >> 3,
    requestId: bytes.readBigUInt64BE(5),
    metaBytes,
    bodyBytes: bytes.readUInt32BE(HEADER_BYTES + 4 + metaBytes),
  };
}
