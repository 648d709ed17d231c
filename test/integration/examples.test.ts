/**
 * Everything below examples/ does what it says: the clients call a service through the agent, and the two backends are exported and called
 * with the configurations that lie beside them. Those name fixed ports and paths, which are replaced here.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { within } from '../support/clock.js';
import { peerOrSkip } from '../support/peers.js';
import {
  atEnd,
  eventually,
  freePort,
  Home,
  makeFolder,
  PEONY,
  SERVICE,
  type Sections,
} from './agent/agent-process.js';

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url));
const RUN_MS_MAX = 30_000;
/** A server that has not ended this long after SIGTERM is killed. */
const END_MS_MAX = 10_000;
const OUTPUT_CHARS_MAX = 64 * 1024;
// Servers are in /usr/sbin; Java and Ruby read their arguments in the encoding of the locale.
const ENVIRONMENT = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, LC_ALL: 'C.UTF-8' };

interface Client {
  readonly language: string;
  /** Program that must be installed, and what brings it. */
  readonly needs: string;
  readonly hint: string;
  /** Words before the arguments. */
  command(t: TestContext): readonly string[];
}

const example = (...names: string[]): string => join(EXAMPLES, ...names);

function interpreted(language: string, needs: string, file: string, hint: string): Client {
  return { language, needs, hint, command: () => [needs, example(file)] };
}

const HTTP_CLIENTS: readonly Client[] = [
  interpreted('Python', 'python3', 'python/http_client.py', 'apt-get install python3'),
  interpreted('PHP', 'php', 'php/http_client.php', 'apt-get install php8.2-cli'),
  interpreted('Node', process.execPath, 'node/http-client.mjs', 'it runs this test'),
  interpreted('Ruby', 'ruby', 'ruby/http_client.rb', 'apt-get install ruby'),
  interpreted('Java', 'java', 'java/Client.java', 'apt-get install default-jdk-headless'),
  {
    ...interpreted('shell', 'curl', '', 'apt-get install curl'),
    command: () => [example('shell/http_client.sh')],
  },
  { ...interpreted('C', 'gcc', '', 'apt-get install gcc libc6-dev'), command: compiled },
];

const MOTAN_CLIENTS: readonly Client[] = [
  interpreted('Python', 'python3', 'python/motan_client.py', 'apt-get install python3'),
  interpreted('PHP', 'php', 'php/motan_client.php', 'apt-get install php8.2-cli'),
];

function compiled(t: TestContext): readonly string[] {
  const program = join(makeFolder(t), 'http_client');
  const { status, stderr } = spawnSync('gcc', [
    '-Wall',
    '-Wextra',
    '-Werror',
    '-O2',
    '-o',
    program,
    example('c/http_client.c'),
  ]);
  assert.equal(status, 0, String(stderr));
  return [program];
}

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(words: readonly string[]): Promise<Finished> {
  const child = spawn(words[0]!, words.slice(1), { env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = collect(child);
  const timer = setTimeout(() => child.kill('SIGKILL'), RUN_MS_MAX);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return { code, ...output };
}

/** What it has printed so far; grows. */
function collect(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: '', stderr: '' };
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output.stdout = (output.stdout + text).slice(-OUTPUT_CHARS_MAX);
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    output.stderr = (output.stderr + text).slice(-OUTPUT_CHARS_MAX);
  });
  return output;
}

interface Server {
  /** What `sign` found in its output. */
  readonly found: RegExpExecArray;
  /** Exit code after SIGTERM. */
  stop(): Promise<number | string>;
}

/** Starts a program that stays, and waits for a sign in what it prints. */
async function serve(t: TestContext, words: readonly string[], sign: RegExp): Promise<Server> {
  const child = spawn(words[0]!, words.slice(1), { env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  const output = collect(child);
  // Not killed at once: FPM would leave its children behind.
  atEnd(t, async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), END_MS_MAX);
    await ended;
    clearTimeout(timer);
  });
  const found = await eventually(
    `${words.join(' ')} to say ${sign}`,
    () => {
      assert.equal(child.exitCode, null, `it ended: ${output.stderr}${output.stdout}`);
      return sign.exec(output.stdout + output.stderr);
    },
    RUN_MS_MAX,
  );
  const stop = async (): Promise<number | string> => {
    child.kill('SIGTERM');
    return await within(`${words.join(' ')} to end`, ended, RUN_MS_MAX);
  };
  return { found, stop };
}

