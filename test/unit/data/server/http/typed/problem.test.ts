import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure, failureCodes } from '../../../../../../src/core/index.js';
import { statusOfException } from '../../../../../../src/data/server/http/typed/exception-status.js';
import {
  exceptionProblem,
  failureProblem,
  type PlainAnswer,
  requestProblem,
} from '../../../../../../src/data/server/http/typed/problem.js';

function documentOf({ body }: PlainAnswer): Record<string, unknown> {
  return JSON.parse(body.toString());
}

function field({ fields }: PlainAnswer, name: string): string | undefined {
  const at = fields.indexOf(name);
  return at < 0 ? undefined : fields[at + 1];
}

test('a failure of the agent is a problem with the status of its row, and names row and call', () => {
  const subject = { service: 'svc.one', method: 'hello', requestId: '7', node: '127.0.0.1:1' };
  const made = failureProblem(failure('E_NO_ENDPOINT', 'no node'), subject);

  assert.equal(made.status, 503);
  assert.equal(field(made, 'Content-Type'), 'application/problem+json');
  assert.equal(field(made, 'Retry-After'), '1');
  assert.deepEqual(documentOf(made), {
    type: '/v1/openapi.json#/x-tables/failures/E_NO_ENDPOINT',
    title: failureCodes.E_NO_ENDPOINT.meaning,
    status: 503,
    detail: 'no node',
    code: 1001,
    errtype: 1,
    cause: 'E_NO_ENDPOINT',
    ...subject,
  });
});

test('an exception of a service is a problem with its code and type, and no cause of the agent', () => {
  const made = exceptionProblem({ code: 30001, type: 2, message: 'no such user: ü' }, { service: 'svc.one' });

  assert.equal(made.status, 422);
  assert.equal(field(made, 'Retry-After'), undefined);
  assert.deepEqual(documentOf(made), {
    type: '/v1/openapi.json#/x-tables/exceptions',
    title: 'the service answered with an exception',
    status: 422,
    detail: 'no such user: ü',
    code: 30001,
    errtype: 2,
    service: 'svc.one',
  });
});

test('a request that names no call has the plain type of its status', () => {
  assert.deepEqual(documentOf(requestProblem(415, 'no')), {
    type: 'about:blank',
    title: 'Unsupported Media Type',
    status: 415,
    detail: 'no',
  });
});

for (const [code, type, status] of [
  [404, 1, 404],
  [400, 1, 502],
  [400, 2, 400],
  [500, 1, 500],
  [500, 2, 500],
  [501, 1, 501],
  [503, 503, 503],
  [503, 2, 503],
  [403, 2, 403],
  [409, 2, 409],
  [409, 1, 500],
  [401, 2, 422],
  [405, 2, 422],
  [429, 2, 429],
  [502, 2, 502],
  [504, 2, 504],
  [1001, 1, 503],
  [1002, 1, 502],
  [10001, 1, 500],
  [10002, 1, 503],
  [10003, 1, 504],
  [10101, 1, 404],
  [10201, 1, 413],
  [20003, 0, 400],
  [20001, 0, 500],
  [30001, 2, 422],
  [12345, 2, 422],
  [1, 1, 500],
  [2, 2, 422],
  [5, 5, 404],
  [5, 1, 500],
  [16, 16, 403],
  [13, 13, 500],
  [200, 2, 422],
  [-1, 0, 500],
] as const) {
  test(`an exception of code ${code} and type ${type} has status ${status}`, () => {
    assert.equal(statusOfException({ code, type, message: '' }), status);
  });
}

test('whatever code an exception has, its status is one of an error', () => {
  for (let code = -2; code < 40_000; code += 1) {
    for (const type of [-1, 0, 1, 2, 3, 503, code]) {
      const status = statusOfException({ code, type, message: '' });
      assert.ok(status >= 400 && status <= 599, `${code} ${type} ${status}`);
      assert.ok(![401, 405, 407, 412, 415, 426, 428].includes(status), `${code} ${type} needs fields`);
    }
  }
});
