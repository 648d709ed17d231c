/** The bridge `/proxy_to_rpc`: forms, metadata, values and what callers see of failures (spec traffic 2.9). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure } from '../../../src/core/index.js';
import { until } from '../../support/clock.js';
import {
  reply,
  replyException,
  replyFailure,
  type ServerScene,
  serverScene,
  simple,
} from './server-scene.js';

const QUERY = '/proxy_to_rpc?service=S&method=m&group=g&arg_type=string';
const FORM = 'Content-Type: application/x-www-form-urlencoded\r\n';

function post(target: string, body: string, fields = FORM): string {
  return `POST ${target} HTTP/1.1\r\nHost: any.host\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** The string that each call was given. */
function argumentsOf(scene: ServerScene): string[] {
  return scene.calls.map(({ body }) => {
    assert.equal(body[0], 1);
    assert.equal(body.readUInt32BE(1), body.length - 5);
    return body.toString('latin1', 5);
  });
}

function metadataOf(scene: ServerScene, index = 0): Record<string, string> {
  return Object.fromEntries(scene.calls[index]!.call.head.metadata.entries());
}

test('calls with one string and gives its value back', async (t) => {
  const scene = await serverScene(t);
  scene.service = (call) => reply(call, simple('value'), { address: '10.0.0.1:8002' });

  const answer = await scene.ask(post(QUERY, 'arg=hello'));

  assert.equal(answer.status, 200);
  assert.equal(answer.body.toString(), 'value');
  assert.equal(answer.fields.get('content-type'), 'text/plain');
  assert.equal(answer.fields.get('x-forwarded-for'), '10.0.0.1:8002');
  assert.deepEqual(argumentsOf(scene), ['hello']);
  const { call } = scene.calls[0]!;
  const { protocol, type, versionStatus, serialization } = call;
  assert.deepEqual(
    { protocol, type, versionStatus, serialization },
    {
      protocol: 2,
      type: 0x02,
      versionStatus: 0x08,
      serialization: 0x30,
    },
  );
  assert.deepEqual(metadataOf(scene), {
    M_p: 'S',
    M_m: 'm',
    M_pp: 'motan2',
    M_g: 'g',
    'Content-Type': 'application/x-www-form-urlencoded',
  });
});

test('gives every call an id of its own', async (t) => {
  const scene = await serverScene(t);
  scene.service = (call) => reply(call, simple(''));
  const caller = await scene.caller();

  for (let count = 0; count < 3; count += 1) {
    caller.send(post(QUERY, 'arg=x'));
    await caller.answer();
  }

  const ids = scene.calls.map(({ call }) => `${call.idHigh} ${call.idLow}`);
  assert.equal(new Set(ids).size, 3);
  assert.ok(scene.calls.every(({ call }) => call.idHigh >>> 31 === 0 && call.idHigh > 0));
});

test('shares the call head of requests with the same bytes', async (t) => {
  const scene = await serverScene(t);
  scene.service = (call) => reply(call, simple(''));
  const caller = await scene.caller();

  for (const body of ['arg=one', 'arg=two', 'arg=%33']) {
    caller.send(post(QUERY, body));
    await caller.answer();
  }

  const [first, second, third] = scene.calls;
  assert.equal(second!.call.head, first!.call.head);
  assert.equal(third!.call.head, first!.call.head);
  assert.deepEqual(argumentsOf(scene), ['one', 'two', '3']);
});

test('reads the five fields from query or form, the query first', async (t) => {
  const scene = await serverScene(t);
  scene.service = (call) => reply(call, simple(''));
  const all = 'service=S&method=m&group=g&arg_type=string&arg=a+b%26c';

  await scene.ask(`GET /proxy_to_rpc?${all} HTTP/1.1\r\nHost: h\r\n\r\n`);
  await scene.ask(post('/proxy_to_rpc', all));
  await scene.ask(post('/proxy_to_rpc?service=Q&arg=query', all));
  await scene.ask(post(QUERY, 'x=1&arg=second&y=2'));
  await scene.ask(post(`${QUERY}&arg=query`, 'arg=form'));
  await scene.ask(post(QUERY, 'arg=first&arg=second'));
  const long = 'l'.repeat(1000);
  await scene.ask(post(QUERY, `arg=${long}&arg=second`));

  assert.deepEqual(argumentsOf(scene), ['a b&c', 'a b&c', 'query', 'second', 'query', 'first', long]);
  assert.deepEqual(
    scene.calls.map(({ call }) => call.head.service),
    ['S', 'S', 'Q', 'S', 'S', 'S', 'S'],
  );
});

