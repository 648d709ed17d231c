/** Counts the requests that go over a wire to a registry server, in the protocol of each kind. */
import type net from 'node:net';
import type { Wire } from '../../test/interop/registry-faults/wire.js';

type Count = (chunk: Buffer, socket: net.Socket) => number;

/** Frames with their length before them; one may end in a later chunk. */
function zookeeperCount(): Count {
  const rests = new WeakMap<net.Socket, Buffer>();
  return (chunk, socket) => {
    let rest = Buffer.concat([rests.get(socket) ?? Buffer.alloc(0), chunk]);
    let count = 0;
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      rest = rest.subarray(4 + rest.readInt32BE(0));
      count += 1;
    }
    rests.set(socket, rest);
    return count;
  };
}

/** What each request has once. */
function textCount(mark: RegExp): Count {
  return (chunk) => chunk.toString('latin1').match(mark)?.length ?? 0;
}

const COUNTS: Readonly<Record<string, () => Count>> = {
  zookeeper: zookeeperCount,
  consul: () => textCount(/ HTTP\/1\.1\r\n/g),
  redis: () => textCount(/(?:^|\r\n)\*\d+\r\n/g),
};

/** Counts from now on. */
export function countRequests(kind: string, wire: Wire): { count: number } {
  const seen = { count: 0 };
  const count = COUNTS[kind]!();
  wire.onSent = (chunk, socket) => {
    seen.count += count(chunk, socket);
  };
  return seen;
}
