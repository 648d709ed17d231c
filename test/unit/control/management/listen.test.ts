/** Over real sockets on loopback: listening, limits, closing. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import {
  createManagementServer,
  type ManagementAddress,
  type ManagementServer,
  readManagementToken,
} from '../../../../src/control/management/index.js';
import { silentLogger } from '../../../../src/core/index.js';
import { FakeView } from './fake-view.js';

let directory: string;
let view: FakeView;
const closing: { close(): unknown }[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'management-'));
  view = new FakeView();
});

afterEach(async () => {
  for (const one of closing.splice(0)) await one.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

function makeServer(address: Partial<ManagementAddress>): ManagementServer {
  const server = createManagementServer(view, {
    address: { host: '127.0.0.1', port: 0, portRange: null, unixSock: null, ...address },
    token: null,
    hostNames: [],
    logger: silentLogger,
  });
  closing.push(server);
  return server;
}

async function listenSomewhere(where: net.ListenOptions): Promise<net.Server> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(where, resolve));
  closing.push({ close: () => new Promise((resolve) => server.close(resolve)) });
  return server;
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

async function request(options: http.RequestOptions): Promise<{ status: number; body: string }> {
  return await new Promise((resolve, reject) => {
    const sent = http.request({ agent: false, ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode!, body: Buffer.concat(chunks).toString() }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}

test('listens on a port and switches the status for a loopback peer', async () => {
  const port = portOf(await makeServer({}).listen());

  const answer = await request({ port, host: '127.0.0.1', path: '/200' });
  const head = await request({ port, host: '127.0.0.1', path: '/', method: 'HEAD' });

  assert.deepEqual(answer, { status: 200, body: 'ok.' });
  assert.deepEqual(head, { status: 200, body: '' });
});

test('without a host it listens on all interfaces', async () => {
  const port = portOf(await makeServer({ host: '' }).listen());

  const answer = await request({ port, host: '127.0.0.1', path: '/version' });

  assert.equal(answer.body, '1.2.0');
});

test('a busy port is an error that names it', async () => {
  const busy = await listenSomewhere({ port: 0, host: '127.0.0.1' });
  const { port } = busy.address() as net.AddressInfo;

  await assert.rejects(makeServer({ port }).listen(), {
    code: 'E_PORT_BUSY',
    message: new RegExp(String(port)),
  });
});

test('a range gives the first free port, and is an error when all are busy', async () => {
  const busy = await listenSomewhere({ port: 0, host: '127.0.0.1' });
  const { port } = busy.address() as net.AddressInfo;

  const found = portOf(await makeServer({ portRange: [port, port + 20] }).listen());
  const full = makeServer({ portRange: [port, port] });

  assert.ok(found > port && found <= port + 20);
  await assert.rejects(full.listen(), { code: 'E_PORT_BUSY' });
});

test('a unix socket serves who may open it, and is gone after close', async () => {
  const unixSock = path.join(directory, 'm.sock');
  const server = makeServer({ unixSock });

  const address = await server.listen();
  const mode = fs.statSync(unixSock).mode & 0o777;
  const answer = await request({ socketPath: unixSock, path: '/200', headers: { host: 'whatever' } });
  await server.close();

  assert.equal(address, `unix:${unixSock}`);
  assert.equal(mode, 0o660);
  assert.equal(answer.body, 'ok.');
  assert.equal(fs.existsSync(unixSock), false);
});

test('the socket of a dead process is replaced', async () => {
  const unixSock = path.join(directory, 'm.sock');
  const moved = path.join(directory, 'old.sock');
  const dead = net.createServer();
  await new Promise<void>((resolve) => dead.listen(moved, resolve));
  fs.renameSync(moved, unixSock);
  await new Promise((resolve) => dead.close(resolve));

  await makeServer({ unixSock }).listen();

  assert.equal((await request({ socketPath: unixSock, path: '/version' })).body, '1.2.0');
});

test('the socket of a living process is not taken', async () => {
  const unixSock = path.join(directory, 'm.sock');
  await listenSomewhere({ path: unixSock });

  await assert.rejects(makeServer({ unixSock }).listen(), { code: 'E_PORT_BUSY' });
});

test('a file that is not a socket is never removed', async () => {
  const unixSock = path.join(directory, 'precious');
  fs.writeFileSync(unixSock, 'data');

  await assert.rejects(makeServer({ unixSock }).listen(), { code: 'E_SOCKET_PATH' });

  assert.equal(fs.readFileSync(unixSock, 'utf8'), 'data');
});

test('an absolute request target does not pass the guard', async () => {
  const port = portOf(await makeServer({}).listen());

  const answer = await request({
    port,
    host: '127.0.0.1',
    path: 'http://127.0.0.1/200',
    headers: { host: 'evil.example' },
  });

  assert.equal(answer.status, 403);
  assert.deepEqual(view.servingCalls, []);
});

test('headers beyond the limit are refused and the connection closed', async () => {
  const port = portOf(await makeServer({}).listen());

  const answer = await request({ port, host: '127.0.0.1', headers: { x: 'y'.repeat(20_000) } });

  assert.equal(answer.status, 431);
});

test('the server bounds the time of headers, of a request and of silence, and its connections', async () => {
  const server = makeServer({});
  await server.listen();

  const own = server.app.server as http.Server;

  assert.deepEqual(
    [own.headersTimeout, own.requestTimeout, own.timeout, own.maxConnections, own.keepAliveTimeout],
    [10_000, 30_000, 30_000, 512, 180_000],
  );
});

test('close ends idle connections and does not wait for their keep-alive', async () => {
  const server = makeServer({});
  const port = portOf(await server.listen());
  const socket = net.connect(port, '127.0.0.1');
  const answered = new Promise((resolve) => socket.once('data', resolve));
  const ended = new Promise((resolve) => socket.once('close', resolve));
  socket.write('GET /version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
  await answered;

  await server.close();

  await ended;
});

test('the token comes from the key or from the file, and a weak one is an error', async () => {
  const file = path.join(directory, 'token');
  fs.writeFileSync(file, 'abcdefabcdefabcdef\n');

  view.parameters = new Map([['managementToken', '0123456789abcdef']]);
  assert.equal(await readManagementToken(view.config()), '0123456789abcdef');
  view.parameters = new Map([['managementTokenFile', file]]);
  assert.equal(await readManagementToken(view.config()), 'abcdefabcdefabcdef');
  view.parameters = new Map();
  assert.equal(await readManagementToken(view.config()), null);
  view.parameters = new Map([['managementToken', 'short']]);
  await assert.rejects(readManagementToken(view.config()), { code: 'E_TOKEN' });
  view.parameters = new Map([['managementTokenFile', path.join(directory, 'none')]]);
  await assert.rejects(readManagementToken(view.config()), { code: 'E_TOKEN', message: /none/ });
});
