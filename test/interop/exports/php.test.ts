/** Go, Java and HTTP callers of a PHP page: at the export port of its agent, and through an agent of their own. */
import assert from 'node:assert/strict';
import { phpFpmPeer } from '../../support/php-fpm.js';
import { ask, valuesOf } from '../http/client.js';
import { type GoResult, goCalls, motanGo } from '../motan-go/peers.js';
import { type JavaService, javaCalls, motanJava } from '../motan-java/peers.js';
import { peerTest, shared } from '../support.js';
import { PAGE, PAGE_DOMAIN, PAGE_GROUP, type PageAnswer, startPage, startPageFront } from './php-scene.js';

const scene = shared(() =>
  startPage(
    { listen: 'unix', maxChildren: 3 },
    { CGI_REQUEST_METHOD: 'POST', maxChildren: 3, requestTimeout: 3000 },
  ),
);

type Where = 'at the export port' | 'through an agent';
const WHERE: readonly Where[] = ['at the export port', 'through an agent'];

async function portOf(where: Where): Promise<number> {
  const { exportPort, front } = await scene();
  return where === 'through an agent' ? front.port : exportPort;
}

const pageOf = (base64: string): PageAnswer =>
  JSON.parse(Buffer.from(base64, 'base64').toString()) as PageAnswer;

async function goCall(
  where: Where,
  argument: string,
  options: { metadata?: Record<string, string>; serialization?: string } = {},
): Promise<GoResult> {
  const call = {
    at: await portOf(where),
    group: PAGE_GROUP,
    service: PAGE,
    metadata: { M_rid: '42' },
    ...options,
  };
  const [result] = await goCalls(call, 'show', argument, 1);
  return result!;
}

for (const where of WHERE) {
  peerTest(`${where} a Go client calls the page with a map`, [motanGo, phpFpmPeer], async () => {
    const result = await goCall(where, 'map:name=Jürgen M,x=1&2', {
      metadata: { M_rid: '42', colour: 'grün' },
    });

    const { post, motan, method } = pageOf(result.base64);
    assert.equal(result.type, 'string');
    assert.deepEqual(post, { requestIdFromClient: '42', name: 'Jürgen M', x: '1&2' });
    assert.equal(method, 'POST');
    assert.deepEqual(
      [motan.MOTAN_M_p, motan.MOTAN_M_m, motan.MOTAN_M_g, motan.MOTAN_colour, motan.MOTAN_M_s],
      [PAGE, 'show', PAGE_GROUP, 'grün', 'interop-go-client'],
    );
    assert.equal(result.metadata['Content-Type'] ?? result.metadata['Content-type'], 'application/json');
    assert.equal(result.metadata.upstreamCode, '200');
  });

  peerTest(
    `${where} a Go client calls the page with a text, and with nothing`,
    [motanGo, phpFpmPeer],
    async () => {
      const text = await goCall(where, 'string:hello');
      const nothing = await goCall(where, '');

      assert.deepEqual(pageOf(text.base64).post, { requestIdFromClient: '42', hello: '' });
      assert.deepEqual(pageOf(nothing.base64).post, []);
    },
  );

  peerTest(`${where} a Go client gets bytes that are no text`, [motanGo, phpFpmPeer], async () => {
    const result = await goCall(where, 'map:bytes=1');

    const bytes = Buffer.from(result.base64, 'base64');
    assert.equal(bytes.length, 261);
    assert.ok(bytes.subarray(5).equals(Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))));
  });

  peerTest(`${where} a Go client is told the status of the page`, [motanGo, phpFpmPeer], async () => {
    const result = await goCall(where, 'map:status=418');

    assert.equal(result.exception, null);
    assert.equal(result.metadata.upstreamCode, '418');
  });

  peerTest(`${where} a Go client writes in breeze`, [motanGo, phpFpmPeer], async () => {
    const result = await goCall(where, 'map:name=breeze', { serialization: 'breeze' });

    assert.equal(result.exception, null);
    assert.deepEqual(pageOf(result.base64).post, { requestIdFromClient: '42', name: 'breeze' });
  });

  for (const serialization of ['simple', 'breeze'] as const) {
    peerTest(
      `${where} a Java client calls the page in ${serialization}`,
      [motanJava, phpFpmPeer],
      async () => {
        const refer = await referOf(where, { serialization });

        const [map] = await javaCalls(
          { refer, service: PAGE, metadata: { colour: 'blue' } },
          'show',
          'map:name=Jürgen,x=1',
        );
        const [text] = await javaCalls({ refer, service: PAGE }, 'show', 'string:hello');

        const { post, motan } = pageOf(map!.base64);
        assert.equal(map!.type, 'String');
        assert.deepEqual(withoutId(post), { name: 'Jürgen', x: '1' });
        assert.deepEqual(
          [motan.MOTAN_colour, motan.MOTAN_M_s ?? motan.MOTAN_application],
          ['blue', 'interop-java-client'],
        );
        assert.deepEqual(withoutId(pageOf(text!.base64).post), { hello: '' });
      },
    );
  }

  peerTest(`${where} a Java client without an argument is answered`, [motanJava, phpFpmPeer], async () => {
    const [answer] = await javaCalls({ refer: await referOf(where, {}), service: PAGE }, 'show', 'none');

    assert.equal(answer!.exception, null);
    assert.deepEqual(pageOf(answer!.base64).post, []);
  });

  peerTest(
    `${where} arguments that PHP cannot be given are an exception`,
    [motanJava, phpFpmPeer],
    async () => {
      const refer = await referOf(where, { serialization: 'hessian2' });

      const [answer] = await javaCalls({ refer, service: PAGE }, 'show', 'string:hello');

      assert.match(answer!.exception ?? '', /^MotanFrameworkException: .*hessian2/s);
      assert.ok(answer!.ms < 3000);
    },
  );
}

