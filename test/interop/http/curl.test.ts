/** curl as the client of the HTTP port: what it does on its own, and what it can be told to do. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { agentKind, referSections, SERVICE } from '../agent.js';
import { motanGo, startGoServer } from '../motan-go/peers.js';
import { type Finished, freePort, makeFolder, type Peer, peerTest, run, shared } from '../support.js';
import { type Echo, LENGTH_BYTES, sha256, startBackend } from './backend.js';
import { exchangeBytes } from './client.js';
import { startBehind, startFront } from './scene.js';

const curlProgram = ['/usr/bin/curl', '/usr/local/bin/curl', '/bin/curl'].find((path) => existsSync(path));
const curlPeer: Peer = {
  name: 'curl',
  available: curlProgram !== undefined,
  hint: 'install the package curl',
};
const peers = [curlPeer, motanGo];

const LARGE = Buffer.alloc(3 * 1024 * 1024, Buffer.from(Array.from({ length: 253 }, (_, byte) => byte)));

const scene = shared(async () => {
  const backend = await startBackend();
  const behind = await startBehind({ kind: agentKind, backendPort: backend.port, name: 'pages' });
  const server = await startGoServer();
  const more = referSections([{ group: 'go-rpc', nodes: [server.at] }]);
  const settings = { httpProxyAllow: `127.0.0.1:${backend.port}` };
  const front = await startFront(agentKind, [behind], settings, more);
  const folder = makeFolder();
  const socket = join(folder, 'http.sock');
  await startFront(agentKind, [behind], { httpProxyUnixSock: socket });
  writeFileSync(join(folder, 'large'), LARGE);
  const { domain } = behind;
  const toDomain = ['--resolve', `${domain}:${front.httpPort}:127.0.0.1`];
  const url = `http://${domain}:${front.httpPort}`;
  return { backend, behind, front, folder, socket, domain, toDomain, url };
});

async function curl(...args: string[]): Promise<Finished> {
  const { folder, toDomain } = await scene();
  const fixed = ['--silent', '--show-error', '--max-time', '30', '--noproxy', '', ...toDomain];
  return run({ name: 'curl', command: curlProgram!, args: [...fixed, ...args], cwd: folder });
}

/** Fails unless curl was content. */
async function curlOk(...args: string[]): Promise<Finished> {
  const finished = await curl(...args);
  assert.equal(finished.code, 0, finished.stderr);
  return finished;
}

async function echoOf(...args: string[]): Promise<Echo> {
  const { stdout } = await curlOk(...args);
  return JSON.parse(stdout) as Echo;
}

peerTest('two requests of one curl share a connection', peers, async () => {
  const { url } = await scene();

  const { stderr, stdout } = await curlOk('-v', `${url}/length`, `${url}/closing`, `${url}/status/404`);

  // What the backend does with its connection is nothing to the caller.
  assert.equal(stderr.match(/Re-using existing connection/g)?.length, 2, stderr);
  assert.equal(stdout.length, LENGTH_BYTES + 'closing'.length + 'status 404'.length);
});

peerTest('a caller of HTTP/1.0 is answered, and its connection closed', peers, async () => {
  const { url } = await scene();

  const { stdout } = await curlOk('--http1.0', '-i', `${url}/length`);

  assert.match(stdout, /^HTTP\/1\.[01] 200 OK\r\n/);
  assert.match(stdout, /\r\nConnection: close\r\n/i);
  assert.match(stdout, new RegExp(`x{${LENGTH_BYTES}}$`));
});

peerTest('Expect: 100-continue is answered before a large upload', peers, async () => {
  const { url } = await scene();
  const upload = ['-H', 'Expect: 100-continue', '-H', 'Content-Type: a/b', '--data-binary', '@large'];

  const { stderr, stdout } = await curlOk('-v', '--expect100-timeout', '20', ...upload, `${url}/echo/up`);

  const echo = JSON.parse(stdout) as Echo;
  assert.match(stderr, /< HTTP\/1\.1 100 Continue/);
  assert.deepEqual([echo.bytes, echo.sha256], [LARGE.length, sha256(LARGE)]);
});