interface Mesh {
  /** Forward port. */
  readonly port: number;
  readonly httpPort: number;
}

/** The example service, and an agent that calls it. */
async function startHello(t: TestContext): Promise<Mesh> {
  const home = await Home.make(t);
  const httpPort = await freePort();
  const registry = home.path('registry');
  const words = [
    process.execPath,
    example('echo-service/echo-service.mjs'),
    '--registry',
    registry,
    '--group',
    'g1',
  ];
  await serve(t, words, /on port \d+\n/);
  const agent = await home.start(t, {
    config: {
      'motan-agent': { httpProxyEnable: true, hport: httpPort },
      'motan-registry': { shared: { protocol: 'file', path: registry } },
      'motan-refer': { hello: { path: SERVICE, group: 'g1', protocol: 'motan2', registry: 'shared' } },
    },
  });
  await eventually('the agent to know the service', async () => (await agent.nodes()).length === 1);
  return { port: home.port, httpPort };
}

function has(t: TestContext, client: Client): boolean {
  const isThere = !('error' in spawnSync(client.needs, ['--version'], { env: ENVIRONMENT, stdio: 'ignore' }));
  return peerOrSkip(t, client.language, isThere, client.hint);
}

for (const client of HTTP_CLIENTS) {
  test(`the ${client.language} client makes typed calls over HTTP`, async (t) => {
    if (!has(t, client)) return;
    const { httpPort } = await startHello(t);
    const call = [...client.command(t), `${httpPort}`, SERVICE];

    const greeted = await run([...call, 'hello', '["wörld"]', 'g1']);
    const echoed = await run([...call, 'echo', '[{"text": "\\"é\\n", "list": [1, -2.5, null, true]}]']);
    const failed = await run([...call, 'fail', '["as asked"]']);
    const unknown = await run([...client.command(t), `${httpPort}`, 'com.weibo.Nobody', 'hello', '["x"]']);

    assert.equal(greeted.code, 0, greeted.stderr);
    assert.match(greeted.stdout, /^"Hello, wörld! \(from port \d+\)"\n$/);
    assert.deepEqual(JSON.parse(echoed.stdout), { text: '"é\n', list: [1, -2.5, null, true] });
    assert.notEqual(failed.code, 0);
    assert.equal(failed.stdout, '');
    assert.match(failed.stderr, /as asked/);
    assert.notEqual(unknown.code, 0);
    assert.match(unknown.stderr, /com\.weibo\.Nobody/);
  });

  test(`the ${client.language} client says that it cannot reach the agent`, async (t) => {
    if (!has(t, client)) return;

    const { code, stdout, stderr } = await run([
      ...client.command(t),
      `${await freePort()}`,
      SERVICE,
      'hello',
      '["x"]',
    ]);

    assert.notEqual(code, 0);
    assert.equal(stdout, '');
    assert.notEqual(stderr.trim(), '');
  });
}

for (const client of MOTAN_CLIENTS) {
  test(`the ${client.language} client calls in Motan2`, async (t) => {
    if (!has(t, client)) return;
    const { port } = await startHello(t);
    const call = [...client.command(t), `${port}`, SERVICE];

    const greeted = await run([...call, 'hello', 'wörld']);
    const failed = await run([...call, 'fail', 'as asked']);

    assert.equal(greeted.code, 0, greeted.stderr);
    assert.match(greeted.stdout, /^Hello, wörld! \(from port \d+\)\n$/);
    assert.notEqual(failed.code, 0);
    assert.match(failed.stderr, /as asked/);
  });
}

test('the configurations of the backends are without any problem', async () => {
  for (const folder of ['php-page', 'http-service']) {
    const { code, stdout, stderr } = await run([
      PEONY,
      'check',
      '--strict',
      '-c',
      example(folder, 'motan.yaml'),
    ]);
    assert.equal(code, 0, stdout + stderr);
  }
});