test('decodes the argument as bytes, whatever its size, wherever it is cut', async (t) => {
  const scene = await serverScene(t);
  scene.service = (call) => reply(call, simple(''));
  const texts = [
    ['', ''],
    ['%', '%'],
    ['%4', '%4'],
    ['%zz%41', '%zzA'],
    ['a%00%ff%0d%0a', 'a\0\xff\r\n'],
    ['\xe9\x00\x01', '\xe9\x00\x01'],
    ['x'.repeat(600), 'x'.repeat(600)],
    [`${'x'.repeat(600)}%20+`, `${'x'.repeat(600)}  `],
    ['%41'.repeat(100_000), 'A'.repeat(100_000)],
    ['y'.repeat(400_000), 'y'.repeat(400_000)],
  ] as const;

  for (const [form, text] of texts) {
    scene.calls.length = 0;
    await scene.ask(post(QUERY, `arg=${form}`));
    assert.equal(argumentsOf(scene)[0], text);
  }
});

test('reads a form whose body comes after its head', async (t) => {
  const scene = await serverScene(t);
  scene.service = (call) => reply(call, simple(''));
  const caller = await scene.caller();
  const [head, body] = [post(QUERY, 'arg=hello').slice(0, -9), 'arg=hello'];

  caller.send(head.replace(FORM, `${FORM}Expect: 100-continue\r\n`));
  await caller.answer();
  caller.send(body);
  await caller.answer();

  assert.deepEqual(argumentsOf(scene), ['hello']);
});

test('reads a chunked form', async (t) => {
  const scene = await serverScene(t);
  scene.service = (call) => reply(call, simple(''));

  await scene.ask(
    `POST ${QUERY} HTTP/1.1\r\nHost: h\r\n${FORM}Transfer-Encoding: chunked\r\n\r\n6\r\narg=he\r\n3\r\nllo\r\n0\r\n\r\n`,
  );

  assert.deepEqual(argumentsOf(scene), ['hello']);
});

test('takes the path normalised, whatever the host', async (t) => {
  const scene = await serverScene(t, { http: { defaultDomain: 'some.domain' } });
  scene.service = (call) => reply(call, simple(''));

  await scene.ask(`GET http://else.where//x/../proxy_to_rpc?${QUERY.slice(14)} HTTP/1.1\r\nHost: h\r\n\r\n`);

  assert.equal(scene.calls.length, 1);
});

test('refuses a form without service or method', async (t) => {
  const scene = await serverScene(t);

  const answer = await scene.ask(post('/proxy_to_rpc?service=caf%E9', 'arg_type=string'));

  assert.equal(answer.status, 400);
  assert.equal(answer.body.toString('latin1'), "service:caf\xe9 or method: musn't be empty");
  assert.equal(scene.server.report().failed, 1);
});

test('refuses an argument type other than string', async (t) => {
  const scene = await serverScene(t);

  const other = await scene.ask(post('/proxy_to_rpc?service=S&method=m&arg_type=int', 'arg=1'));
  const none = await scene.ask(post('/proxy_to_rpc?service=S&method=m', 'arg=1'));

  assert.equal(other.status, 400);
  assert.equal(other.body.toString(), 'arg_type int not support now');
  assert.equal(none.body.toString(), 'arg_type  not support now');
});

test('refuses names that would become other metadata', async (t) => {
  const scene = await serverScene(t);

  for (const name of ['service', 'method', 'group'])
    for (const evil of ['a%0AM_p%0AEvil', 'a%0D', 'a%00']) {
      const target = `/proxy_to_rpc?service=S&method=m&group=g&arg_type=string`.replace(
        new RegExp(`${name}=.`),
        `${name}=${evil}`,
      );
      assert.equal((await scene.ask(post(target, 'arg=1'))).status, 400, target);
    }
  assert.equal(scene.calls.length, 0);
});

test('makes metadata of the fields of a client, but not what routes a call, belongs to agents, or is for one hop', async (t) => {
  const scene = await serverScene(t);
  scene.service = (call) => reply(call, simple(''));
  const fields = [
    'x-lower: 1',
    'X-Twice: a',
    'x-twice: b',
    'Cookie: a=1',
    'Cookie: b=2',
    'traceparent: 00-aa-bb-01',
    'X-Empty:',
    'M_p: Evil',
    'm_g: evil',
    'M_tmo: 1',
    'HTTP_PROXY: true',
    'http_proxy: true',
    'Proxy: evil:1',
    'remoteIP: 1.2.3.4',
    'Connection: X-Hop',
    'X-Hop: 1',
    'Keep-Alive: 5',
    'TE: trailers',
    'Proxy-Authorization: Basic x',
    'X-Peony-Timeout-Ms: 250',
  ];

  await scene.ask(post(QUERY, 'arg=x', fields.map((field) => `${field}\r\n`).join('') + FORM));

  assert.deepEqual(metadataOf(scene), {
    M_p: 'S',
    M_m: 'm',
    M_pp: 'motan2',
    M_g: 'g',
    'X-Lower': '1',
    'X-Twice': 'a, b',
    Cookie: 'a=1; b=2',
    traceparent: '00-aa-bb-01',
    'Content-Type': 'application/x-www-form-urlencoded',
    M_tmo: '250',
  });
  assert.equal(scene.calls[0]!.call.head.timeoutMs, 250);
});