peerTest('a caller of Motan v1 is told that it cannot be served', [motanJava, phpFpmPeer], async () => {
  const refer = await referOf('at the export port', { protocol: 'motan', serialization: 'hessian2' });

  const [answer] = await javaCalls({ refer, service: PAGE }, 'show', 'string:hello');

  assert.match(answer!.exception ?? '', /^Motan\w*Exception: /);
  assert.ok(answer!.ms < 3000, `after ${answer!.ms} ms`);
});

async function referOf(where: Where, more: Partial<JavaService>): Promise<JavaService> {
  return {
    protocol: 'motan2',
    serialization: 'simple',
    group: PAGE_GROUP,
    port: await portOf(where),
    ...more,
  };
}

function withoutId(post: PageAnswer['post']): Record<string, string> {
  const { requestIdFromClient: id, ...others } = post as Record<string, string>;
  assert.match(id ?? '', /^\d+$/);
  return others;
}

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

peerTest('an HTTP client gets the page as the web page that it is', [phpFpmPeer], async () => {
  const { httpPort } = await scene();

  const answer = await ask(httpPort, {
    host: PAGE_DOMAIN,
    method: 'POST',
    path: '/any/path?a=b%20c',
    fields: [
      ['Content-Type', 'application/x-www-form-urlencoded'],
      ['traceparent', TRACE],
      ['X-Peony-Timeout-Ms', '2500'],
      ['X-Forwarded-For', '192.0.2.1'],
    ],
    body: 'k=v&k2=%26',
  });

  const page = JSON.parse(answer.body.toString()) as PageAnswer;
  assert.equal(answer.status, 200);
  assert.deepEqual([page.method, page.uri, page.input], ['POST', '/any/path?a=b%20c', 'k=v&k2=%26']);
  assert.deepEqual([page.get, page.post], [{ a: 'b c' }, { k: 'v', k2: '&' }]);
  assert.equal(page.trace, TRACE);
  assert.equal(page.forwarded, '192.0.2.1, 127.0.0.1');
  assert.ok(Number(page.timeout) > 1000 && Number(page.timeout) <= 2500, `${page.timeout} ms left`);
  assert.deepEqual(valuesOf(answer.fields, 'Set-Cookie'), ['a=1', 'b=2']);
  assert.deepEqual(valuesOf(answer.fields, 'Content-Type'), ['application/json']);
});

