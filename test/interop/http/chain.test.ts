/** Transparent HTTP with the motan-go agent in front of the agent under test, behind it, and without it. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { type AgentKind, agentKind } from '../agent.js';
import { motanGo } from '../motan-go/peers.js';
import { atEnd, peerTest, shared } from '../support.js';
import { type Backend, type Echo, LENGTH_BYTES, sha256, startBackend } from './backend.js';
import { type Answer, ask, exchangeBytes, type Question, valuesOf } from './client.js';
import { type Behind, type Front, startBehind, startFront } from './scene.js';

interface Chain {
  readonly front: AgentKind;
  readonly behind: AgentKind;
}

const CHAINS: readonly Chain[] = [
  { front: agentKind, behind: 'motan-go' },
  { front: 'motan-go', behind: agentKind },
  { front: agentKind, behind: agentKind },
];

const backend = shared(startBackend);
const behinds = {
  tested: shared(async () => startBehind({ kind: agentKind, name: 'tested', ...(await at()) })),
  peer: shared(async () => startBehind({ kind: 'motan-go', name: 'peer', ...(await at()) })),
};
const fronts = {
  tested: shared(async () => startFront(agentKind, [await behinds.tested(), await behinds.peer()])),
  peer: shared(async () => startFront('motan-go', [await behinds.tested(), await behinds.peer()])),
};

async function at(): Promise<{ backendPort: number }> {
  return { backendPort: (await backend()).port };
}

interface Scene {
  readonly backend: Backend;
  readonly front: Front;
  readonly behind: Behind;
  /** Asks for the domain through both agents. */
  ask(question: Question): Promise<Answer>;
  echo(question: Question): Promise<Echo>;
}

async function sceneOf(chain: Chain): Promise<Scene> {
  const index = CHAINS.indexOf(chain);
  const front = await (index === 1 ? fronts.peer : fronts.tested)();
  const behind = await (index === 0 ? behinds.peer : behinds.tested)();
  const askIt = (question: Question): Promise<Answer> =>
    ask(front.httpPort, { host: behind.domain, ...question }, keptAlive);
  return {
    backend: await backend(),
    front,
    behind,
    ask: askIt,
    async echo(question) {
      const answer = await askIt(question);
      assert.equal(answer.status, 200, answer.body.toString());
      return JSON.parse(answer.body.toString()) as Echo;
    },
  };
}

const keptAlive = new http.Agent({ keepAlive: true });
atEnd(async () => keptAlive.destroy());

/** One test for each chain. */
function chainTest(claim: string, body: (scene: Scene, chain: Chain) => Promise<void>): void {
  for (const chain of CHAINS) {
    peerTest(`${chain.front} in front, ${chain.behind} behind: ${claim}`, [motanGo], async () => {
      await body(await sceneOf(chain), chain);
    });
  }
}

/** What belongs to a connection, is the agent's own, or is said another way. */
const OF_THE_HOP = new Set(['connection', 'keep-alive', 'date', 'transfer-encoding', 'content-length']);

function fieldsOf(answer: Answer): string[] {
  const lines: string[] = [];
  for (let index = 0; index < answer.fields.length; index += 2) {
    const name = answer.fields[index]!.toLowerCase();
    if (!OF_THE_HOP.has(name)) lines.push(`${name}: ${answer.fields[index + 1]}`);
  }
  return lines.sort();
}

const FORM = 'name=J%C3%BCrgen+M&x=1&x=2&empty=&%26=%3D';
const BINARY = Buffer.alloc(1024 * 1024, Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)));
const TYPE_FORM = ['Content-Type', 'application/x-www-form-urlencoded'] as const;
const TYPE_BYTES = ['Content-Type', 'application/octet-stream'] as const;

