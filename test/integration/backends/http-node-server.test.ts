/** Provider http in front of a real node:http server, with the connections that it keeps, drops and encrypts. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { callHead, simple } from '../../support/backend-call.js';
import { seededRandom, until } from '../../support/clock.js';
import { answerText } from '../../support/http-backend.js';
import { type HttpScene, httpScene } from './http-scene.js';

async function nodeScene(
  t: TestContext,
  listener: http.RequestListener,
  options: http.ServerOptions = {},
): Promise<{ scene: HttpScene; server: http.Server }> {
  const server = http.createServer(options, listener);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as net.AddressInfo;
  const parameters = {
    proxyAddress: `127.0.0.1:${port}`,
    enableRewrite: 'false',
    domain: 'd',
    requestTimeout: '3000',
  };
  const scene = await httpScene(t, (_, connection) => connection.send(answerText(500, 'the wrong backend')), {
    parameters,
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { scene, server };
}

const echo: http.RequestListener = (request, response) => {
  response.setHeader('x-url', request.url ?? '');
  request.pipe(response);
};

test('calls at the same time each get their own answer', async (t) => {
  const { scene } = await nodeScene(t, echo);
  const random = seededRandom(7);
  const bodies = Array.from({ length: 200 }, (_, index) =>
    Buffer.alloc(1 + Math.floor(random() * 40_000), `call ${index};`),
  );
  const head = callHead('/p', { HTTP_Method: 'POST' });

  const answers = await Promise.all(bodies.map((body) => scene.call(head, { body: simple.bytes(body) })));

  for (const [index, { body }] of answers.entries())
    assert.ok(body.equals(simple.bytes(bodies[index]!)), `call ${index}`);
  assert.equal(scene.provider.report().inFlight, 0);
});

test('no idempotent call is lost to a server that drops kept connections early and at odd times', async (t) => {
  const random = seededRandom(11);
  const { scene, server } = await nodeScene(t, (request, response) => {
    if (random() < 0.3) request.socket.setTimeout(1, () => request.socket.destroy());
    echo(request, response);
  });
  server.keepAliveTimeout = 3;
  const failures: string[] = [];

  for (let count = 0; count < 150; count += 1) {
    const { reply } = await scene.call(`/${count}`);
    if (reply.failure !== null) failures.push(reply.failure.message);
    const restMs = performance.now() + random() * 6;
    await until('a while', () => performance.now() > restMs);
  }

  assert.deepEqual(failures, []);
  const { details } = scene.provider.report();
  assert.ok(Number(details.opened) > 1, 'the server kept everything');
});

test('a large answer in chunks is whole', async (t) => {
  const piece = Buffer.alloc(100_000, 'chunk');
  const { scene } = await nodeScene(t, (_request, response) => {
    for (let count = 0; count < 40; count += 1) response.write(piece);
    response.end();
  });

  const { body } = await scene.call('/p');

  assert.equal(body.length, 5 + 40 * piece.length);
});

test('an interim answer is not the answer', async (t) => {
  const { scene } = await nodeScene(t, (_request, response) => {
    response.writeProcessing();
    response.end('the answer');
  });

  assert.deepEqual((await scene.call('/p')).body, simple.bytes('the answer'));
});

const hasOpenssl = runs('openssl', ['version']);

test('a backend with a certificate that is trusted is called over TLS', {
  skip: hasOpenssl ? false : 'openssl is missing',
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'peony-tls-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', ...kind, '-keyout', key, '-out', certificate, ...subject], {
    stdio: 'ignore',
  });
  const server = https.createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, echo);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as net.AddressInfo;

  const trusting = await callInProcess(port, { NODE_EXTRA_CA_CERTS: certificate });
  const strange = await callInProcess(port, {});

  assert.equal(trusting, 'ok 300000 1');
  assert.match(strange, /^E_BACKEND_DOWN .*self-signed certificate/);
});

/** What `https-call.ts` prints. Node reads the certificates that it trusts at its start. */
async function callInProcess(port: number, environment: Record<string, string>): Promise<string> {
  const program = fileURLToPath(new URL('https-call.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', program, String(port)], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (piece) => {
    text += String(piece);
  });
  await new Promise((resolve) => child.once('close', resolve));
  return text.trim();
}

function runs(program: string, options: string[]): boolean {
  try {
    execFileSync(program, options, { stdio: 'ignore' });
    return true;
  } catch {
    return false; // not there
  }
}
