import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  agentPath,
  commandPath,
  isAgent,
  nodePath,
  parentOf,
  rolePath,
  toChroot,
} from '../../../../../src/control/registry/zookeeper/node-paths.js';
import { MeshUrl } from '../../../../../src/core/index.js';

const NODE = MeshUrl.parse('motan2://10.0.0.5:9982/com.x.Echo?group=g1&nodeType=service');
const AGENT = MeshUrl.parse('://10.0.0.5:8002/shop?group=shop&application=shop&nodeType=agent');

test('nodes stand where motan-go and Java look for them', () => {
  assert.equal(nodePath('', NODE, 'server'), '/motan/g1/com.x.Echo/server/10.0.0.5:9982');
  assert.equal(
    nodePath('', NODE, 'unavailableServer'),
    '/motan/g1/com.x.Echo/unavailableServer/10.0.0.5:9982',
  );
  assert.equal(rolePath('/a/b', NODE, 'client'), '/a/b/motan/g1/com.x.Echo/client');
  assert.equal(agentPath('', AGENT), '/motan/agent/shop/node/10.0.0.5:8002');
  assert.equal(parentOf('/motan/g1'), '/motan');
  assert.equal(parentOf('/motan'), '');
  assert.deepEqual([isAgent(NODE), isAgent(AGENT)], [false, true]);
});

test('what ZooKeeper refuses is refused with what it is about', () => {
  assert.throws(
    () => rolePath('', NODE.with({ group: '' }), 'server'),
    /\/motan\/\/com\.x\.Echo\/server .*a part is empty/,
  );
  assert.throws(() => rolePath('', NODE.with({ path: '..' }), 'server'), /a part is "\.\."/);
  assert.throws(
    () => rolePath('', NODE.with({ path: 'a\nb' }), 'server'),
    /"\/motan\/g1\/a\\nb\/server" is no path/,
  );
  assert.throws(
    () => nodePath('', NODE.with({ host: 'unix:///run/a.sock', port: 0 }), 'server'),
    /holds no "\/"/,
  );
});

test('a chroot is taken with and without slashes around it', () => {
  assert.deepEqual(['', '/', 'a', '/a/b/'].map(toChroot), ['', '', '/a', '/a/b']);
  assert.throws(() => toChroot('/a//b'), /a part is empty/);
});

test('commands stand where the peers write them', () => {
  assert.equal(commandPath('', { kind: 'service', group: 'g1' }), '/motan/g1/command');
  assert.equal(commandPath('/a', { kind: 'agent', application: 'shop' }), '/a/motan/agent/shop/command');
  assert.throws(() => commandPath('', { kind: 'service', group: '' }), /a part is empty/);
});
