import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MethodSchema } from '../../../../../../src/core/index.js';
import { requestTarget } from '../../../../../../src/data/server/http/request-target.js';
import { CallPlan, planOf } from '../../../../../../src/data/server/http/typed/call-plan.js';
import type { PlainAnswer } from '../../../../../../src/data/server/http/typed/problem.js';
import { RequestHead } from '../../../../../../src/wire/http1/index.js';

const TYPE = ['Content-Type', 'application/json'];
const NO_SCHEMAS = new Map<string, Map<string, MethodSchema>>();

interface Given {
  method?: string;
  target?: string;
  fields?: string[];
  allowed?: string[];
  schemas?: Map<string, Map<string, MethodSchema>>;
}

function plan(given: Given = {}): CallPlan | PlainAnswer {
  const { method = 'POST', target = '/v1/call/svc.one/hello', fields = TYPE, allowed = [] } = given;
  const head = new RequestHead(method, target, 1, ['Host', 'localhost', ...fields]);
  const exchange = { head, target: requestTarget(head), remoteHost: '127.0.0.1' };
  return planOf(exchange, given.schemas ?? NO_SCHEMAS, allowed);
}

function metadataOf(given: Given): Record<string, string> {
  const made = plan(given);
  assert.ok(made instanceof CallPlan, JSON.stringify(made));
  return Object.fromEntries(made.headFor(made.timeoutMs).metadata.entries());
}

function refusalOf(given: Given): {
  status: number;
  fields: readonly string[];
  detail: string;
  cause?: string;
} {
  const made = plan(given);
  assert.ok(!(made instanceof CallPlan), 'it is planned');
  const { detail = '', cause } = made.body.length === 0 ? {} : JSON.parse(made.body.toString());
  return { status: made.status, fields: made.fields, detail, cause };
}

test('a path names service and method, and nothing else is asked for', () => {
  assert.deepEqual(metadataOf({}), { M_p: 'svc.one', M_m: 'hello', M_pp: 'motan2' });
});

test('names are percent-decoded: a method may hold a slash, and text is UTF-8 bytes', () => {
  const metadata = metadataOf({ target: '/v1/call/s%C3%A9rvice/%2F2%2Fcart%3Fx' });

  assert.equal(Buffer.from(metadata.M_p!, 'latin1').toString('utf8'), 'sérvice');
  assert.equal(metadata.M_m, '/2/cart?x');
});

test('group, version and description of the schema travel', () => {
  const schema: MethodSchema = { args: null, returns: null, desc: 'java.lang.String', description: '' };
  const schemas = new Map([['svc.one', new Map([['hello', schema]])]]);
  const metadata = metadataOf({ target: '/v1/call/svc.one/hello?group=g%201&version=1.0', schemas });

  assert.deepEqual(metadata, {
    M_p: 'svc.one',
    M_m: 'hello',
    M_md: 'java.lang.String',
    M_g: 'g 1',
    M_v: '1.0',
    M_pp: 'motan2',
  });
});

test('a schema is found by the names as people write them', () => {
  const schema: MethodSchema = { args: [], returns: null, desc: '', description: '' };
  const schemas = new Map([['sérvice', new Map([['/m', schema]])]]);
  const made = plan({ target: '/v1/call/s%C3%A9rvice/%2Fm', schemas });

  assert.ok(made instanceof CallPlan);
  assert.equal(made.schema, schema);
  assert.deepEqual(made.subject, { service: 'sérvice', method: '/m' });
});

test('the timeout becomes M_tmo: one head for the whole time, another for what is left', () => {
  const made = plan({ fields: [...TYPE, 'X-Peony-Timeout-Ms', '500'] });

  assert.ok(made instanceof CallPlan);
  assert.equal(made.timeoutMs, 500);
  assert.equal(made.headFor(500), made.headFor(500));
  assert.equal(made.headFor(500).timeoutMs, 500);
  assert.equal(made.headFor(120).timeoutMs, 120);
});

test('headers of the allow list travel in lower case, the others do not', () => {
  const fields = [...TYPE, 'X-User', 'ann', 'x-role', 'a', 'X-Role', 'b', 'X-Other', 'no', 'M_p', 'evil'];
  const metadata = metadataOf({ fields, allowed: ['x-user', 'x-role', 'x-absent'] });

  assert.deepEqual(metadata, {
    M_p: 'svc.one',
    M_m: 'hello',
    M_pp: 'motan2',
    'x-user': 'ann',
    'x-role': 'a, b',
  });
});

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

test('a valid trace context travels without being on the allow list', () => {
  const fields = [...TYPE, 'Traceparent', TRACE, 'tracestate', 'a=1', 'Tracestate', 'b@c=2'];
  const { traceparent, tracestate } = metadataOf({ fields });

  assert.equal(traceparent, TRACE);
  assert.equal(tracestate, 'a=1,b@c=2');
});

for (const bad of [
  TRACE.toUpperCase(),
  `${TRACE}-00`,
  TRACE.replace(/^00/, 'ff'),
  '00-00000000000000000000000000000000-b7ad6b7169203331-01',
  '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01',
  TRACE.slice(0, -1),
  `01${TRACE.slice(2)}-${'x'.repeat(300)}`,
  '',
]) {
  test(`the traceparent ${bad.slice(0, 70)} goes no further, nor does its tracestate, even if allowed by name`, () => {
    const fields = [...TYPE, 'traceparent', bad, 'tracestate', 'a=1'];
    const metadata = metadataOf({ fields, allowed: ['traceparent', 'tracestate'] });

    assert.deepEqual(metadata, { M_p: 'svc.one', M_m: 'hello', M_pp: 'motan2' });
  });
}