peerTest('an upload of unknown length arrives whole', peers, async () => {
  const { url, folder, toDomain } = await scene();
  const command = `cat large | '${curlProgram}' --silent --noproxy '' ${toDomain.join(' ')} -T - ${url}/echo/up`;

  const { stdout } = await run({ name: 'curl', command: '/bin/sh', args: ['-c', command], cwd: folder });

  const echo = JSON.parse(stdout) as Echo;
  assert.deepEqual([echo.method, echo.bytes, echo.sha256], ['PUT', LARGE.length, sha256(LARGE)]);
});

peerTest('HEAD ends with its head', peers, async () => {
  const { url } = await scene();

  const { stdout, stderr } = await curlOk('-v', '--head', `${url}/length`, `${url}/length`);

  assert.equal(stdout.match(new RegExp(`Content-Length: ${LENGTH_BYTES}`, 'g'))?.length, 2);
  assert.match(stderr, /Re-using existing connection/);
});

peerTest('a form with a file arrives', peers, async () => {
  const { url } = await scene();

  const echo = await echoOf('-F', 'text=value', '-F', 'file=@large;filename=a.bin', `${url}/echo/form`);

  assert.equal(echo.method, 'POST');
  assert.ok(echo.bytes > LARGE.length);
  assert.match(echo.body, /filename="a\.bin"/);
});

peerTest('cookies are kept and sent back', peers, async () => {
  const { url } = await scene();

  const { stdout } = await curlOk('--cookie-jar', 'jar', '-b', 'none', `${url}/fields`, `${url}/echo/`);

  const { fields } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as Echo;
  const cookie = fields[fields.indexOf('Cookie') + 1] ?? '';
  assert.deepEqual(cookie.split('; ').sort(), ['a=1', 'b=2']);
});

peerTest('a unix socket serves as the port does', peers, async () => {
  const { socket, domain } = await scene();

  const echo = await echoOf('--unix-socket', socket, `http://${domain}/echo/a`);

  assert.equal(echo.url, '/echo/a');
});

peerTest('as a proxy the agent serves the domain of the url', peers, async () => {
  const { front, domain } = await scene();

  const echo = await echoOf('--proxy', `http://127.0.0.1:${front.httpPort}`, `http://${domain}/v0/a?b=c`);

  assert.equal(echo.url, '/echo/a?b=c');
});

peerTest('as a proxy the agent asks a host that is allowed', peers, async () => {
  const { front, backend } = await scene();
  const proxy = ['--proxy', `http://127.0.0.1:${front.httpPort}`];

  const echo = await echoOf(...proxy, '-d', 'a=1', `http://127.0.0.1:${backend.port}/echo/a%2Fb?c=d`);

  const url = agentKind === 'peony' ? '/echo/a%2Fb?c=d' : '/echo/a/b?c=d'; // motan-go decodes paths
  assert.deepEqual([echo.method, echo.url, echo.body], ['POST', url, 'a=1']);
  assert.equal(echo.fields.includes('Motan-P'), false);
});

peerTest('as a proxy the agent asks nobody who is not allowed', peers, async () => {
  const { front } = await scene();
  const proxy = ['--proxy', `http://127.0.0.1:${front.httpPort}`];

  const { stdout } = await curlOk(
    ...proxy,
    '-o',
    'none',
    '-w',
    '%{http_code}',
    `http://127.0.0.1:${await freePort()}/`,
  );

  // motan-go asks every host, and this one does not answer.
  assert.equal(stdout, agentKind === 'peony' ? '403' : '502');
});

peerTest('CONNECT opens a tunnel to a host that is allowed', peers, async () => {
  const { front, backend } = await scene();
  const tunnel = ['--proxytunnel', '--proxy', `http://127.0.0.1:${front.httpPort}`];
  const url = `http://127.0.0.1:${backend.port}`;

  const { stdout, stderr } = await curlOk(
    '-v',
    ...tunnel,
    '--data-binary',
    '@large',
    `${url}/echo/t`,
    `${url}/echo/u`,
  );

  const echoes = stdout.split(/(?<=\})(?=\{)/).map((text) => JSON.parse(text) as Echo);
  assert.deepEqual(
    echoes.map(({ url: asked, bytes }) => [asked, bytes]),
    [
      ['/echo/t', LARGE.length],
      ['/echo/u', LARGE.length],
    ],
  );
  assert.equal(stderr.match(/> CONNECT /g)?.length, 1);
});

