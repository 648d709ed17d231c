/** CONNECT tunnels between raw sockets. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { until } from '../../support/clock.js';
import { type ProxyOptions, type ProxyScene, proxyScene } from './proxy-scene.js';
import { domain, type RawCaller } from './server-scene.js';

interface Scene extends ProxyScene {
  readonly port: number;
  /** Sockets that the server behind the tunnel got, oldest first. */
  readonly sockets: net.Socket[];
  readonly received: Buffer[];
  socket(index: number): Promise<net.Socket>;
}

async function tunnelScene(
  t: TestContext,
  options: ProxyOptions = {},
  onSocket: (socket: net.Socket) => void = () => undefined,
): Promise<Scene> {
  const sockets: net.Socket[] = [];
  const received: Buffer[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
    if (socket.listenerCount('data') === 0 && !socket.isPaused()) {
      socket.on('data', (bytes: Buffer) => received.push(bytes));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const proxy = await proxyScene(t, options);
  return {
    ...proxy,
    port: (server.address() as net.AddressInfo).port,
    sockets,
    received,
    async socket(index) {
      await until(`connection ${index} at the server`, () => sockets.length > index);
      return sockets[index]!;
    },
  };
}

/** A caller whose tunnel is open. */
async function opened({ scene, port }: Scene, more = ''): Promise<RawCaller> {
  const caller = await scene.caller();
  caller.send(`CONNECT backend.test:${port} HTTP/1.1\r\nHost: backend.test:${port}\r\n\r\n${more}`);
  const answer = await caller.answer('CONNECT');
  assert.equal(answer.status, 200);
  assert.equal(answer.fields.get('content-length'), undefined);
  assert.equal(answer.fields.get('transfer-encoding'), undefined);
  assert.ok(answer.fields.has('date'));
  return caller;
}

function text(pieces: readonly Buffer[]): string {
  return Buffer.concat(pieces).toString('latin1');
}

for (const useRaw of [true, false]) {
  test(`bytes go both ways as they come${useRaw ? '' : ', on the public API of Node too'}`, async (t) => {
    const scene = await tunnelScene(t, { useRaw });
    const caller = await opened(scene);
    const server = await scene.socket(0);

    caller.send('\x16\x03\x00 not http \r\n\r\n');
    await until('the bytes', () => text(scene.received) === '\x16\x03\x00 not http \r\n\r\n');
    server.write('HTTP/1.1 400 No\r\n');
    await until('the answer', () => caller.received.toString('latin1') === 'HTTP/1.1 400 No\r\n');

    assert.equal(scene.scene.server.report().inFlight, 1);
    caller.close();
  });
}

test('bytes right behind the head are forwarded', async (t) => {
  const scene = await tunnelScene(t);

  const caller = await opened(scene, 'GET / early');

  await until('the early bytes', () => text(scene.received) === 'GET / early');
  caller.close();
});

test('a caller that has said all still gets its answer', async (t) => {
  const scene = await tunnelScene(t);
  const caller = await opened(scene);
  const server = await scene.socket(0);
  let hasEnded = false;
  server.on('end', () => {
    hasEnded = true;
  });

  caller.send('question');
  caller.socket.end();
  await until('the end of the question', () => hasEnded);
  assert.equal(text(scene.received), 'question');
  server.write('the whole ');
  server.end('answer');

  assert.equal(await caller.ended(), 'the whole answer');
  await until('the tunnel is over', () => scene.tunnels.open === 0);
  assert.equal(scene.scene.server.report().ok, 1);
});

test('a server that has said all still gets what the caller sends', async (t) => {
  const scene = await tunnelScene(t);
  const caller = await opened(scene);
  const server = await scene.socket(0);

  server.end('hello');
  assert.equal(await caller.ended(), 'hello');
  caller.send('more');
  await until('what came later', () => text(scene.received) === 'more');
  caller.socket.end();

  await until('the tunnel is over', () => scene.tunnels.open === 0);
  assert.equal(scene.scene.server.report().ok, 1);
});

test('an answer is not lost when the server closes under late bytes of the caller', async (t) => {
  const scene = await tunnelScene(t);
  const caller = await opened(scene);
  const server = await scene.socket(0);

  server.end('the answer', () => server.destroy());
  caller.send('late');
  const received = await caller.ended();
  caller.send('later');
  caller.socket.end();

  assert.equal(received, 'the answer');
  await until('the tunnel is over', () => scene.tunnels.open === 0);
});

test('a server that resets ends the caller, and the tunnel has failed', async (t) => {
  const scene = await tunnelScene(t);
  const caller = await opened(scene);
  const server = await scene.socket(0);

  server.resetAndDestroy();

  await caller.ended();
  await until('the request is counted', () => scene.scene.server.report().failed === 1);
  assert.equal(scene.tunnels.open, 0);
});

test('a caller that resets ends the connection to the server', async (t) => {
  const scene = await tunnelScene(t);
  const caller = await opened(scene);
  const server = await scene.socket(0);

  caller.socket.resetAndDestroy();

  await until('the server is let go', () => server.destroyed || server.readableEnded);
  await until('the tunnel is over', () => scene.tunnels.open === 0);
  assert.equal(scene.scene.server.report().inFlight, 0);
});

test('a tunnel in which nothing moves is closed', async (t) => {
  const scene = await tunnelScene(t, { tunnelIdleMs: 60 });
  const caller = await opened(scene);

  await caller.ended();

  assert.equal(scene.tunnels.open, 0);
  const line = scene.logger.entries.find((entry) => entry.message === 'http-connect')!;
  assert.match((line.fields as { trouble: string }).trouble, /nothing moved for 60 ms/);
});

test('a tunnel that is used lives on beyond its idle time', async (t) => {
  const scene = await tunnelScene(t, { tunnelIdleMs: 500 });
  const caller = await opened(scene);
  const server = await scene.socket(0);
  const startedMs = performance.now();

  for (let count = 0; performance.now() - startedMs < 1200; count += 1) {
    if (count % 2 === 0) server.write('s');
    else caller.send('c');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }

  assert.equal(scene.tunnels.open, 1);
  caller.close();
});

test('a target that no entry names is refused before anything is connected', async (t) => {
  const scene = await tunnelScene(t, { http: { allow: ['backend.test:443'] } });

  const answer = await scene.scene.ask(
    `CONNECT backend.test:${scene.port} HTTP/1.1\r\nHost: h\r\n\r\n`,
    'CONNECT',
  );

  assert.equal(answer.status, 403);
  assert.match(answer.body.toString(), /httpProxyAllow/);
  assert.equal(scene.sockets.length, 0);
});

test('the domain of an http-client needs an entry, too', async (t) => {
  const domains = [domain('backend.test', () => undefined)];
  const scene = await tunnelScene(t, { http: { allow: [] }, domains });

  const answer = await scene.scene.ask('CONNECT backend.test:80 HTTP/1.1\r\nHost: h\r\n\r\n', 'CONNECT');

  assert.equal(answer.status, 403);
});

test('no tunnel leads to the agent itself', async (t) => {
  const scene = await tunnelScene(t, { http: { allow: ['*', '127.0.0.0/8', 'backend.test', '::1'] } });
  const { port } = scene.scene.server;

  for (const host of [
    'backend.test',
    '127.0.0.1',
    '127.0.0.2',
    '2130706433',
    '[::1]',
    '[::ffff:7f00:1]',
    '0.0.0.0',
  ]) {
    const answer = await scene.scene.ask(`CONNECT ${host}:${port} HTTP/1.1\r\nHost: h\r\n\r\n`, 'CONNECT');
    assert.equal(answer.status, 403, host);
  }
});

test('a server that does not listen is 502 without a body', async (t) => {
  const scene = await tunnelScene(t);
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));

  const answer = await scene.scene.ask(`CONNECT backend.test:${port} HTTP/1.1\r\nHost: h\r\n\r\n`, 'GET');

  assert.equal(answer.status, 502);
  assert.equal(answer.fields.get('server'), 'motan');
  assert.equal(answer.body.length, 0);
  assert.equal(scene.scene.server.report().failed, 1);
});