/** What the backend answers to these, it answers through the agents. */
const QUESTIONS: Readonly<Record<string, Question>> = {
  'a body with a length': { path: '/length' },
  'chunks become a body with a length': { path: '/chunked?n=50' },
  'no chunk at all': { path: '/chunked?n=0' },
  'an answer that ends its connection': { path: '/closing' },
  'fields that come twice, cookies, latin1': { path: '/fields' },
  '201': { path: '/status/201', method: 'PUT' },
  '204': { path: '/status/204', method: 'DELETE' },
  '302, which is not followed': { path: '/status/302' },
  '304': { path: '/status/304', fields: [['If-None-Match', '"a"']] },
  '404': { path: '/status/404' },
  '500': { path: '/status/500', method: 'POST', fields: [TYPE_FORM], body: 'a=1' },
  '503': { path: '/status/503' },
  'a mebibyte of all bytes': { path: '/body', method: 'POST', fields: [TYPE_BYTES], body: BINARY },
  'an empty body': { path: '/body', method: 'POST', fields: [TYPE_BYTES, ['Content-Length', '0']] },
};

for (const [name, question] of Object.entries(QUESTIONS)) {
  chainTest(`the answer is the backend's own: ${name}`, async (scene) => {
    const direct = await ask(scene.backend.port, question);

    const through = await scene.ask(question);

    assert.equal(through.status, direct.status);
    assert.equal(through.reason, direct.reason);
    assert.deepEqual(fieldsOf(through), fieldsOf(direct));
    assert.ok(through.body.equals(direct.body));
  });
}

chainTest('HEAD has the length and no body, and the connection goes on', async (scene) => {
  const head = await scene.ask({ path: '/length', method: 'HEAD' });
  const next = await scene.ask({ path: '/length' });

  assert.equal(head.status, 200);
  assert.deepEqual(valuesOf(head.fields, 'Content-Length'), [`${LENGTH_BYTES}`]);
  assert.equal(head.body.length, 0);
  assert.equal(next.body.length, LENGTH_BYTES);
});

chainTest('a form arrives as it was sent', async (scene) => {
  const echo = await scene.echo({ path: '/echo/form', method: 'POST', fields: [TYPE_FORM], body: FORM });

  assert.deepEqual([echo.method, echo.url, echo.body], ['POST', '/echo/form', FORM]);
  assert.deepEqual(valuesOf(echo.fields, 'Content-Type'), [TYPE_FORM[1]]);
  assert.deepEqual(valuesOf(echo.fields, 'Content-Length'), [`${FORM.length}`]);
});

chainTest('a mebibyte arrives byte for byte', async (scene) => {
  const echo = await scene.echo({ path: '/echo/', method: 'PUT', fields: [TYPE_BYTES], body: BINARY });

  assert.deepEqual([echo.bytes, echo.sha256], [BINARY.length, sha256(BINARY)]);
});

chainTest('fields arrive, with duplicates and cookies, in bytes that are no ASCII', async (scene, chain) => {
  const echo = await scene.echo({
    path: '/echo/',
    fields: [
      ['Cookie', 'a=1; b=2'],
      ['x-twice', 'one'],
      ['x-twice', 'two'],
      ['X-Latin', 'gr\xfcn'],
      ['User-Agent', 'interop/1'],
      ['Accept', 'text/html;q=0.8, */*'],
    ],
  });

  assert.deepEqual(valuesOf(echo.fields, 'Cookie'), ['a=1; b=2']);
  assert.deepEqual(valuesOf(echo.fields, 'X-Twice'), ['one', 'two']);
  assert.deepEqual(valuesOf(echo.fields, 'X-Latin'), ['gr\xfcn']);
  assert.deepEqual(valuesOf(echo.fields, 'User-Agent'), ['interop/1']);
  assert.deepEqual(valuesOf(echo.fields, 'Accept'), ['text/html;q=0.8, */*']);
  assert.deepEqual(valuesOf(echo.fields, 'Host'), [(await sceneOf(chain)).behind.domain]);
  assert.ok(echo.fields.includes('X-Twice'), 'names are written with capitals');
});

