/** Motan callers of a domain: through the mesh where it serves the path, else to the domain itself. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  type Call,
  failed,
  failure,
  type HttpDomain,
  type MotanException,
  type Reply,
} from '../../../src/core/index.js';
import { DomainCalls } from '../../../src/data/provider/index.js';
import { OutboundUpstreams } from '../../../src/data/server/http/proxy/outbound-upstreams.js';
import { TargetPolicy } from '../../../src/data/server/http/target-policy.js';
import { IoLoop, rawStreamsWork } from '../../../src/data/transport/index.js';
import { decodeSimpleValue, encodeSimpleArguments } from '../../../src/wire/serialization/index.js';
import { call, answer as serviceAnswer } from '../../support/calls.js';
import { realClock, until } from '../../support/clock.js';
import { answerText, type BackendScript, HttpBackend } from '../../support/http-backend.js';
import { RecordingLogger } from '../../support/plane.js';
import { domain } from './server-scene.js';

/** What an origin was told, with its bytes copied. */
interface Told {
  readonly reply: Reply;
  readonly body: Buffer;
}

class Caller {
  readonly told: Told[] = [];
  pressures = 0;

  onReply(_call: Call, reply: Reply): void {
    this.told.push({ reply, body: Buffer.from(reply.bytes.subarray(reply.bodyStart, reply.bodyEnd)) });
  }

  onPressure(): void {
    this.pressures += 1;
  }

  onRelief(): void {
    this.pressures -= 1;
  }
}

interface Scene {
  readonly backend: HttpBackend;
  readonly calls: DomainCalls;
  readonly loop: IoLoop;
  readonly name: string;
  /** Makes the call and gives its one answer. */
  ask(web: HttpDomain, made: Call, caller: Caller): Promise<Told>;
}

async function scene(
  t: TestContext,
  script: BackendScript,
  allow: string[] = ['127.0.0.0/8'],
): Promise<Scene> {
  const backend = await HttpBackend.start(script);
  const loop = new IoLoop(realClock);
  const useRaw = await rawStreamsWork(loop);
  const policy = new TargetPolicy(allow, {
    loop,
    ownPorts: () => new Set(),
    ownAddresses: [],
    lookup: (_name, done) => setImmediate(() => done(null, ['127.0.0.1'])),
  });
  const settings = { keepalive: true, upstreamIdleMs: 5000, upstreamTimeoutMs: 200 };
  const outbound = new OutboundUpstreams(settings, policy, { loop, useRaw });
  const calls = new DomainCalls(200, { loop, logger: new RecordingLogger(), useRaw, outbound });
  t.after(async () => {
    outbound.close(0);
    loop.close();
    await backend.stop();
  });
  return {
    backend,
    calls,
    loop,
    name: `shop.test:${backend.port}`,
    async ask(web, made, caller) {
      loop.tick();
      calls.call(web, made);
      await until('the answer', () => caller.told.length > 0);
      assert.equal(caller.told.length, 1);
      return caller.told[0]!;
    },
  };
}

/** A call as motan-php makes it: the path is the method, the arguments are one map of strings. */
function phpCall(
  caller: Caller,
  service: string,
  path: string,
  metadata: Record<string, string> = {},
  pairs: readonly (readonly [string, string])[] = [],
): Call {
  const bytes = encodeSimpleArguments([
    pairs.length === 0 ? { type: 'null' } : { type: 'stringMap', entries: pairs },
  ]);
  const made = call({ origin: caller, bytes, metadata: { M_p: service, M_m: path, ...metadata } });
  Object.assign(made, { receivedMs: performance.now() });
  return made;
}

const NO_NODE: MotanException = { code: 1001, type: 1, message: 'No refers for request' };

/** A domain whose services answer in this way; nothing but `/rpc...` is servable. */
function meshDomain(name: string, serve: (service: string, made: Call) => void): HttpDomain {
  return domain(name, serve, { application: 'client-app' });
}

function neverCalled(): void {
  assert.fail('the mesh must not be asked');
}

function exceptionOf(told: Told): [number, number, string] {
  const { code, type, message } = told.reply.exception!;
  return [code, type, message];
}

