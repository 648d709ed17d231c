import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type FailureCode,
  failed,
  failure,
  failureCodes,
  toMotanException,
} from '../../../src/core/index.js';

const CODES = Object.keys(failureCodes) as FailureCode[];

test('every row of the table can be an answer in every protocol', () => {
  for (const code of CODES) {
    const row = failureCodes[code];
    assert.ok(row.motanCode >= 400 && row.motanCode <= 1004, code);
    assert.ok(row.motanType === 1 || row.motanType === 2, code);
    assert.ok(row.httpStatus >= 400 && row.httpStatus <= 599, code);
    assert.ok(row.grpcStatus >= 1 && row.grpcStatus <= 16, code);
    assert.ok(row.meaning.length > 10, code);
  }
});

test('the codes that peers know are those of the peers', () => {
  const known = {
    E_NO_CLUSTER: 400,
    E_TIMEOUT: 400,
    E_CONNECTION_LOST: 400,
    E_NO_ENDPOINT: 1001,
    E_NO_CONNECTION: 1002,
    E_BAD_ANSWER: 1003,
    E_BAD_EXCEPTION: 1004,
    E_INTERNAL: 500,
  };

  for (const [code, motanCode] of Object.entries(known))
    assert.equal(failureCodes[code as FailureCode].motanCode, motanCode, code);
});

test('only where nothing was sent may a call be made again without asking', () => {
  const elsewhere = CODES.filter((code) => failureCodes[code].retry === 'elsewhere').sort();

  assert.deepEqual(elsewhere, [
    'E_BACKEND_BUSY',
    'E_BACKEND_DOWN',
    'E_DRAINING',
    'E_NO_CONNECTION',
    'E_NO_ENDPOINT',
    'E_OVERLOADED',
    'E_SEND_QUEUE_FULL',
  ]);
});

test('a failed reply carries its failure as an exception and has no body', () => {
  const cause = failure('E_TIMEOUT', 'too late');

  const reply = failed(cause, '10.0.0.1:1');

  assert.equal(reply.failure, cause);
  assert.deepEqual(reply.exception, toMotanException(cause));
  assert.deepEqual(reply.exception, { code: 400, type: 1, message: 'too late' });
  assert.deepEqual([reply.bodyBytes, reply.address, reply.head], [0, '10.0.0.1:1', null]);
});
