/** Connecting, on handles and on the public API: the same words for the same trouble. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ByteStream, type DialTarget, dial, IoLoop } from '../../../../src/data/transport/index.js';
import { realClock } from '../../../support/clock.js';

interface Dialled {
  readonly stream: ByteStream | null;
  readonly error: string | null;
}

function dialled(t: TestContext, target: DialTarget, useRaw: boolean, timeoutMs = 2000): Promise<Dialled> {
  const loop = new IoLoop(realClock);
  t.after(() => loop.close());
  return new Promise((resolve) => {
    let hasReturned = false;
    dial(loop, target, timeoutMs, useRaw, (stream, error) => {
      assert.ok(hasReturned, 'told only after dial has returned');
      if (stream !== null) t.after(() => stream.close(null));
      resolve({ stream, error });
    });
    hasReturned = true;
  });
}

async function listening(t: TestContext, address: net.ListenOptions): Promise<net.Server> {
  const server = net.createServer((socket) => socket.end('hello')).listen(address);
  await once(server, 'listening');
  t.after(() => server.close());
  return server;
}

/** All bytes until the end. */
function read(stream: ByteStream): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    stream.owner = {
      onBytes(input, _view, length) {
        text += input.toString('latin1', 0, length);
        return null;
      },
      onDirectBytes: () => null,
      onEnd: () => stream.close(null),
      onDrained() {},
      onClosed: () => resolve(text),
    };
  });
}

function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'peony-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

for (const useRaw of [true, false]) {
  const how = useRaw ? 'a handle' : 'a socket';

  test(`${how} connects to addresses, names and unix sockets`, async (t) => {
    const tcp = (await listening(t, { host: '127.0.0.1', port: 0 })).address() as net.AddressInfo;
    const path = join(makeFolder(t), 's.sock');
    await listening(t, { path });

    for (const target of [
      { host: '127.0.0.1', port: tcp.port },
      { host: 'localhost', port: tcp.port },
      { path },
    ]) {
      const { stream, error } = await dialled(t, target, useRaw);
      assert.equal(error, null);
      assert.equal(await read(stream!), 'hello');
    }
  });

  test(`${how} tells who refuses, and why`, async (t) => {
    const server = await listening(t, { host: '127.0.0.1', port: 0 });
    const { port } = server.address() as net.AddressInfo;
    server.close();
    await once(server, 'close');
    const path = join(makeFolder(t), 'nobody.sock');

    assert.equal(
      (await dialled(t, { host: '127.0.0.1', port }, useRaw)).error,
      `connect ECONNREFUSED 127.0.0.1:${port}`,
    );
    assert.equal((await dialled(t, { path }, useRaw)).error, `connect ENOENT ${path}`);
  });
}

test('an address of IPv6 is connected to where the machine has one', async (t) => {
  const server = net.createServer((socket) => socket.end('hello')).listen(0, '::1');
  const found = await Promise.race([once(server, 'listening'), once(server, 'error')]);
  if (found[0] instanceof Error) return t.skip('no IPv6 on this machine');
  t.after(() => server.close());
  const { port } = server.address() as net.AddressInfo;

  const { stream } = await dialled(t, { host: '::1', port }, true);

  assert.equal(await read(stream!), 'hello');
});