test('a servable path goes to its service with the arguments untouched', async (t) => {
  const { ask, backend, name } = await scene(t, () => undefined);
  const seen: { service: string; made: Call }[] = [];
  const caller = new Caller();
  const web = meshDomain(name, (service, made) => {
    seen.push({ service, made });
    made.origin.onReply(made, serviceAnswer());
  });
  const made = phpCall(caller, name, '/rpc/x', { M_v: '1.0', host: '9.9.9.9' }, [['a', '1']]);
  const bytes = Buffer.from(made.bytes);

  const told = await ask(web, made, caller);

  assert.equal(told.body.toString(), 'ok');
  const [{ service, made: passed }] = seen as [(typeof seen)[0]];
  assert.equal(service, 'svc.web');
  assert.deepEqual(Object.fromEntries(passed.head.metadata.entries()), {
    M_p: 'svc.web',
    M_m: '/rpc/x',
    M_v: '1.0',
    host: '9.9.9.9',
    M_s: 'client-app',
    M_g: 'fg',
  });
  assert.equal(passed.head.host, '127.0.0.1');
  assert.deepEqual(passed.bytes.subarray(passed.bodyStart, passed.bodyEnd), bytes);
  assert.equal(made.head.service, name);
  assert.equal(backend.requests.length, 0);
});

test('what the caller says of itself stays', async (t) => {
  const { ask, name } = await scene(t, () => undefined);
  const caller = new Caller();
  let head: Call['head'] | null = null;
  const web = meshDomain(name, (_service, made) => {
    head = made.head;
    made.origin.onReply(made, serviceAnswer());
  });

  await ask(web, phpCall(caller, name, '/rpc', { M_g: 'own', application: 'php-app' }), caller);

  assert.equal(head!.group, 'own');
  assert.equal(head!.source, 'php-app');
});

test('an exception of the service is the answer', async (t) => {
  const { ask, backend, name } = await scene(t, () => undefined);
  const caller = new Caller();
  const web = meshDomain(name, (_service, made) =>
    made.origin.onReply(made, serviceAnswer({ code: 503, type: 2, message: 'no' })),
  );

  const told = await ask(web, phpCall(caller, name, '/rpc'), caller);

  assert.deepEqual(exceptionOf(told), [503, 2, 'no']);
  assert.equal(backend.requests.length, 0);
});

test('pressure of the service reaches the caller', async (t) => {
  const { ask, name } = await scene(t, () => undefined);
  const caller = new Caller();
  const web = meshDomain(name, (_service, made) => {
    made.origin.onPressure();
    assert.equal(caller.pressures, 1);
    made.origin.onRelief();
    made.origin.onReply(made, serviceAnswer());
  });

  await ask(web, phpCall(caller, name, '/rpc'), caller);

  assert.equal(caller.pressures, 0);
});

test('a path that no service has is asked of the domain itself', async (t) => {
  const { ask, backend, name } = await scene(t, (_request, connection) => {
    connection.send(answerText(201, 'page', 'X-One: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n'));
  });
  const caller = new Caller();
  const made = phpCall(caller, name, '/page/1', { requestIdFromClient: '7', SERIALIZATION: '6' }, [
    ['q', 'a b&c'],
    ['é', '1'],
  ]);

  const told = await ask(meshDomain(name, neverCalled), made, caller);

  assert.equal(told.reply.exception, null);
  assert.deepEqual(decodeSimpleValue(told.body), { type: 'bytes', value: Buffer.from('page') });
  assert.deepEqual(Object.fromEntries(told.reply.head!.metadata.entries()), {
    'Content-Length': '4',
    'X-One': '1',
    'Set-Cookie': 'b',
    'Content-Type': 'text/plain; charset=utf-8',
  });
  assert.equal(told.reply.head!.upstreamCode, '');
  const [line, ...fields] = backend.requests[0]!.head.split('\r\n');
  assert.equal(line, 'GET /page/1?q=a%20b%26c&%C3%A9=1 HTTP/1.1');
  assert.ok(fields.includes(`Host: ${name}`));
  assert.ok(fields.includes('Requestidfromclient: 7'));
  assert.ok(fields.includes('X-Forwarded-For: 127.0.0.1'));
});

test('HTTP_Method makes the arguments a form', async (t) => {
  const { ask, backend, name } = await scene(t, (_request, connection) => {
    connection.send(answerText(200, ''));
  });
  const caller = new Caller();

  await ask(
    meshDomain(name, neverCalled),
    phpCall(caller, name, '/save', { HTTP_Method: 'POST' }, [['k', 'v w']]),
    caller,
  );

  const { head, body } = backend.requests[0]!;
  assert.match(head, /^POST \/save HTTP\/1\.1\r\n/);
  assert.match(head, /\r\nContent-Type: application\/x-www-form-urlencoded/);
  assert.equal(body.toString(), 'k=v+w');
});

