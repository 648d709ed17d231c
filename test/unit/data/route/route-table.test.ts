import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallHead, MeshUrl, Metadata } from '../../../../src/core/index.js';
import { type Routable, RouteTable } from '../../../../src/data/route/index.js';

function target(path: string, group: string, protocol = 'motan2', version = ''): Routable {
  return {
    refer: new MeshUrl({
      protocol,
      path,
      group,
      parameters: new Map(version === '' ? [] : [['version', version]]),
    }),
  };
}

function head(metadata: Record<string, string>): CallHead {
  const latin1 = Object.entries(metadata).map(
    ([key, value]) => [key, Buffer.from(value).toString('latin1')] as const,
  );
  return new CallHead(Metadata.of(latin1), 'host');
}

function resolve(targets: Routable[], metadata: Record<string, string>): Routable | string {
  const found = new RouteTable(1, targets).resolve(head(metadata));
  return 'refer' in found ? found : `${found.code}: ${found.message}`;
}

const GA = target('svc', 'ga');
const GB = target('svc', 'gb');

test('the only refer of a service takes every call for it', () => {
  const only = target('svc', 'g', 'motan2', '1.0');

  assert.equal(resolve([only], { M_p: 'svc', M_g: 'other', M_v: '9', M_pp: 'cgi' }), only);
});

test('of several refers the group decides', () => {
  assert.equal(resolve([GA, GB], { M_p: 'svc', M_g: 'gb' }), GB);
  assert.equal(
    resolve([GA, GB], { M_p: 'svc', M_g: 'gc' }),
    'E_NO_CLUSTER: cluster not found. cluster: no cluster matches the request; ' +
      'info: {service: svc, group: gc, protocol: , version: }',
  );
  assert.equal(
    resolve([GA, GB], { M_p: 'svc' }),
    'E_NO_CLUSTER: cluster not found. cluster: multiple clusters are matched with service: svc, but the group is empty',
  );
});

test('a motan2 refer takes calls that ask for motan, no other does', () => {
  const [v1, v2] = [target('svc', 'g', 'motan'), target('svc', 'g', 'motan2')];

  assert.equal(resolve([v1, v2], { M_p: 'svc', M_g: 'g', M_pp: 'motan2' }), v2);
  assert.equal(resolve([v2, GA], { M_p: 'svc', M_g: 'g', M_pp: 'motan' }), v2);
  assert.match(String(resolve([v1, GA], { M_p: 'svc', M_g: 'g', M_pp: 'motan2' })), /^E_NO_CLUSTER/);
});

test('a version counts when both sides have one', () => {
  const [one, two] = [target('svc', 'g', 'motan2', '1'), target('svc', 'g', 'motan2', '2')];

  assert.equal(resolve([one, two], { M_p: 'svc', M_g: 'g', M_v: '2' }), two);
  assert.equal(resolve([one, two], { M_p: 'svc', M_g: 'g' }), one);
});

test('names beyond ASCII are found by their bytes', () => {
  const chinese = target('服务', '组');

  assert.equal(resolve([chinese, target('服务', 'b')], { M_p: '服务', M_g: '组' }), chinese);
});

test('no service, and one that nobody refers to, are told apart', () => {
  assert.equal(
    resolve([GA], { M_m: 'x' }),
    'E_NO_CLUSTER: cluster not found. cluster: empty service is not supported. service: ',
  );
  assert.equal(
    resolve([GA], { M_p: '你' }),
    'E_NO_CLUSTER: cluster not found. cluster: cluster not found. service: 你',
  );
});