/** An agent with the configuration of an example, in which some texts are replaced. */
async function startExporting(
  t: TestContext,
  folder: string,
  replaced: readonly (readonly [string, string])[],
): Promise<Mesh> {
  const home = await Home.make(t);
  const httpPort = await freePort();
  let text = readFileSync(example(folder, 'motan.yaml'), 'utf8');
  const always = [
    ['/var/lib/peony/registry', home.path('registry')],
    ['motan2:9982', `motan2:${await freePort()}`],
  ] as const;
  for (const [is, becomes] of [...always, ...replaced]) {
    assert.ok(text.includes(is), `${is} is not in the example`);
    text = text.replaceAll(is, becomes);
  }
  const sections = parse(text) as Sections;
  const config = { ...sections, 'motan-agent': { ...sections['motan-agent'], hport: httpPort } };
  const agent = await home.start(t, { config });
  await agent.get('/200'); // announces what it exports
  const hasAll = async (): Promise<boolean> =>
    (await agent.status()).clusters.every(({ endpointsAvailable }) => endpointsAvailable === 1);
  await eventually('the agent to find itself', hasAll, RUN_MS_MAX);
  return { port: home.port, httpPort };
}

async function ask(url: string, options: RequestInit = {}): Promise<{ status: number; text: string }> {
  const answer = await fetch(url, { ...options, signal: AbortSignal.timeout(RUN_MS_MAX) });
  return { status: answer.status, text: await answer.text() };
}

/** What stands in a request for a domain: fetch makes the Host header of the url. */
function askDomain(mesh: Mesh, host: string, path: string, ...words: string[]): Promise<Finished> {
  const url = `http://127.0.0.1:${mesh.httpPort}${path}`;
  return run([
    'curl',
    '--silent',
    '--show-error',
    '--noproxy',
    '*',
    '--header',
    `Host: ${host}`,
    '--write-out',
    '\n%{http_code}',
    ...words,
    url,
  ]);
}

function typedCall(
  mesh: Mesh,
  service: string,
  method: string,
  args: readonly unknown[],
): Promise<{ status: number; text: string }> {
  return ask(`http://127.0.0.1:${mesh.httpPort}/v1/call/${service}/${encodeURIComponent(method)}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(args),
  });
}

interface Page {
  readonly greeting: string;
  readonly get: Readonly<Record<string, string>>;
  readonly post: Readonly<Record<string, string>>;
  readonly facts: Readonly<Record<string, string>>;
}

/** PHP-FPM with the page and the pool of the example, and an agent with its configuration. */
async function startPage(t: TestContext): Promise<Mesh | null> {
  const isThere = !('error' in spawnSync('php-fpm8.2', ['--version'], { env: ENVIRONMENT }));
  if (!peerOrSkip(t, 'PHP-FPM', isThere, 'apt-get install php8.2-fpm')) return null;
  const folder = makeFolder(t);
  chmodSync(folder, 0o755); // its children are another user
  copyFileSync(example('php-page/page.php'), join(folder, 'page.php'));
  const pool = readFileSync(example('php-page/pool.conf'), 'utf8');
  writeFileSync(join(folder, 'pool.conf'), pool.replaceAll('/run/php', folder));
  const words = ['php-fpm8.2', '--nodaemonize', '--force-stderr', '--fpm-config', join(folder, 'pool.conf')];
  await serve(t, words, /ready to handle connections/);
  return await startExporting(t, 'php-page', [
    ['/run/php', folder],
    ['/srv/page', folder],
  ]);
}

const PAGE = 'com.example.Page';

test('the PHP page is called in Motan2', async (t) => {
  const mesh = await startPage(t);
  if (mesh === null) return;

  const { code, stdout, stderr } = await run([
    PEONY,
    'call',
    '--port',
    `${mesh.port}`,
    PAGE,
    'show',
    '{"name":"wörld"}',
  ]);

  assert.equal(code, 0, stderr);
  const page = JSON.parse(JSON.parse(stdout) as string) as Page;
  assert.equal(page.greeting, 'Hello, wörld!');
  assert.equal(page.post.name, 'wörld');
  assert.equal(page.facts.MOTAN_M_m, 'show');
});

test('the PHP page is called by a typed call', async (t) => {
  const mesh = await startPage(t);
  if (mesh === null) return;

  const { status, text } = await typedCall(mesh, PAGE, 'show', [{ name: 'wörld' }]);

  assert.equal(status, 200, text);
  assert.equal((JSON.parse(JSON.parse(text) as string) as Page).greeting, 'Hello, wörld!');
});

test('the PHP page is called by /proxy_to_rpc', async (t) => {
  const mesh = await startPage(t);
  if (mesh === null) return;
  const query = new URLSearchParams({
    service: PAGE,
    method: 'show',
    group: 'demo',
    arg_type: 'string',
    arg: 'x',
  });

  const { status, text } = await ask(`http://127.0.0.1:${mesh.httpPort}/proxy_to_rpc?${query}`);

  assert.equal(status, 200, text);
  assert.equal((JSON.parse(text) as Page).greeting, 'Hello, nobody!');
});

