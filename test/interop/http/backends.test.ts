/** nginx and a Node server as HTTP backends of an exported service, with connections that they close under the agent. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { type AgentConfig, agentKind, startAgent } from '../agent.js';
import { type AgentStatus, keepsBooks, listenerOf, statusOf } from '../books.js';
import { motanGo } from '../motan-go/peers.js';
import { accepts, atEnd, eventually, freePort, type Peer, peerTest, shared } from '../support.js';
import { type Echo, sha256, startBackend } from './backend.js';
import { type Answer, ask, type Question, valuesOf } from './client.js';
import { type Nginx, nginxPeer, startNginx, TEXT } from './nginx.js';

const peers: readonly Peer[] = agentKind === 'motan-go' ? [nginxPeer, motanGo] : [nginxPeer];

/** An exporting agent and one in front of it, both of the kind under test, for any number of backends: a domain each. */
async function startChain(backends: Record<string, string>) {
  const exportPort = await freePort();
  const httpPort = await freePort();
  const locations: Record<string, unknown> = {};
  const services: Record<string, unknown> = {};
  const clients: Record<string, unknown> = {};
  for (const [name, proxyAddress] of Object.entries(backends)) {
    const path = `peony.interop.${name}`;
    const common = { group: 'pages', protocol: 'motan2', requestTimeout: 5000 };
    const exported = { ...common, path, registry: 'none', provider: 'http', export: `motan2:${exportPort}` };
    services[name] = { ...exported, proxyAddress, domain: `${name}.example` };
    clients[name] = { ...common, domain: `${name}.example`, registry: 'behind', preload: path };
    locations[`${name}.example`] = [{ match: '/', type: 'start', upstream: path }];
  }
  const behind = await startAgent({
    'motan-registry': { none: { protocol: 'direct' } },
    'motan-service': services,
    'http-locations': locations,
  });
  await eventually('the export port accepts', 10_000, () => accepts(exportPort));
  const config: AgentConfig = {
    'motan-agent': { hport: httpPort, httpProxyEnable: true, host: '127.0.0.1' },
    'motan-registry': { behind: { protocol: 'direct', address: `127.0.0.1:${exportPort}` } },
    'http-client': clients,
    'http-locations': locations,
  };
  const front = await startAgent(config);
  await eventually('the HTTP port accepts', 10_000, () => accepts(httpPort));
  return { front, behind, httpPort };
}

const scene = shared(async () => {
  const app = await startBackend();
  const nginx = await startNginx(app.port);
  const hasty = await startHastyNode();
  const chain = await startChain({
    nginx: `127.0.0.1:${nginx.port}`,
    socket: `unix://${nginx.path}`,
    hasty: `127.0.0.1:${hasty}`,
  });
  return { nginx, app, ...chain };
});

/**
 * A Node server that closes idle connections at once and others after some requests; those that ask for `/said/crossed` just when the
 * second request is on its way, as a server does whose close crosses it.
 */
async function startHastyNode(): Promise<number> {
  const served = new WeakSet<net.Socket>();
  const server = http.createServer((request, response) => {
    if (request.url === '/said/crossed' && served.has(request.socket)) return void request.socket.destroy();
    served.add(request.socket);
    request.resume().on('end', () => response.end(`node ${request.url}`));
  });
  server.keepAliveTimeout = 20;
  server.maxRequestsPerSocket = 7;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(async () => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as net.AddressInfo).port;
}

const LISTENERS = { nginx: 'its port', socket: 'its unix socket' } as const;

