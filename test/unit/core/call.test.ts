import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallHead, Metadata } from '../../../src/core/index.js';
import { call } from '../../support/calls.js';

test('a head reads what routes a call', () => {
  const head = new CallHead(
    Metadata.of([
      ['M_p', 'svc'],
      ['M_m', 'm'],
      ['M_md', 'd'],
      ['M_g', 'g'],
      ['M_v', '1'],
      ['M_pp', 'motan'],
      ['M_s', 'app'],
      ['M_rid', 'r'],
    ]),
    'h',
  );

  const { service, method, methodDesc, group, version, proxyProtocol, source, requestId, host } = head;
  assert.deepEqual(
    [service, method, methodDesc, group, version, proxyProtocol, source, requestId, host],
    ['svc', 'm', 'd', 'g', '1', 'motan', 'app', 'r', 'h'],
  );
});

test('a wished timeout is a positive base-10 integer or nothing', () => {
  const wish = (text: string): number => new CallHead(Metadata.of([['M_tmo', text]]), '').timeoutMs;

  assert.deepEqual(['1', '400', '+5'].map(wish), [1, 400, 5]);
  for (const text of ['0', '-1', '1.5', '1e3', '0x10', ' 1', 'abc', '']) assert.equal(wish(text), 0, text);
});

test('a retained body survives the buffer it was read into', () => {
  const buffer = Buffer.from('..body..');
  const made = call({ bytes: buffer, bodyStart: 2, bodyEnd: 6 });

  made.retain();
  buffer.fill(0);

  assert.equal(made.bytes.toString('latin1', made.bodyStart, made.bodyEnd), 'body');
  assert.equal(made.bodyBytes, 4);
  const own = made.bytes;
  made.retain();
  assert.equal(made.bytes, own, 'one copy is enough');
});
