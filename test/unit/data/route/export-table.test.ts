import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallHead, type Failure, MeshUrl, Metadata } from '../../../../src/core/index.js';
import { ExportTable } from '../../../../src/data/route/index.js';

const service = (group: string, path: string) => ({ url: new MeshUrl({ group, path }) });
const META = service('', 'meta');
const ECHO = service('g1', 'com.x.Echo');
const TABLE = new ExportTable(1, [ECHO, service('g2', 'com.x.Echo')], new Map([['meta', META]]));

function head(metadata: Record<string, string>): CallHead {
  return new CallHead(Metadata.of(Object.entries(metadata)), '127.0.0.1');
}

test('group and service find the export, whatever version and protocol', () => {
  const found = TABLE.resolve(head({ M_p: 'com.x.Echo', M_g: 'g1', M_v: '9', M_pp: 'cgi' }));

  assert.equal(found, ECHO);
});

test('a caller that sends only the v1 name of the group is found', () => {
  assert.equal(TABLE.resolve(head({ M_p: 'com.x.Echo', group: 'g1' })), ECHO);
});

test('a missing service is told in the words that clients look for', () => {
  const { code, message } = TABLE.resolve(head({ M_p: 'com.x.Echo', M_g: 'g3' })) as Failure;

  assert.equal(code, 'E_NO_EXPORT');
  assert.equal(message, 'provider not exist serviceKey=g3_com.x.Echo');
});

test('a framework call reaches framework services only', () => {
  const wanted = { M_fws: 'y', M_g: 'g1' };

  assert.equal(TABLE.resolve(head({ ...wanted, M_p: 'meta' })), META);
  const { code, message } = TABLE.resolve(head({ ...wanted, M_p: 'com.x.Echo' })) as Failure;
  assert.deepEqual([code, message], ['E_NO_FRAMEWORK_SERVICE', 'service not support']);
});

test('names that are not ASCII are compared as bytes', () => {
  const table = new ExportTable(1, [service('größe', 'dienst.ü')], new Map());
  const latin1 = (text: string): string => Buffer.from(text).toString('latin1');

  const found = table.resolve(head({ M_p: latin1('dienst.ü'), M_g: latin1('größe') }));

  assert.ok('url' in found);
});