peerTest('CONNECT opens no tunnel to others', peers, async (t) => {
  if (agentKind === 'motan-go') return t.skip('motan-go opens tunnels to every host, itself too');
  const { front } = await scene();
  const tunnel = ['--proxytunnel', '--proxy', `http://127.0.0.1:${front.httpPort}`];

  const { code, stderr } = await curl('-v', ...tunnel, `http://127.0.0.1:${front.agent.managementPort}/`);

  assert.notEqual(code, 0);
  assert.match(stderr, /HTTP\/1\.1 403 /);
});

peerTest('/proxy_to_rpc takes what curl encodes', peers, async () => {
  const { url } = await scene();
  const fields = [
    `service=${SERVICE}`,
    'method=echoString',
    'group=go-rpc',
    'arg_type=string',
    'arg=ü & 世=1+1',
  ];

  const { stdout } = await curlOk(
    ...fields.flatMap((field) => ['--data-urlencode', field]),
    `${url}/proxy_to_rpc`,
  );

  assert.equal(stdout, 'ü & 世=1+1');
});

peerTest('requests that are sent at once are answered in order', peers, async () => {
  const { front, domain } = await scene();
  const request = (path: string, more = ''): string =>
    `GET ${path} HTTP/1.1\r\nHost: ${domain}\r\n${more}\r\n`;
  const paths = ['/late?ms=300', '/status/404', '/echo/second', '/late?ms=50', '/echo/last'];

  const answers = await exchangeBytes(
    front.httpPort,
    paths.map((path, index) => request(path, index === 4 ? 'Connection: close\r\n' : '')).join(''),
  );

  const found = answers.match(/\r\n\r\n(late|status 404)|"url":"[^"]*"/g)?.map((text) => text.trim());
  assert.deepEqual(found, ['late', 'status 404', '"url":"/echo/second"', 'late', '"url":"/echo/last"']);
});

const TYPED: Readonly<Record<string, { args: readonly string[]; status: number; body: RegExp }>> = {
  'a value as JSON': {
    args: ['-d', '["curl"]', '/hello?group=go-rpc'],
    status: 200,
    body: /^"hello curl from go"$/,
  },
  'several types': {
    args: ['-d', '["s", {"$int32": 7}, true, {"$bytes": "Cv8="}]', '/many?group=go-rpc'],
    status: 200,
    body: /^"s\|7\|true\|0aff"$/,
  },
  'a map and a list': {
    args: ['-d', '[{"a": "1", "ü": "2"}]', '/echoMap?group=go-rpc'],
    status: 200,
    body: /^\{("a":"1","ü":"2"|"ü":"2","a":"1")\}$/,
  },
  bytes: { args: ['-d', '[5]', '/size?group=go-rpc'], status: 200, body: /^\{"\$bytes":"YWJjZGU="\}$/ },
  'an exception of the service': {
    args: ['-d', '["full"]', '/fail?group=go-rpc'],
    status: 422,
    body: /"detail":"full".*"code":1234,"errtype":2/s,
  },
  'no argument where one is needed': {
    args: ['-d', '[]', '/hello?group=go-rpc'],
    status: 500,
    body: /"status":500/,
  },
  'a deadline of the caller': {
    args: ['-H', 'X-Peony-Timeout-Ms: 300', '-d', '[2000]', '/slow?group=go-rpc'],
    status: 504,
    body: /"status":504/,
  },
};

for (const [name, { args, status, body }] of Object.entries(TYPED)) {
  peerTest(`a typed call of a Go service by curl: ${name}`, peers, async (t) => {
    if (agentKind === 'motan-go') return t.skip('motan-go has no typed calls');
    const { front } = await scene();
    const path = args.at(-1)!;
    const url = `http://127.0.0.1:${front.httpPort}/v1/call/${SERVICE}${path}`;

    const { stdout } = await curlOk(
      ...['-H', 'Content-Type: application/json', ...args.slice(0, -1)],
      ...['-o', 'answer', '-w', '%{http_code}', url],
    );

    const text = readFileSync(join((await scene()).folder, 'answer'), 'utf8').trim();
    assert.equal(stdout, `${status}`, text);
    assert.match(text, body);
  });
}