/** Port of a process that listens and never accepts. */
async function deafPort(t: TestContext): Promise<number> {
  const script = `
    const server = require('node:net').createServer();
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:fs').writeSync(1, String(server.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const deaf = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => deaf.kill('SIGKILL'));
  const [port] = (await once(deaf.stdout, 'data')) as [Buffer];
  return Number(port.toString());
}

test('a connect that takes too long is 502', async (t) => {
  const port = await deafPort(t);
  // The system lets in as many as may wait to be accepted; it does not answer those behind them.
  const waiting = Array.from({ length: 4 }, () =>
    net.connect(port, '127.0.0.1').on('error', () => undefined),
  );
  t.after(() => {
    for (const socket of waiting) socket.destroy();
  });
  await until('two that wait', () => waiting.filter((socket) => !socket.connecting).length >= 2);
  const scene = await proxyScene(t, { http: { upstreamTimeoutMs: 100 } });

  const answer = await scene.scene.ask(`CONNECT backend.test:${port} HTTP/1.1\r\nHost: h\r\n\r\n`, 'GET');

  assert.equal(answer.status, 502);
  const line = scene.logger.entries.find((entry) => entry.message === 'http-connect')!;
  assert.match((line.fields as { trouble: string }).trouble, /within 100 ms/);
});

test('a caller that leaves while the server is dialled leaves nothing behind', async (t) => {
  let look: (() => void) | null = null;
  const scene = await tunnelScene(t, { lookup: (_name, done) => (look = () => done(null, ['127.0.0.1'])) });
  const caller = await scene.scene.caller();

  caller.send(`CONNECT backend.test:${scene.port} HTTP/1.1\r\nHost: h\r\n\r\n`);
  await until('the lookup', () => look !== null);
  caller.socket.resetAndDestroy();
  look!();

  await until('nothing is left', () => scene.scene.server.report().connections === 0);
  await until('no connection to the server', () =>
    scene.sockets.every((socket) => socket.destroyed || socket.readableEnded),
  );
  assert.equal(scene.tunnels.open, 0);
});

const MIB = 1024 * 1024;

test('a server that takes nothing stops the caller', async (t) => {
  const scene = await tunnelScene(t, {}, (socket) => socket.pause());
  const caller = await opened(scene);
  let taken = 0;

  for (let count = 0; count < 64; count += 1) {
    caller.socket.write(Buffer.alloc(MIB), (error) => {
      if (!error) taken += MIB;
    });
  }
  await steady(() => taken);
  assert.ok(taken < 32 * MIB, `${taken / MIB} MiB were taken`);

  let received = 0;
  const server = scene.sockets[0]!;
  server.on('data', (bytes: Buffer) => {
    received += bytes.length;
  });
  server.resume();
  await until('all of it', () => received === 64 * MIB, 20_000);
  caller.close();
});

test('a caller that takes nothing stops the server', async (t) => {
  const scene = await tunnelScene(t);
  const caller = await opened(scene);
  const server = await scene.socket(0);
  let taken = 0;

  caller.socket.pause();
  for (let count = 0; count < 64; count += 1) {
    server.write(Buffer.alloc(MIB), (error) => {
      if (!error) taken += MIB;
    });
  }
  await steady(() => taken);
  assert.ok(taken < 32 * MIB, `${taken / MIB} MiB were taken`);

  caller.socket.resume();
  await until('all of it', () => taken === 64 * MIB, 20_000);
  caller.close();
});

test('tunnels do not hold up the end of the agent', async (t) => {
  const scene = await tunnelScene(t);
  const caller = await opened(scene);
  const startedMs = performance.now();

  scene.tunnels.drain();
  const left = await scene.scene.server.drain(10_000);

  assert.equal(left, 0);
  assert.ok(performance.now() - startedMs < 5000);
  await caller.ended();
});

test('a tunnel in use may go on while the agent stops, until its time is over', async (t) => {
  const scene = await tunnelScene(t);
  const caller = await opened(scene);
  const server = await scene.socket(0);
  const ticker = setInterval(() => server.write('x'), 50);
  t.after(() => clearInterval(ticker));

  scene.tunnels.drain();
  const left = await scene.scene.server.drain(1800);
  clearInterval(ticker);

  assert.equal(left, 1);
  await caller.ended();
});

/** Waits until `value` is above 0 and has not changed for a while. */
async function steady(value: () => number): Promise<void> {
  let last = 0;
  let sinceMs = performance.now();
  await until('a standstill', () => {
    const now = value();
    if (now !== last) {
      last = now;
      sinceMs = performance.now();
    }
    return now > 0 && performance.now() - sinceMs > 300;
  });
}
