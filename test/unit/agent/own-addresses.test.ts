import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownForwardTest } from '../../../src/agent/own-addresses.js';
import { MeshUrl } from '../../../src/core/index.js';

const ADDRESSES = ['127.0.0.1', '10.0.0.5', 'fe80::1'];
const at = (host: string, port = 9981): MeshUrl =>
  MeshUrl.parse('motan2://:0/com.x.Echo?group=g1').with({ host, port });

test('a port that is open at every address is our own at each of them, and nowhere else', () => {
  const isOwn = ownForwardTest({ host: '', port: 9981, unixSock: null }, ADDRESSES);

  const own = ['127.0.0.1', '127.0.0.9', 'localhost', '::1', '10.0.0.5', 'fe80::1'];
  assert.deepEqual(
    own.map((host) => isOwn(at(host))),
    own.map(() => true),
  );
  assert.equal(isOwn(at('10.0.0.6')), false);
  assert.equal(isOwn(at('10.0.0.5', 9982)), false);
  assert.equal(isOwn(at('unix:///run/x.sock', 0)), false);
});

test('a port that is open at one address is our own there alone', () => {
  const remote = ownForwardTest({ host: '10.0.0.5', port: 9981, unixSock: null }, ADDRESSES);
  const local = ownForwardTest({ host: '127.0.0.1', port: 9981, unixSock: null }, ADDRESSES);

  assert.deepEqual([remote(at('10.0.0.5')), remote(at('127.0.0.1'))], [true, false]);
  assert.deepEqual([local(at('10.0.0.5')), local(at('localhost'))], [false, true]);
});

test('with a unix socket that alone is our own', () => {
  const isOwn = ownForwardTest({ host: '', port: 9981, unixSock: '/run/peony.sock' }, ADDRESSES);

  assert.equal(isOwn(at('unix:///run/peony.sock', 0)), true);
  assert.equal(isOwn(at('unix:///run/other.sock', 0)), false);
  assert.equal(isOwn(at('127.0.0.1')), false);
});
