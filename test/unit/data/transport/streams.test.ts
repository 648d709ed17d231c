/** Both kinds of stream, on real sockets: what holds for one holds for the other. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import type { ByteStream, StreamOwner } from '../../../../src/data/transport/byte-stream.js';
import { WRITE_STALL_MS } from '../../../../src/data/transport/byte-stream.js';
import { IoLoop } from '../../../../src/data/transport/io-loop.js';
import { RawStream, takeHandle } from '../../../../src/data/transport/raw-stream.js';
import { SocketStream } from '../../../../src/data/transport/socket-stream.js';
import { FakeClock, until, within } from '../../../support/clock.js';

/** Keeps what comes. */
class Owner implements StreamOwner {
  readonly received: Buffer[] = [];
  readonly events: string[] = [];

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }

  onBytes(input: Buffer, _view: DataView, length: number): null {
    this.received.push(Buffer.from(input.subarray(0, length)));
    return null;
  }

  onDirectBytes(): null {
    return null;
  }

  onEnd(): void {
    this.events.push('end');
  }

  onDrained(): void {
    this.events.push('drained');
  }

  onClosed(error: string | null): void {
    this.events.push(`closed: ${error === null ? 'well' : 'badly'}`);
  }
}

interface Pair {
  readonly loop: IoLoop;
  readonly clock: FakeClock;
  readonly stream: ByteStream;
  readonly owner: Owner;
  readonly peer: net.Socket;
}

const KINDS: Record<string, (loop: IoLoop, socket: net.Socket) => ByteStream> = {
  RawStream: (loop, socket) => new RawStream(loop, takeHandle(socket)),
  SocketStream: (loop, socket) => new SocketStream(loop, socket),
};

async function connect(
  t: TestContext,
  make: (loop: IoLoop, socket: net.Socket) => ByteStream,
): Promise<Pair> {
  const clock = new FakeClock();
  const loop = new IoLoop(clock);
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  const peer = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  peer.on('error', () => undefined); // resets are part of the tests
  const stream = make(loop, await within('a connection', accepted));
  const owner = new Owner();
  stream.owner = owner;
  t.after(() => {
    stream.close(null);
    peer.destroy();
    server.close();
    loop.close();
  });
  return { loop, clock, stream, owner, peer };
}

function write(stream: ByteStream, bytes: Buffer): void {
  const chunk = stream.reserve(bytes.length);
  bytes.copy(chunk.bytes, chunk.used);
  chunk.used += bytes.length;
}

function receive(peer: net.Socket): { bytes: () => Buffer; ended: Promise<void> } {
  const received: Buffer[] = [];
  peer.on('data', (bytes) => received.push(bytes));
  return { bytes: () => Buffer.concat(received), ended: new Promise((resolve) => peer.once('end', resolve)) };
}