test('a service without nodes makes way for the domain, and its arguments are still there', async (t) => {
  const { ask, backend, name } = await scene(t, (request, connection) => {
    connection.send(answerText(200, request.body.toString('latin1')));
  });
  const caller = new Caller();
  const web = meshDomain(name, (_service, made) => {
    // Whoever sent the call on is done with its bytes.
    setImmediate(() => made.origin.onReply(made, serviceAnswer(NO_NODE)));
  });
  const made = phpCall(caller, name, '/rpc', { HTTP_Method: 'POST' }, [['k', 'v']]);
  const { bytes } = made;

  const pending = ask(web, made, caller);
  bytes.fill(0);
  const told = await pending;

  assert.deepEqual(decodeSimpleValue(told.body), { type: 'bytes', value: Buffer.from('k=v') });
  assert.equal(backend.requests.length, 1);
});

test('the agent finding no node is the same', async (t) => {
  const { ask, backend, name } = await scene(t, (_request, connection) => {
    connection.send(answerText(200, 'page'));
  });
  const caller = new Caller();
  const web = meshDomain(name, (_service, made) =>
    made.origin.onReply(made, failed(failure('E_NO_ENDPOINT', 'No refers for request'))),
  );

  const told = await ask(web, phpCall(caller, name, '/rpc'), caller);

  assert.equal(told.reply.exception, null);
  assert.equal(backend.requests.length, 1);
});

test('an error page of the domain is an answer', async (t) => {
  const { ask, name } = await scene(t, (_request, connection) => {
    connection.send(answerText(500, 'broken'));
  });
  const caller = new Caller();

  const told = await ask(meshDomain(name, neverCalled), phpCall(caller, name, '/x'), caller);

  assert.equal(told.reply.exception, null);
  assert.deepEqual(decodeSimpleValue(told.body), { type: 'bytes', value: Buffer.from('broken') });
});

for (const [title, script, expected] of [
  ['that closes', (_request, connection) => connection.reset(), /^do http request failed : /],
  ['that is silent', () => undefined, /^do http request failed : /],
] as const satisfies readonly (readonly [string, BackendScript, RegExp])[]) {
  test(`a domain ${title} is an exception of code 400`, async (t) => {
    const { ask, backend, name } = await scene(t, script);
    const caller = new Caller();

    const told = await ask(meshDomain(name, neverCalled), phpCall(caller, name, '/x'), caller);

    const [code, type, message] = exceptionOf(told);
    assert.deepEqual([code, type], [400, 1]);
    assert.match(message, expected);
    assert.equal(backend.requests.length, 1);
  });
}

test('arguments that are no HTTP request are an exception of code 400', async (t) => {
  const { ask, backend, name } = await scene(t, () => undefined);
  const web = meshDomain(name, neverCalled);
  const metadata = { M_p: name, M_m: '/x' };
  const two = new Caller();
  const broken = new Caller();
  const bytes = encodeSimpleArguments([
    { type: 'string', value: 'a' },
    { type: 'string', value: 'b' },
  ]);

  const toldTwo = await ask(web, call({ origin: two, bytes, metadata }), two);
  const toldBroken = await ask(web, call({ origin: broken, bytes: Buffer.from([99]), metadata }), broken);

  assert.deepEqual(exceptionOf(toldTwo), [
    400,
    1,
    'bad motan-http request: http rpc only support one parameter',
  ]);
  const [code, type, message] = exceptionOf(toldBroken);
  assert.deepEqual([code, type], [400, 1]);
  assert.match(message, /^bad request: /);
  assert.equal(backend.requests.length, 0);
});

test('a domain on this machine needs an entry', async (t) => {
  const { ask, backend, name } = await scene(t, () => undefined, []);
  const caller = new Caller();

  const told = await ask(meshDomain(name, neverCalled), phpCall(caller, name, '/x'), caller);

  assert.equal(told.reply.failure!.code, 'E_FORBIDDEN');
  assert.match(told.reply.exception!.message, /httpProxyAllow/);
  assert.equal(backend.connections.length, 0);
});

test('a caller of Motan v1 is told that it cannot be served', async (t) => {
  const { ask, name } = await scene(t, () => undefined);
  const caller = new Caller();
  const made = Object.assign(phpCall(caller, name, '/x'), { protocol: 1 });

  const told = await ask(meshDomain(name, neverCalled), made, caller);

  assert.equal(told.reply.failure!.code, 'E_BAD_ARGUMENTS');
});