test('the PHP page is called as a web page, with its method, query, form and status', async (t) => {
  const mesh = await startPage(t);
  if (mesh === null) return;

  const asked = await askDomain(
    mesh,
    'page.example',
    '/a/page?name=w%C3%B6rld',
    '--data',
    'b=1',
    '--header',
    'X-Trace: 7',
  );
  const missing = await askDomain(mesh, 'page.example', '/?status=404');

  assert.match(asked.stdout, /\n200$/);
  const page = JSON.parse(asked.stdout.slice(0, -'\n200'.length)) as Page;
  assert.equal(page.greeting, 'Hello, wörld!');
  assert.deepEqual(page.get, { name: 'wörld' });
  assert.deepEqual(page.post, { b: '1' });
  assert.equal(page.facts.REQUEST_METHOD, 'POST');
  assert.equal(page.facts.HTTP_X_TRACE, '7');
  assert.match(missing.stdout, /\n404$/);
});

/** The HTTP service of the example, and an agent with its configuration. */
async function startService(t: TestContext): Promise<Mesh & { readonly service: Server }> {
  const service = await serve(
    t,
    [process.execPath, example('http-service/http-service.mjs')],
    /on port (\d+)\n/,
  );
  const mesh = await startExporting(t, 'http-service', [['127.0.0.1:8080', `127.0.0.1:${service.found[1]}`]]);
  return { ...mesh, service };
}

test('the HTTP service is called in Motan2', async (t) => {
  const mesh = await startService(t);

  const call = [PEONY, 'call', '--raw', '--port', `${mesh.port}`, 'com.example.Hello'];
  const { code, stdout, stderr } = await run([...call, '/hello', '{"name":"wörld"}']);

  assert.equal(code, 0, stderr);
  assert.match(stdout, /Hello, wörld!/);
});

test('the HTTP service is called by a typed call', async (t) => {
  const mesh = await startService(t);

  const { status, text } = await typedCall(mesh, 'com.example.Hello', '/hello', [{ name: 'wörld' }]);

  assert.equal(status, 200, text);
  const { $bytes } = JSON.parse(text) as { $bytes: string };
  assert.equal(Buffer.from($bytes, 'base64').toString(), '{"greeting":"Hello, wörld!"}\n');
});

test('the HTTP service is called by its domain, and its paths are rewritten', async (t) => {
  const mesh = await startService(t);

  const hello = await askDomain(mesh, 'hello.example', '/v0/hello?name=w%C3%B6rld');
  const missing = await askDomain(mesh, 'hello.example', '/status/404');

  assert.equal(hello.stdout, '{"greeting":"Hello, wörld!"}\n\n200');
  assert.equal(missing.stdout, '{"status":"404"}\n\n404');
});

test('the HTTP service ends with 0 when it is told to, with a caller connected', async (t) => {
  const mesh = await startService(t);
  await askDomain(mesh, 'hello.example', '/hello');

  assert.equal(await mesh.service.stop(), 0);
});