const throughMotanGo = shared(async () => startPageFront('motan-go', (await scene()).exportPort));

peerTest('an HTTP client gets the page through a motan-go agent', [motanGo, phpFpmPeer], async () => {
  const { httpPort } = await throughMotanGo();
  const FORM = ['Content-Type', 'application/x-www-form-urlencoded'] as const;

  const form = await ask(httpPort, {
    host: PAGE_DOMAIN,
    method: 'POST',
    path: '/any/path?a=b%20c',
    fields: [FORM],
    body: 'k=v',
  });
  const missing = await ask(httpPort, { host: PAGE_DOMAIN, path: '/?status=404' });
  const bytes = await ask(httpPort, { host: PAGE_DOMAIN, path: '/?bytes=1' });

  const page = JSON.parse(form.body.toString()) as PageAnswer;
  assert.deepEqual([page.method, page.uri, page.input], ['POST', '/any/path?a=b%20c', 'k=v']);
  assert.deepEqual(valuesOf(form.fields, 'Set-Cookie'), ['a=1', 'b=2']);
  assert.equal(missing.status, 404);
  assert.equal(bytes.body.length, 261);
});

peerTest('an HTTP client gets the status of the page', [phpFpmPeer], async () => {
  const { httpPort } = await scene();

  const answer = await ask(httpPort, { host: PAGE_DOMAIN, path: '/?status=404' });

  assert.deepEqual([answer.status, answer.reason], [404, 'Not Found']);
});

peerTest('a typed call of the page gives its output as text', [phpFpmPeer], async () => {
  const { httpPort } = await scene();

  const answer = await ask(httpPort, {
    method: 'POST',
    path: `/v1/call/${PAGE}/show?group=${PAGE_GROUP}`,
    fields: [
      ['Content-Type', 'application/json'],
      ['traceparent', TRACE],
    ],
    body: '[{"name": "Jürgen", "x": "1&2"}]',
  });

  const page = JSON.parse(JSON.parse(answer.body.toString()) as string) as PageAnswer;
  assert.equal(answer.status, 200);
  assert.deepEqual(withoutId(page.post), { name: 'Jürgen', x: '1&2' });
  assert.equal(page.trace, TRACE);
});

peerTest('a typed call that is out of time says so', [phpFpmPeer], async () => {
  const { httpPort } = await scene();
  const begin = Date.now();

  const answer = await ask(httpPort, {
    method: 'POST',
    path: `/v1/call/${PAGE}/show?group=${PAGE_GROUP}`,
    fields: [
      ['Content-Type', 'application/json'],
      ['X-Peony-Timeout-Ms', '300'],
    ],
    body: '[{"ms": "2000"}]',
  });

  assert.equal(answer.status, 504);
  assert.deepEqual(valuesOf(answer.fields, 'Content-Type'), ['application/problem+json']);
  assert.ok(Date.now() - begin < 1500);
});

peerTest('/proxy_to_rpc gives the output of the page as it is', [phpFpmPeer], async () => {
  const { httpPort } = await scene();

  const answer = await ask(httpPort, {
    path: `/proxy_to_rpc?service=${PAGE}&method=show&group=${PAGE_GROUP}&arg_type=string&arg=hello`,
  });

  const page = JSON.parse(answer.body.toString()) as PageAnswer;
  assert.deepEqual(withoutId(page.post), { hello: '' });
  assert.deepEqual(valuesOf(answer.fields, 'Content-Type'), ['text/plain']);
});