for (const [kind, make] of Object.entries(KINDS)) {
  test(`${kind}: bytes come in and go out in order`, async (t) => {
    const { stream, owner, peer } = await connect(t, make);
    const got = receive(peer);

    peer.write('hello');
    write(stream, Buffer.from('one,'));
    stream.appendBuffer(Buffer.from('two,'));
    write(stream, Buffer.from('three'));
    await until('both have all', () => owner.bytes.length === 5 && got.bytes().length === 13);

    assert.equal(owner.bytes.toString(), 'hello');
    assert.equal(got.bytes().toString(), 'one,two,three');
    assert.equal(stream.remoteHost, '127.0.0.1');
    assert.deepEqual([stream.bytesOut, stream.pendingBytes], [13, 0]);
  });

  test(`${kind}: chunks and references of any size arrive whole`, async (t) => {
    const { stream, peer } = await connect(t, make);
    const got = receive(peer);
    const parts = Array.from({ length: 200 }, (_, index) => randomBytes(1 + ((index * 7919) % 65_000)));

    for (const [index, part] of parts.entries()) {
      if (index % 3 === 0) stream.appendBuffer(part);
      else write(stream, part);
      if (index % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const all = Buffer.concat(parts);
    await until('all has arrived', () => got.bytes().length === all.length);

    assert.ok(got.bytes().equals(all));
  });

  test(`${kind}: what the peer does not take waits, and is told when it is gone`, async (t) => {
    const { stream, owner, peer } = await connect(t, make);
    peer.pause();
    const body = randomBytes(30_000_000);

    stream.appendBuffer(body);
    stream.notifyWhenDrained();
    await until('the kernel is full', () => stream.pendingBytes > 0);
    write(stream, Buffer.from('behind'));
    assert.deepEqual(owner.events, []);
    const got = receive(peer);
    peer.resume();
    await until('all has arrived', () => got.bytes().length === body.length + 6);

    await until('the owner is told', () => owner.events.length > 0);
    assert.deepEqual(owner.events, ['drained']);
    assert.ok(got.bytes().equals(Buffer.concat([body, Buffer.from('behind')])));
  });

  test(`${kind}: a peer that takes nothing for too long is given up`, async (t) => {
    const { loop, clock, stream, owner, peer } = await connect(t, make);
    peer.pause();
    stream.appendBuffer(Buffer.alloc(30_000_000));
    await until('the kernel is full', () => stream.pendingBytes > 0 && loop.timers.size === 1);

    clock.advanceMs(WRITE_STALL_MS - 100);
    loop.timers.advance();
    assert.equal(stream.isClosed, false);
    clock.advanceMs(200);
    loop.timers.advance();

    assert.equal(stream.isClosed, true);
    assert.deepEqual(owner.events, ['closed: badly']);
    assert.equal(loop.timers.size, 0);
  });

  test(`${kind}: an end of the peer is told and answers still go out`, async (t) => {
    const { stream, owner, peer } = await connect(t, make);
    const got = receive(peer);

    peer.end('question');
    await until('the end is told', () => owner.events.includes('end'));
    write(stream, Buffer.from('answer'));
    stream.closeWhenWritten();
    await within('the end', got.ended);

    assert.equal(owner.bytes.toString(), 'question');
    assert.equal(got.bytes().toString(), 'answer');
    await until('the stream is closed', () => stream.isClosed);
    assert.deepEqual(owner.events, ['end', 'closed: well']);
  });

  test(`${kind}: after its own end it still reads`, async (t) => {
    const { stream, owner, peer } = await connect(t, make);
    const got = receive(peer);

    write(stream, Buffer.from('last words'));
    stream.end();
    await within('the end', got.ended);
    peer.write('reply');
    await until('the reply has come', () => owner.bytes.length === 5);

    assert.equal(got.bytes().toString(), 'last words');
    assert.equal(stream.isClosed, false);
  });

  test(`${kind}: a pause holds bytes back until it is over`, async (t) => {
    const { stream, owner, peer } = await connect(t, make);
    peer.write('a');
    await until('the first has come', () => owner.bytes.length === 1);

    stream.pauseReading();
    await new Promise<void>((resolve) => peer.write('b', () => resolve()));
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(owner.bytes.toString(), 'a');
    stream.resumeReading();
    await until('the second has come', () => owner.bytes.length === 2);

    assert.equal(owner.bytes.toString(), 'ab');
  });

  test(`${kind}: a reset is told once`, async (t) => {
    const { stream, owner, peer } = await connect(t, make);
    peer.write('x');
    await until('it has come', () => owner.bytes.length === 1);

    peer.resetAndDestroy();
    await until('the stream is closed', () => stream.isClosed);
    stream.close(null);

    assert.deepEqual(owner.events, ['closed: badly']);
  });

  test(`${kind}: closing with bytes under way loses them and nothing else`, async (t) => {
    const { stream, owner, peer } = await connect(t, make);
    peer.pause();
    stream.appendBuffer(Buffer.alloc(30_000_000));
    await until('the kernel is full', () => stream.pendingBytes > 0);

    stream.close('enough');
    write(stream, Buffer.from('too late'));
    await new Promise((resolve) => setImmediate(resolve));

    assert.deepEqual(owner.events, ['closed: badly']);
    assert.equal(stream.loop.timers.size, 0);
  });
}