chainTest("nothing of the caller's connection reaches the backend", async (scene) => {
  const echo = await scene.echo({ path: '/echo/', fields: [['Connection', 'keep-alive']] });

  assert.deepEqual(valuesOf(echo.fields, 'HTTP_PROXY'), []);
  assert.deepEqual(valuesOf(echo.fields, 'Keep-Alive'), []);
  assert.equal(valuesOf(echo.fields, 'Transfer-Encoding').length, 0);
});

chainTest('the attachments of the call are fields for the backend', async (scene) => {
  const echo = await scene.echo({ path: '/echo/inner' });

  const inner = ['Motan-P', 'Motan-M', 'Motan-G', 'Motan-S', 'Motan-Pp'].map(
    (name) => valuesOf(echo.fields, name)[0],
  );
  assert.deepEqual(inner, [
    'peony.interop.Pages',
    '/echo/inner',
    scene.behind.group,
    'interop-agent',
    'motan2',
  ]);
});

const REWRITES: readonly (readonly [string, string, string])[] = [
  ['by an exact rule', '/exactly?a=1', '/echo/exact?a=1'],
  ['by a prefix and a named group', '/v0/a/b?x=1&y=%2F', '/echo/a/b?x=1&y=%2F'],
  ['whatever the case', '/upper/a', '/echo/a/lower'],
  ['with a parameter of the query', '/user?id=a%20b&id=c', '/echo/user/a%20b?id=a%20b&id=c'],
  ['with a parameter that is not there', '/user?x=1', '/echo/user/?x=1'],
  ['with a question mark in the parameter', '/user?id=%3Fq', '/echo/user/%3Fq?id=%3Fq'],
  ['with no query', '/user', '/echo/user/%7Bid%7D'],
  ['by a rule that is negated', '/none/of/them', '/echo/other/none/of/them'],
  ['not at all', '/echo/v0/', '/echo/v0/'],
];

for (const [name, path, expected] of REWRITES) {
  chainTest(`the path is rewritten ${name}`, async (scene) => {
    assert.equal((await scene.echo({ path })).url, expected);
  });
}

const PATHS: readonly (readonly [string, string, string])[] = [
  ['UTF-8, escaped', '/echo/gr%C3%BCn/%E4%B8%96', '/echo/gr%C3%BCn/%E4%B8%96'],
  ['no UTF-8, escaped', '/echo/gr%FCn', '/echo/gr%FCn'],
  ['a blank', '/echo/a%20b', '/echo/a%20b'],
  ['a percent sign', '/echo/100%25', '/echo/100%25'],
  ['dots', '/x/../echo/./a', '/echo/a'],
  ['a query of any text', '/echo/?a=b&c=%20+%zz&d[]=/?&=', '/echo/?a=b&c=%20+%zz&d[]=/?&='],
];

for (const [name, path, expected] of PATHS) {
  chainTest(`a path reaches the backend: ${name}`, async (scene) => {
    assert.equal((await scene.echo({ path })).url, expected);
  });
}

chainTest('bytes above 127 in a path that are not escaped arrive escaped', async (scene) => {
  const head = `GET /echo/gr\xc3\xbcn HTTP/1.1\r\nHost: ${scene.behind.domain}\r\nConnection: close\r\n\r\n`;

  const answer = await exchangeBytes(scene.front.httpPort, head);

  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(answer, /"url":"\/echo\/gr%C3%BCn"/);
});

chainTest('an escaped slash stays one between agents that keep it', async (scene, { front, behind }) => {
  const { url } = await scene.echo({ path: '/echo/a%2Fb' });

  // motan-go decodes the path before it sends it on, and what it sends on is decoded for good.
  const isKept = front === 'peony' && behind === 'peony';
  assert.equal(url, isKept ? '/echo/a%2Fb' : '/echo/a/b');
});

