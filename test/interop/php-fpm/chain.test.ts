/** The whole way to a script: a Motan2 caller on the export port, and an HTTP client through both agents' halves. */
import assert from 'node:assert/strict';
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { TestContext } from 'node:test';
import { type HttpDomainState, MeshUrl } from '../../../src/core/index.js';
import { decodeSimpleValue, encodeSimple } from '../../../src/wire/serialization/index.js';
import { map } from '../../support/cgi-provider.js';
import { within } from '../../support/clock.js';
import { exceptionOf, request } from '../../support/frames.js';
import { PhpFpm, phpFpmPeer } from '../../support/php-fpm.js';
import { cluster, type ExportSpec, type Scene, scene } from '../../support/plane.js';
import { eventually, peerTest } from '../support.js';
import { SCRIPTS } from './scripts.js';

async function phpScene(
  t: TestContext,
  script: string,
  parameters: Record<string, string> = {},
): Promise<{ made: Scene; fpm: PhpFpm; page: ExportSpec }> {
  const fpm = await PhpFpm.start({ listen: 'unix', maxChildren: 2, scripts: SCRIPTS });
  t.after(() => fpm.stop());
  const made = await scene(t, { http: {} });
  const page: ExportSpec = {
    service: 'svc.php',
    provider: 'cgi',
    parameters: { ...fpm.parameters(script), maxChildren: '2', requestTimeout: '5000', ...parameters },
  };
  await made.start([], { exports: [page] });
  return { made, fpm, page };
}

/** Makes `php.example` a domain of the mesh whose service is the exported one. */
function addDomain(made: Scene, page: ExportSpec): void {
  const node = cluster({
    id: 'php',
    service: 'svc.php',
    nodes: [made.plane.port('export:0')],
    parameters: { requestTimeout: '6000' },
  });
  const domain: HttpDomainState = {
    id: 'php.example',
    domain: 'php.example',
    url: new MeshUrl({ protocol: 'motan2', group: 'g1', parameters: new Map([['application', 'web']]) }),
    locations: [{ match: '/', type: 'start', upstream: 'svc.php', rewriteRules: [] }],
    services: new Map([['svc.php', 'php']]),
  };
  made.apply([], {
    exports: [page],
    httpDomains: [domain],
    domainClusters: [{ ...node, domain: 'php.example' }],
  });
}

interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

function ask(
  made: Scene,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: Buffer,
): Promise<HttpAnswer> {
  const agent = new Agent();
  const answer = new Promise<HttpAnswer>((resolve, reject) => {
    const options = {
      port: made.httpPort,
      host: '127.0.0.1',
      method,
      path,
      agent,
      headers: { host: 'php.example', ...headers },
    };
    const sent = httpRequest(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
  return within('an HTTP answer', answer, 10_000);
}

const METADATA = { M_p: 'svc.php', M_m: 'run', M_g: 'g1' };

peerTest('a Motan2 caller gets what the script says', [phpFpmPeer], async (t) => {
  const { made } = await phpScene(t, 'echo.php');
  const caller = await made.caller(made.exportAddress);

  caller.send(request({ id: 9n, metadata: METADATA, body: encodeSimple(map({ a: 'b' })) }));
  const answer = await caller.next();

  const value = decodeSimpleValue(answer.body);
  assert.equal(value.type, 'string');
  const page = JSON.parse(String((value as { value: string }).value)) as { get: object };
  assert.deepEqual(page.get, { requestIdFromClient: '9', a: 'b' });
  assert.equal(answer.metadata.get('upstreamCode'), '200');
  assert.equal(made.listenerOf('export:0').ok, 1);
});

peerTest('an HTTP client gets the page, its status and its cookies', [phpFpmPeer], async (t) => {
  const { made, page } = await phpScene(t, 'echo.php');
  addDomain(made, page);
  await eventually('the node is connected', 5000, async () => made.endpoints[0]?.available === true);

  const answer = await ask(
    made,
    'POST',
    '/a/b?x=1',
    { 'content-type': 'text/plain', cookie: 'c=1' },
    Buffer.from('body'),
  );

  assert.equal(answer.status, 200);
  assert.equal(answer.headers['content-type'], 'application/json');
  const seen = JSON.parse(answer.body.toString()) as {
    server: Record<string, string>;
    get: object;
    bytes: number;
  };
  assert.deepEqual(seen.get, { x: '1' });
  assert.equal(seen.bytes, 4);
  assert.equal(seen.server.REQUEST_URI, '/a/b?x=1');
  assert.equal(seen.server.HTTP_HOST, 'php.example');
  assert.equal(seen.server.HTTP_COOKIE, 'c=1');
});

peerTest(
  'a full pool is 503 with Retry-After for an HTTP client, and an exception for a Motan2 caller',
  [phpFpmPeer],
  async (t) => {
    const { made, fpm, page } = await phpScene(t, 'sleep.php', { queueMax: '0' });
    addDomain(made, page);
    await eventually('the node is connected', 5000, async () => made.endpoints[0]?.available === true);
    const caller = await made.caller(made.exportAddress);
    for (const name of ['one', 'two'])
      caller.send(request({ metadata: { ...METADATA, ms: '1500', name }, body: Buffer.alloc(0) }));
    await eventually(
      'both children are busy',
      5000,
      async () => fpm.read('one') !== '' && fpm.read('two') !== '',
    );

    const http = await ask(made, 'GET', '/', {});
    caller.send(request({ id: 5n, metadata: METADATA, body: Buffer.alloc(0) }));
    const rpc = await caller.next();

    assert.equal(http.status, 503);
    assert.equal(http.headers['retry-after'], '1');
    assert.equal(rpc.id, 5n);
    const { errcode, errtype } = exceptionOf(rpc);
    assert.deepEqual([errcode, errtype], [503, 503]);
    await caller.take(2);
    await made.quiet();
    const { ok, failed } = made.listenerOf('export:0');
    assert.deepEqual([ok, failed], [2, 2]);
  },
);