test('answers a value that is empty, null or nothing with 200 and an empty body', async (t) => {
  const scene = await serverScene(t);

  for (const value of [simple(''), simple(Buffer.alloc(0)), Buffer.from([0]), Buffer.alloc(0)]) {
    scene.service = (call) => reply(call, value);
    const answer = await scene.ask(post(QUERY, 'arg=x'));
    assert.equal(answer.status, 200);
    assert.equal(answer.fields.get('content-length'), '0');
  }
});

test('gives bytes and large values back unchanged', async (t) => {
  const scene = await serverScene(t);
  const bytes = Buffer.alloc(1_000_000, '\0\xff\r\n', 'latin1');

  for (const value of [simple(bytes), simple(bytes.toString('latin1'))]) {
    scene.service = (call) => reply(call, value);
    assert.ok((await scene.ask(post(QUERY, 'arg=x'))).body.equals(bytes));
  }
});

test('makes fields of the metadata of the answer, but none that HTTP cannot hold', async (t) => {
  const scene = await serverScene(t);
  const metadata = [
    ['M_pt', '3'],
    ['x-lower', 'v'],
    ['content-type', 'text/html'],
    ['X-Evil', 'a\rSet-Cookie: b'],
    ['X Bad', 'v'],
    ['Content-Length', '77'],
    ['Transfer-Encoding', 'chunked'],
  ] as const;
  scene.service = (call) => reply(call, simple('v'), { metadata });

  const answer = await scene.ask(post(QUERY, 'arg=x'));

  assert.equal(answer.fields.get('m_pt'), '3');
  assert.match(answer.head, /\r\nX-Lower: v\r\n/);
  assert.equal(answer.fields.get('content-type'), 'text/plain');
  assert.equal(answer.body.toString(), 'v');
  assert.equal(answer.fields.size, 5);
});

test('answers an exception with 502 and its message alone', async (t) => {
  const scene = await serverScene(t);
  scene.service = (call) => replyException(call, { code: 500, type: 2, message: 'caf\u00e9 is closed' });

  const answer = await scene.ask(post(QUERY, 'arg=x'));

  assert.equal(answer.status, 502);
  assert.equal(answer.fields.get('server'), undefined);
  assert.equal(answer.body.toString(), 'caf\u00e9 is closed');
  assert.equal(scene.server.report().ok, 1);
});

test('answers a failure of the agent with 502, and one of a bound with 503 and Retry-After', async (t) => {
  const scene = await serverScene(t);

  scene.service = (call) => replyFailure(call, failure('E_NO_CLUSTER', 'cluster not found'));
  const missing = await scene.ask(post(QUERY, 'arg=x'));
  scene.service = (call) => replyFailure(call, failure('E_SEND_QUEUE_FULL', 'too slow'));
  const full = await scene.ask(post(QUERY, 'arg=x'));

  assert.equal(missing.status, 502);
  assert.equal(missing.body.toString(), 'cluster not found');
  assert.equal(full.status, 503);
  assert.equal(full.fields.get('retry-after'), '1');
  const { failed, shed } = scene.server.report();
  assert.deepEqual({ failed, shed }, { failed: 1, shed: 1 });
});

test('answers a value that is no text with 502', async (t) => {
  const scene = await serverScene(t);
  const bad: [Buffer, number][] = [
    [Buffer.from([5, 1]), 0x30],
    [Buffer.from([1, 0, 0, 0, 9, 65]), 0x30],
    [Buffer.concat([simple('a'), simple('b')]), 0x30],
    [Buffer.from([1, 0]), 0x30],
    [simple('a'), 0x08],
  ];

  for (const [body, serialization] of bad) {
    scene.service = (call) => reply(call, body, { serialization });
    assert.equal((await scene.ask(post(QUERY, 'arg=x'))).status, 502);
  }
  assert.equal(scene.server.report().failed, bad.length);
});

test('counts a call whose caller is gone when its reply comes', async (t) => {
  const scene = await serverScene(t);
  const caller = await scene.caller();

  caller.send(post(QUERY, 'arg=x'));
  await scene.calledTimes(1);
  caller.socket.resetAndDestroy();
  await until('it is gone', () => scene.server.report().connections === 0);
  const before = scene.server.report();
  reply(scene.calls[0]!.call, simple('late'));
  const after = scene.server.report();

  assert.equal(before.inFlight, 1);
  assert.equal(after.inFlight, 0);
  assert.equal(after.ok, 1);
});

test('stops reading a caller while a node takes calls too slowly', async (t) => {
  const scene = await serverScene(t);
  const caller = await scene.caller();
  scene.service = (call) => {
    if (scene.calls.length === 1) call.origin.onPressure();
    reply(call, simple(''));
  };

  caller.send(post(QUERY, 'arg=1') + post(QUERY, 'arg=2'));
  await caller.answer();
  await scene.ask('GET /other HTTP/1.1\r\nHost: a\r\n\r\n');
  const whilePressed = scene.calls.length;
  scene.calls[0]!.call.origin.onRelief();
  await caller.answer();

  assert.equal(whilePressed, 1);
  assert.equal(scene.calls.length, 2);
});
