import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type EndpointSettings,
  endpointSettings,
  timeoutOf,
} from '../../../../src/data/endpoint/settings.js';
import { call } from '../../../support/calls.js';
import { cluster } from '../../../support/plane.js';

function settings(refer: Record<string, string>, node: Record<string, string> = {}): EndpointSettings {
  const state = cluster({ parameters: refer, nodes: [{ port: 1, parameters: node }] });
  return endpointSettings(state, state.endpoints[0]!);
}

test('what is not configured has the defaults of the peers', () => {
  assert.deepEqual(settings({ requestTimeout: '' }), {
    connectTimeoutMs: 1000,
    connectRetryMs: 60_000,
    connectionsMax: 3,
    keepaliveIntervalMs: 1000,
    errorCountMax: 10,
    frameBytesMax: 10_485_760,
    zipAboveBytes: 0,
    lazyInit: false,
    requestTimeoutMs: 1000,
    methodUrl: null,
    minTimeoutMs: 0,
    maxTimeoutMs: 0,
  });
});

test('the refer comes before the node, the node before the default', () => {
  const found = settings(
    { connectTimeout: '5' },
    { connectTimeout: '6', clientConnection: '7', lazyInit: 'T' },
  );

  assert.deepEqual([found.connectTimeoutMs, found.connectionsMax, found.lazyInit], [5, 7, true]);
});

test('numbers below 1 mean the default, but 0 switches health and zipping off', () => {
  const found = settings({
    requestTimeout: '0',
    clientConnection: '-1',
    keepaliveInterval: '0',
    errorCountThreshold: '0',
    mingzSize: '-5',
  });

  assert.deepEqual(
    [found.requestTimeoutMs, found.connectionsMax, found.keepaliveIntervalMs],
    [1000, 3, 1000],
  );
  assert.deepEqual([found.errorCountMax, found.zipAboveBytes], [0, 0]);
});

const wishes: readonly [string, Record<string, string>, string, number][] = [
  ['inside the derived window', { requestTimeout: '401' }, '200', 200],
  ['below half', { requestTimeout: '401' }, '199', 401],
  ['at twice', { requestTimeout: '401' }, '802', 802],
  ['above twice', { requestTimeout: '401' }, '803', 401],
  ['below the configured minimum', { requestTimeout: '400', minRequestTimeout: '300' }, '299', 400],
  ['above the configured maximum', { requestTimeout: '400', maxRequestTimeout: '500' }, '501', 400],
  ['inside a window of a method', { requestTimeout: '400', 'hello().requestTimeout': '1000' }, '1900', 1900],
  ['outside a window of a method', { requestTimeout: '400', 'hello().requestTimeout': '1000' }, '400', 1000],
];
for (const [name, refer, M_tmo, expectedMs] of wishes) {
  test(`a wish ${name} of ${M_tmo} ms gives ${expectedMs} ms`, () => {
    assert.equal(timeoutOf(settings(refer), call({ metadata: { M_tmo } })), expectedMs);
  });
}

test('a timeout of a method below 1 means the default', () => {
  assert.equal(timeoutOf(settings({ 'hello().requestTimeout': '0' }), call()), 1000);
});