test('two traceparents are none', () => {
  const fields = [...TYPE, 'traceparent', TRACE, 'traceparent', TRACE];

  assert.equal(metadataOf({ fields }).traceparent, undefined);
});

for (const bad of [
  'a',
  '=1',
  'A=1',
  'a=',
  `a=${'x'.repeat(300)}`,
  Array.from({ length: 33 }, (_, at) => `k${at}=1`).join(),
]) {
  test(`the tracestate ${bad.slice(0, 40)} is left out alone`, () => {
    const metadata = metadataOf({ fields: [...TYPE, 'traceparent', TRACE, 'tracestate', bad] });

    assert.equal(metadata.traceparent, TRACE);
    assert.equal(metadata.tracestate, undefined);
  });
}

for (const [what, given, status] of [
  ['a path without a method', { target: '/v1/call/svc.one' }, 404],
  ['a path with three names', { target: '/v1/call/a/b/c' }, 404],
  ['an empty method', { target: '/v1/call/svc.one/' }, 404],
  ['an empty service', { target: '/v1/call//hello' }, 404],
  ['a line break in a method', { target: '/v1/call/svc.one/a%0Ab' }, 404],
  ['a line break in a service', { target: '/v1/call/a%0D%0AM_g/b' }, 404],
  ['GET', { method: 'GET' }, 405],
  ['PUT', { method: 'PUT' }, 405],
  ['no content type', { fields: [] }, 415],
  ['a form', { fields: ['Content-Type', 'application/x-www-form-urlencoded'] }, 415],
  ['plain text', { fields: ['Content-Type', 'text/plain; application/json'] }, 415],
  ['another charset', { fields: ['Content-Type', 'application/json; charset=gbk'] }, 415],
  ['two content types', { fields: [...TYPE, ...TYPE] }, 415],
  ['a compressed body', { fields: [...TYPE, 'Content-Encoding', 'gzip'] }, 415],
  ['a caller that takes HTML only', { fields: [...TYPE, 'Accept', 'text/html, image/*'] }, 406],
  ['a caller that takes all but JSON', { fields: [...TYPE, 'Accept', '*/*, application/json;q=0'] }, 406],
  ['a web page', { fields: [...TYPE, 'Origin', 'http://localhost:9983'] }, 403],
  ['a web page that hides its origin', { fields: [...TYPE, 'Sec-Fetch-Site', 'cross-site'] }, 403],
  ['an unknown parameter', { target: '/v1/call/a/b?gruop=g' }, 400],
  ['a repeated parameter', { target: '/v1/call/a/b?group=g&group=h' }, 400],
  ['a line break in the group', { target: '/v1/call/a/b?group=g%0AM_p%0Aevil' }, 400],
  ['a timeout of 0', { fields: [...TYPE, 'X-Peony-Timeout-Ms', '0'] }, 400],
  ['a timeout that is too long', { fields: [...TYPE, 'X-Peony-Timeout-Ms', '600001'] }, 400],
  ['a timeout in words', { fields: [...TYPE, 'X-Peony-Timeout-Ms', '1e3'] }, 400],
  ['two timeouts', { fields: [...TYPE, 'X-Peony-Timeout-Ms', '5', 'X-Peony-Timeout-Ms', '5'] }, 400],
] as const) {
  test(`${what} is refused with ${status}`, () => {
    const refusal = refusalOf(given as Given);

    assert.equal(refusal.status, status);
    assert.notEqual(refusal.detail, '');
    assert.equal(refusal.cause, status === 400 ? 'E_BAD_REQUEST' : undefined);
    assert.ok(refusal.fields.includes('application/problem+json'));
  });
}

test('wrong methods and types are told the right ones', () => {
  const allow = refusalOf({ method: 'GET' }).fields;
  assert.equal(allow[allow.indexOf('Allow') + 1], 'POST, OPTIONS');
  const accept = refusalOf({ fields: [] }).fields;
  assert.equal(accept[accept.indexOf('Accept') + 1], 'application/json');
});

test('OPTIONS tells the methods and grants nothing to pages', () => {
  const { status, fields } = refusalOf({ method: 'OPTIONS', fields: ['Origin', 'http://evil.example'] });

  assert.equal(status, 204);
  assert.deepEqual(fields, ['Allow', 'POST, OPTIONS']);
});

for (const type of [
  'application/json',
  'Application/JSON;charset=UTF-8',
  'application/json; charset="utf-8"',
]) {
  test(`${type} is taken`, () => {
    assert.ok(plan({ fields: ['Content-Type', type] }) instanceof CallPlan);
  });
}

for (const accept of [
  '*/*',
  'application/*;q=0.5',
  'text/html, application/json;q=0.1',
  'text/html;q=0, */*',
]) {
  test(`a caller that accepts ${accept} is served`, () => {
    assert.ok(plan({ fields: [...TYPE, 'Accept', accept] }) instanceof CallPlan);
  });
}