for (const [name, listener] of Object.entries(LISTENERS)) {
  const host = `${name}.example`;
  const through = async (question: Question): Promise<{ nginx: Nginx; answer: Answer }> => {
    const { httpPort, nginx } = await scene();
    return { nginx, answer: await ask(httpPort, { host, ...question }) };
  };

  peerTest(`nginx on ${listener} answers`, peers, async () => {
    const { answer } = await through({ path: '/said/gr%C3%BCn?a=b%20c' });

    assert.deepEqual([answer.status, answer.body.toString()], [200, 'GET /said/gr%C3%BCn?a=b%20c']);
    assert.match(valuesOf(answer.fields, 'Server').join(), /^nginx\/[0-9.]+$/);
  });

  peerTest(`nginx on ${listener}: a file of 6 MiB comes byte for byte`, peers, async () => {
    const { answer, nginx } = await through({ path: '/files/large.bin' });

    assert.equal(answer.status, 200);
    assert.ok(answer.body.equals(nginx.large));
  });

  peerTest(`nginx on ${listener}: a part of a file, and nothing of it when it is known`, peers, async () => {
    const { answer: part } = await through({
      path: '/files/large.bin',
      fields: [['Range', 'bytes=1000-1999']],
    });
    const etag = valuesOf(part.fields, 'ETag')[0]!;
    const { answer: known } = await through({ path: '/files/large.bin', fields: [['If-None-Match', etag]] });

    assert.deepEqual([part.status, part.body.length], [206, 1000]);
    assert.deepEqual([known.status, known.body.length], [304, 0]);
  });

  peerTest(`nginx on ${listener}: gzip in chunks goes to those who take it, as it is`, peers, async () => {
    const { answer: zipped } = await through({
      path: '/files/text.txt',
      fields: [['Accept-Encoding', 'gzip']],
    });
    const { answer: plain } = await through({ path: '/files/text.txt' });

    assert.deepEqual(valuesOf(zipped.fields, 'Content-Encoding'), ['gzip']);
    assert.equal(gunzipSync(zipped.body).toString(), TEXT);
    assert.deepEqual(valuesOf(plain.fields, 'Content-Encoding'), []);
    assert.equal(plain.body.toString(), TEXT);
  });

  peerTest(`nginx on ${listener}: HEAD, 204, 301`, peers, async () => {
    const { answer: head, nginx } = await through({ path: '/files/large.bin', method: 'HEAD' });
    const { answer: nothing } = await through({ path: '/nothing' });
    const { answer: moved } = await through({ path: '/moved' });

    assert.deepEqual(
      [head.status, valuesOf(head.fields, 'Content-Length')],
      [200, [`${nginx.large.length}`]],
    );
    assert.deepEqual([nothing.status, nothing.body.length], [204, 0]);
    assert.equal(moved.status, 301);
    assert.match(valuesOf(moved.fields, 'Location')[0] ?? '', /\/said\/there$/);
  });

  peerTest(`nginx on ${listener}: an upload of 6 MiB reaches the server behind nginx`, peers, async () => {
    const { answer, nginx } = await through({
      path: '/app/echo/up',
      method: 'POST',
      body: (await scene()).nginx.large,
      fields: [['Content-Type', 'application/octet-stream']],
    });

    const echo = JSON.parse(answer.body.toString()) as Echo;
    assert.deepEqual(
      [echo.url, echo.bytes, echo.sha256],
      ['/echo/up', nginx.large.length, sha256(nginx.large)],
    );
  });
}

interface Load {
  readonly host: string;
  readonly calls: number;
  readonly parallel: number;
  /** Longest pause between two calls of a caller, ms. */
  readonly pauseMs: number;
  readonly method: string;
  readonly path?: string;
}

/** Calls in parallel on connections that are kept; the answers by status and body. */
async function put(httpPort: number, load: Load): Promise<Record<string, number>> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: load.parallel });
  const counts: Record<string, number> = {};
  let left = load.calls;
  const caller = async (number: number): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const body = load.method === 'POST' ? 'a=1' : '';
      const { host, method, path = '/said/x' } = load;
      const answer = await ask(httpPort, { host, method, path, body }, agent);
      const key = `${answer.status} ${answer.body.toString().slice(0, 100)}`;
      counts[key] = (counts[key] ?? 0) + 1;
      // Pauses of many lengths, so that some end when the backend closes.
      if (load.pauseMs > 0) await pause((load.pauseMs * ((left * 7 + number * 3) % 11)) / 11);
    }
  };
  try {
    await Promise.all(Array.from({ length: load.parallel }, (_, number) => caller(number)));
  } finally {
    agent.destroy();
  }
  return counts;
}

const LOADS: Readonly<Record<string, { load: Load; answer: string }>> = {
  'nginx closes after every fifth request': {
    load: { host: 'nginx.example', calls: 3000, parallel: 16, pauseMs: 0, method: 'POST' },
    answer: '200 POST /said/x',
  },
  'nginx on a unix socket closes after every fifth request': {
    load: { host: 'socket.example', calls: 3000, parallel: 16, pauseMs: 0, method: 'GET' },
    answer: '200 GET /said/x',
  },
  'nginx closes connections that are idle for a second': {
    load: { host: 'nginx.example', calls: 96, parallel: 16, pauseMs: 1500, method: 'GET' },
    answer: '200 GET /said/x',
  },
  'Node closes after 20 ms and every seventh request': {
    load: { host: 'hasty.example', calls: 2000, parallel: 16, pauseMs: 50, method: 'GET' },
    answer: '200 node /said/x',
  },
  'Node closes when the next request is on its way': {
    load: {
      host: 'hasty.example',
      calls: 1000,
      parallel: 16,
      pauseMs: 0,
      method: 'GET',
      path: '/said/crossed',
    },
    answer: '200 node /said/crossed',
  },
};

for (const [name, { load, answer }] of Object.entries(LOADS)) {
  peerTest(`no call fails, and the books balance: ${name}`, peers, async (t) => {
    if (agentKind === 'motan-go') return t.skip('motan-go fails calls on connections that were closed');
    const { front, behind, httpPort } = await scene();
    const before = totalOf(await statusOf(front));

    const { value, looks, statuses } = await keepsBooks([front, behind], () => put(httpPort, load));

    assert.deepEqual(value, { [answer]: load.calls });
    assert.ok(looks > 4, `${looks} looks`);
    assert.equal(totalOf(statuses[0]!) - before, load.calls);
    assert.equal(listenerOf(statuses[0]!, 'http').failed, 0);
  });
}

function totalOf(status: AgentStatus): number {
  return listenerOf(status, 'http').in;
}
