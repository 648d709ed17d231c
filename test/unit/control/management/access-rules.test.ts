import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback, refusalOf } from '../../../../src/control/management/access-rules.js';
import { createManagementServer } from '../../../../src/control/management/index.js';
import { silentLogger } from '../../../../src/core/index.js';
import { FakeView } from './fake-view.js';

const TOKEN = '0123456789abcdef';
const RULES = { token: TOKEN, hostNames: ['vm7', 'vm7.example.com'] };

function refusal(remoteAddress: string | null, headers: Record<string, string>): string | null {
  return refusalOf({ remoteAddress, headers: { host: '127.0.0.1:8002', ...headers } }, RULES);
}

for (const address of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1']) {
  test(`${address} may change state`, () => {
    assert.equal(refusal(address, {}), null);
  });
}

for (const address of ['10.0.0.1', '::ffff:10.0.0.1', 'fe80::1', '', '127.0.0.1.example.com', '0.0.0.0']) {
  test(`"${address}" is not loopback`, () => {
    assert.equal(isLoopback(address), false);
    assert.match(refusal(address, {})!, /loopback/);
  });
}

test('the unix socket may change state', () => {
  assert.equal(refusal(null, { host: 'anything' }), null);
});

test('another machine may change state with the token and only with it', () => {
  assert.equal(refusal('10.0.0.1', { host: 'agent.example', authorization: `Bearer ${TOKEN}` }), null);
  assert.match(refusal('10.0.0.1', { authorization: 'Bearer 0123456789abcdeX' })!, /wrong token/);
  assert.match(refusal('10.0.0.1', { authorization: 'Bearer 0123' })!, /wrong token/);
  assert.match(refusal('10.0.0.1', { authorization: `Basic ${TOKEN}` })!, /loopback/);
});

test('no token is right when none is configured', () => {
  const headers = { host: '127.0.0.1', authorization: 'Bearer undefined' };

  assert.match(
    refusalOf({ remoteAddress: '10.0.0.1', headers }, { token: null, hostNames: [] })!,
    /loopback/,
  );
});

const PAGES = [
  { origin: 'http://evil.example' },
  { origin: 'null' },
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-site' },
  { referer: 'http://evil.example/page' },
];
for (const headers of PAGES) {
  test(`a web page is refused, token or not: ${JSON.stringify(headers)}`, () => {
    assert.match(refusal('127.0.0.1', headers as Record<string, string>)!, /web page/);
    assert.match(
      refusal('127.0.0.1', { ...headers, authorization: `Bearer ${TOKEN}` } as Record<string, string>)!,
      /web page/,
    );
    assert.match(refusal(null, headers as Record<string, string>)!, /web page/);
  });
}

test('an address typed into a browser is served', () => {
  assert.equal(refusal('127.0.0.1', { 'sec-fetch-site': 'none' }), null);
});

for (const host of [
  'evil.example',
  'evil.example:8002',
  'localhost.evil.example',
  '127.0.0.1.evil.example',
  'vm7.evil.example',
]) {
  test(`a request for ${host} is refused, because DNS may point it here`, () => {
    assert.match(refusal('127.0.0.1', { host })!, /Host header/);
  });
}

for (const host of ['localhost', 'LOCALHOST:8002', '[::1]:8002', '10.1.2.3', 'vm7', 'VM7.example.com.', '']) {
  test(`a request for "${host}" is served`, () => {
    assert.equal(refusal('127.0.0.1', { host }), null);
  });
}

for (const name of ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip']) {
  test(`loopback does not count for a request with ${name}`, () => {
    assert.match(refusal('127.0.0.1', { [name]: '10.0.0.1' })!, /proxy/);
    assert.equal(refusal('127.0.0.1', { [name]: '10.0.0.1', authorization: `Bearer ${TOKEN}` }), null);
  });
}

const CHANGING = [
  '/200',
  '/503',
  '/switcher/set',
  '/logConfig/set',
  '/registry/register',
  '/reload/clusters',
  '/%32%30%30',
];
for (const url of CHANGING) {
  test(`${url} is refused to another machine`, async () => {
    const view = new FakeView();
    const address = { host: '', port: 0, portRange: null, unixSock: null };
    const server = createManagementServer(view, {
      address,
      token: TOKEN,
      hostNames: [],
      logger: silentLogger,
    });

    const response = await server.app.inject({
      method: 'POST',
      url,
      remoteAddress: '10.0.0.1',
      headers: { host: '10.0.0.2' },
    });
    await server.close();

    assert.equal(response.statusCode, 403);
    assert.deepEqual(view.servingCalls, []);
  });
}

test('the server knows the token', async () => {
  const view = new FakeView();
  const address = { host: '', port: 0, portRange: null, unixSock: null };
  const server = createManagementServer(view, { address, token: TOKEN, hostNames: [], logger: silentLogger });

  const response = await server.app.inject({
    url: '/200',
    remoteAddress: '10.0.0.1',
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  await server.close();

  assert.equal(response.body, 'ok.');
});

for (const url of ['/', '/status', '/metrics', '/v1/status', '/switcher/getAll', '/logConfig/get']) {
  test(`${url} is served to everybody`, async () => {
    const address = { host: '', port: 0, portRange: null, unixSock: null };
    const server = createManagementServer(new FakeView(), {
      address,
      token: null,
      hostNames: [],
      logger: silentLogger,
    });

    const response = await server.app.inject({
      url,
      remoteAddress: '10.0.0.1',
      headers: { host: 'lb.example' },
    });
    await server.close();

    assert.notEqual(response.statusCode, 403);
  });
}