chainTest('the address of the caller is told', async (scene) => {
  const echo = await scene.echo({ path: '/echo/' });

  assert.deepEqual(valuesOf(echo.fields, 'X-Forwarded-For'), ['127.0.0.1']);
});

chainTest('the address of the caller is put behind those before it', async (scene, { front }) => {
  const echo = await scene.echo({ path: '/echo/', fields: [['X-Forwarded-For', '192.0.2.7']] });

  // motan-go never tells the address of an HTTP caller.
  const expected = front === 'motan-go' ? '192.0.2.7' : '192.0.2.7, 127.0.0.1';
  assert.deepEqual(valuesOf(echo.fields, 'X-Forwarded-For'), [expected]);
});

chainTest('a multipart body arrives untouched', async (scene, { front }) => {
  const part = (name: string, text: string, more = ''): string =>
    `--B\r\nContent-Disposition: form-data; name="${name}"${more}\r\nX-Part: y\r\n\r\n${text}\r\n`;
  const body = `${part('file', '\x00\xff', '; filename="a.bin"')}${part('text', 'v')}--B--\r\n`;
  const type = ['Content-Type', 'multipart/form-data; boundary=B'] as const;

  const echo = await scene.echo({
    path: '/echo/',
    method: 'POST',
    fields: [type],
    body: Buffer.from(body, 'latin1'),
  });

  // motan-go takes the parts apart and puts them together anew, in another order.
  if (front === 'motan-go') assert.notEqual(echo.body, body);
  else assert.equal(echo.body, body);
});

chainTest('a chunked upload arrives whole', async (scene) => {
  const head = `POST /echo/ HTTP/1.1\r\nHost: ${scene.behind.domain}\r\nConnection: close\r\n`;

  const answer = await exchangeBytes(
    scene.front.httpPort,
    `${head}Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`,
  );

  assert.match(answer, /"bytes":11/);
  assert.match(answer, /"body":"hello world"/);
});

chainTest('an error page of a service whose errors are exceptions', async (scene, { behind }) => {
  const answer = await scene.ask({ path: '/strict/status/404' });

  // motan-go makes an exception of it for HTTP callers too, who then cannot see the status.
  if (behind === 'motan-go') {
    assert.equal(answer.status, 502);
    assert.equal(answer.body.toString(), 'err_msg: status 404');
  } else {
    assert.equal(answer.status, 404);
    assert.equal(answer.body.toString(), 'status 404');
  }
});

const FAILURES: readonly (readonly [string, string, RegExp])[] = [
  ['a backend where nobody listens', '/down/x', /connection refused/],
  ['a backend that dies without an answer', '/drop', /closed connection before/],
  ['a backend that dies in the middle of its answer', '/cut', /unexpected EOF/],
  ['a backend that is too late', '/late?ms=8000', /closed connection before|timed? ?out|timeout/],
  ['a service that is not exported', '/missing', /provider not exist serviceKey=/],
  ['a path without a location', '/lost/x', /service not found/],
];

for (const [name, path, text] of FAILURES) {
  chainTest(`502 and the text of the exception: ${name}`, async (scene) => {
    const answer = await scene.ask({ path });

    assert.equal(answer.status, 502, answer.body.toString());
    assert.match(answer.body.toString(), /^err_msg: /);
    assert.match(answer.body.toString(), text);
    assert.deepEqual(valuesOf(answer.fields, 'Server'), ['motan']);
    assert.deepEqual(valuesOf(answer.fields, 'Content-Type'), ['text/plain; charset=utf-8']);
  });
}

chainTest('a request that dies in the backend is put once', async (scene, chain) => {
  const path = `/drop/${CHAINS.indexOf(chain)}`;

  await scene.ask({ path, method: 'POST', fields: [TYPE_FORM], body: 'a=1' });
  await scene.ask({ path });

  assert.equal(scene.backend.counts.get(path), 2);
});
