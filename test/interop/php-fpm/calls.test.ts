/** Calls to a real PHP-FPM, over TCP and a unix socket. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { bytes, CgiScene, cgiCall, httpCall, httpOf, map, textOf } from '../../support/cgi-provider.js';
import { realClock } from '../../support/clock.js';
import { PhpFpm, phpFpmPeer } from '../../support/php-fpm.js';
import { atEnd, eventually, peerTest, shared } from '../support.js';
import { SCRIPTS } from './scripts.js';

const EXTRA = [
  'php_admin_value[post_max_size] = 80M',
  'php_admin_value[memory_limit] = 256M',
  'php_admin_value[output_buffering] = 4096',
];

function pool(listen: 'tcp' | 'unix'): () => Promise<PhpFpm> {
  return shared(async () => {
    const fpm = await PhpFpm.start({ listen, maxChildren: 3, extra: EXTRA, scripts: SCRIPTS });
    atEnd(() => fpm.stop());
    return fpm;
  });
}

const pools = { tcp: pool('tcp'), unix: pool('unix') };

async function sceneOf(
  t: TestContext,
  script: string,
  parameters: Record<string, string> = {},
  listen: 'tcp' | 'unix' = 'tcp',
): Promise<CgiScene> {
  const fpm = await pools[listen]();
  const scene = new CgiScene({ ...fpm.parameters(script), maxChildren: '3', ...parameters });
  t.after(() => scene.end());
  return scene;
}

interface Echo {
  server: Record<string, string>;
  get: Record<string, string>;
  post: Record<string, string>;
  cookie: Record<string, string>;
  bytes: number;
  md5: string;
}

for (const listen of ['tcp', 'unix'] as const) {
  peerTest(`a call reaches a script over ${listen}, and its output comes back`, [phpFpmPeer], async (t) => {
    const scene = await sceneOf(t, 'echo.php', {}, listen);

    const reply = await scene.call({
      metadata: { 'X-Any': 'thing' },
      args: [map({ name: 'a b', 'k&': '1=2' })],
    });

    const { server, get } = JSON.parse(textOf(reply)) as Echo;
    assert.deepEqual(get, { requestIdFromClient: '7', name: 'a b', 'k&': '1=2' });
    assert.equal(server['MOTAN_X-Any'], 'thing');
    assert.equal(server.MOTAN_host, '10.1.2.3');
    assert.equal(server.REMOTE_ADDR, '10.1.2.3');
    assert.equal(server.PHP_SELF, '/echo.php');
    assert.equal(reply.head!.upstreamCode, '200');
    assert.equal(reply.head!.metadata.get('Content-Type'), 'application/json');
  });

  peerTest(`a ping over ${listen} is answered`, [phpFpmPeer], async (t) => {
    const scene = await sceneOf(t, 'echo.php', {}, listen);

    assert.equal(await scene.probe('fpm', '/ping'), null);
    assert.equal(await scene.probe('tcp'), null);
    assert.equal(await scene.probe('http', '/any'), null);
    assert.match((await scene.probe('fpm', '/not-the-ping'))!, /404|403/);
  });
}

peerTest('with method POST the arguments are a form', [phpFpmPeer], async (t) => {
  const scene = await sceneOf(t, 'echo.php', { CGI_REQUEST_METHOD: 'POST' });

  const { post, get } = JSON.parse(textOf(await scene.call({ args: [map({ a: 'x y', é: '&' })] }))) as Echo;

  assert.deepEqual(post, { requestIdFromClient: '7', a: 'x y', é: '&' });
  assert.deepEqual(get, []);
});

peerTest('a mebibyte of parameters arrives', [phpFpmPeer], async (t) => {
  const scene = await sceneOf(t, 'echo.php');
  const metadata = Object.fromEntries(
    Array.from({ length: 70 }, (_, index) => [`big${index}`, String(index).repeat(9000)]),
  );

  const { server } = JSON.parse(textOf(await scene.call({ metadata }))) as Echo;

  let sum = 0;
  for (const [name, value] of Object.entries(metadata)) {
    assert.equal(server[`MOTAN_${name}`], value);
    sum += value.length;
  }
  assert.ok(sum > 1024 * 1024);
});

peerTest('a form of a mebibyte arrives', [phpFpmPeer], async (t) => {
  const scene = await sceneOf(t, 'echo.php', { CGI_REQUEST_METHOD: 'POST' });

  const { post } = JSON.parse(
    textOf(await scene.call({ args: [map({ big: 'x'.repeat(1_100_000) })] })),
  ) as Echo;

  assert.equal(post.big!.length, 1_100_000);
});

peerTest('a parameter that PHP would not read is refused before it is sent', [phpFpmPeer], async (t) => {
  const scene = await sceneOf(t, 'echo.php');

  const reply = await scene.call({ args: [map({ big: 'x'.repeat(70_000) })] });

  assert.equal(reply.failure!.code, 'E_BAD_ARGUMENTS');
});

peerTest('an HTTP call is an HTTP request for the script', [phpFpmPeer], async (t) => {
  const scene = await sceneOf(t, 'echo.php');
  const block =
    'POST /some/where.php/path?x=1&y[]=2 HTTP/1.1\r\nHost: shop.example\r\nCookie: a=1\r\nCookie: b=2\r\nProxy: evil\r\n' +
    'Script-Filename: /etc/passwd\r\nAuthorization: Basic dTpw\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n';

  const reply = await scene.call(httpCall(block, 'abc'));

  const { block: head, body } = httpOf(reply);
  const { server, get, cookie, bytes: size } = JSON.parse(body.toString()) as Echo;
  assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(head, new RegExp(`Content-Length: ${body.length}\\r\\n`));
  assert.deepEqual(get, { x: '1', y: ['2'] });
  assert.deepEqual(cookie, { a: '1', b: '2' });
  assert.equal(size, 3);
  assert.equal(server.REQUEST_METHOD, 'POST');
  assert.equal(server.REQUEST_URI, '/some/where.php/path?x=1&y[]=2');
  assert.equal(server.PHP_SELF, '/echo.php');
  assert.equal(server.SCRIPT_FILENAME, join((await pools.tcp()).folder, 'www', 'echo.php'));
  assert.equal(server.PATH_INFO, undefined);
  assert.equal(server.HTTP_PROXY, undefined);
  assert.equal(server.HTTP_HOST, 'shop.example');
  assert.equal(server.PHP_AUTH_USER, 'u');
});

peerTest('an upload of 64 MiB goes through without a copy of it', [phpFpmPeer], async (t) => {
  const scene = await sceneOf(t, 'echo.php', { requestTimeout: '30000' });
  const size = 64 * 1024 * 1024;
  const { args, metadata } = httpCall(
    `PUT /up HTTP/1.1\r\nContent-Length: ${size}\r\n\r\n`,
    Buffer.alloc(size, 'z'),
  );
  const call = cgiCall({ args: args!, metadata: metadata! });
  call.isOwned = true; // as the reader gives large bodies
  const before = process.memoryUsage().arrayBuffers;
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage().arrayBuffers);
  }, 5);

  const reply = await scene.start(call, 30_000);

  clearInterval(timer);
  const { bytes: received, md5 } = JSON.parse(httpOf(reply).body.toString()) as Echo;
  assert.equal(received, size);
  assert.equal(md5, createHash('md5').update(Buffer.alloc(size, 'z')).digest('hex'));
  assert.ok(most - before < 16 * 1024 * 1024, `${(most - before) >> 20} MiB more`);
});

peerTest('binary output is unchanged, small and large', [phpFpmPeer], async (t) => {
  const scene = await sceneOf(t, 'binary.php');
  const all = Buffer.from(Array.from({ length: 256 }, (_, code) => code));

  for (const count of [1, 20_000]) {
    const expected = Buffer.alloc(256 * count, all);
    const metadata = { count: String(count) };

    const rpc = await scene.call({ metadata });
    const http = await scene.call(httpCall('GET / HTTP/1.1\r\n\r\n', '', metadata));

    assert.ok(Buffer.from(textOf(rpc), 'latin1').equals(expected));
    assert.ok(httpOf(http).body.equals(expected));
  }
});

peerTest('output over the bound fails its own call', [phpFpmPeer], async (t) => {
  const scene = await sceneOf(t, 'binary.php', { maxContentLength: '100000' });

  const [large, small] = await Promise.all([
    scene.call({ metadata: { count: '100000' } }),
    scene.call({ metadata: { count: '10' } }),
  ]);

  assert.equal(large.failure!.code, 'E_ANSWER_TOO_LARGE');
  assert.equal(textOf(small).length, 2560);
});

for (const code of [404, 500, 503]) {
  peerTest(`status ${code} of a script is told`, [phpFpmPeer], async (t) => {
    const scene = await sceneOf(t, 'status.php');
    const thrower = await sceneOf(t, 'status.php', { enableHttpException: 'true' });
    const metadata = { code: String(code) };

    const rpc = await scene.call({ metadata });
    const http = await scene.call(httpCall('GET / HTTP/1.1\r\n\r\n', '', metadata));
    const thrown = await thrower.call({ metadata });

    assert.equal(rpc.head!.upstreamCode, String(code));
    assert.equal(textOf(rpc), `page of ${code}`);
    const { block, body } = httpOf(http);
    assert.match(block, new RegExp(`^HTTP/1\\.1 ${code} `));
    assert.equal(block.match(/Set-Cookie: /g)!.length, 2);
    assert.equal(body.toString(), `page of ${code}`);
    assert.deepEqual(thrown.exception, { code, type: 2, message: `page of ${code}` });
  });
}

peerTest(
  'a script that dies of a fatal error answers 500, and its message is logged',
  [phpFpmPeer],
  async (t) => {
    const scene = await sceneOf(t, 'fatal.php');

    const reply = await scene.call({ metadata: { M_rid: '99' } });

    assert.equal(reply.head!.upstreamCode, '500');
    const fields = scene.logger.entries[0]!.fields as { stderr: string; requestId: string };
    assert.match(fields.stderr, /Call to undefined function nowhere/);
    assert.equal(fields.requestId, '99');
  },
);

peerTest(
  'the error log of a script is logged with the id of its call, on one line',
  [phpFpmPeer],
  async (t) => {
    const scene = await sceneOf(t, 'stderr.php');

    const reply = await scene.call({ metadata: { M_rid: '4711' } });

    assert.equal(textOf(reply), 'fine');
    await eventually('it is logged', 2000, async () => scene.logger.entries.length === 1);
    const { stderr, requestId } = scene.logger.entries[0]!.fields as { stderr: string; requestId: string };
    assert.equal(requestId, '4711');
    assert.match(stderr, /something .*bad\\nin two lines.*a warning/);
    assert.ok(
      [...stderr].every((character) => character >= ' '),
      'it has control characters',
    );
  },
);

peerTest('a script that is not there is 404, and why is logged', [phpFpmPeer], async (t) => {
  const scene = await sceneOf(t, 'nowhere.php');

  const rpc = await scene.call();
  const http = await scene.call(httpCall('GET / HTTP/1.1\r\n\r\n'));

  assert.equal(rpc.head!.upstreamCode, '404');
  assert.equal(textOf(rpc), 'File not found.\n');
  assert.match(httpOf(http).block, /^HTTP\/1\.1 404 Not Found\r\n/);
  const { stderr } = scene.logger.entries[0]!.fields as { stderr: string };
  assert.match(stderr, /Primary script unknown/);
});

peerTest('a redirect is passed on', [phpFpmPeer], async (t) => {
  const scene = await sceneOf(t, 'redirect.php');

  const { block } = httpOf(await scene.call(httpCall('GET / HTTP/1.1\r\n\r\n')));

  assert.match(block, /^HTTP\/1\.1 302 Found\r\n/);
  assert.match(block, /\r\nLocation: \/elsewhere\r\n/);
});

peerTest('an answer to HEAD has no body', [phpFpmPeer], async (t) => {
  const scene = await sceneOf(t, 'status.php');

  const { block, body } = httpOf(await scene.call(httpCall('HEAD / HTTP/1.1\r\n\r\n', '', { code: '200' })));

  assert.match(block, /^HTTP\/1\.1 200 OK\r\n/);
  assert.equal(body.length, 0);
});

peerTest('arguments that are bytes add nothing to the query', [phpFpmPeer], async (t) => {
  const scene = await sceneOf(t, 'echo.php');

  const { get } = JSON.parse(textOf(await scene.call({ args: [bytes('a=1')] }))) as Echo;

  assert.deepEqual(get, { requestIdFromClient: '7' });
});

peerTest('time that is left reaches the script', [phpFpmPeer], async (t) => {
  const scene = await sceneOf(t, 'echo.php');

  const call = cgiCall({ metadata: { M_tmo: '3000' } }, realClock.nowMs() - 1000);
  const { server } = JSON.parse(textOf(await scene.start(call))) as Echo;

  const left = Number(server.HTTP_X_PEONY_TIMEOUT_MS);
  assert.ok(left > 1000 && left <= 2000, `${left} ms`);
});
