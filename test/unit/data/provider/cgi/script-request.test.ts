/** What a script is told: names and values on the wire, read by a FastCGI reader that is not ours. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshUrl } from '../../../../../src/core/index.js';
import { scriptRequest } from '../../../../../src/data/provider/cgi/script-request.js';
import { cgiSettings } from '../../../../../src/data/provider/cgi/settings.js';
import {
  BREEZE,
  bytes,
  type CgiCallFields,
  cgiCall,
  httpCall,
  map,
  text,
} from '../../../../support/cgi-provider.js';
import { type ReadRequest, readRequest } from '../../../../support/fastcgi.js';

const PARAMETERS = {
  CGI_REQUEST_METHOD: 'GET',
  CGI_SCRIPT_FILENAME: '/srv/www/app/index.php',
  CGI_DOCUMENT_ROOT: '/srv/www',
  domain: 'shop.example',
};

function settings(parameters: Record<string, string>): ReturnType<typeof cgiSettings> {
  return cgiSettings(
    new MeshUrl({ path: 'svc.php', port: 9982, parameters: new Map(Object.entries(parameters)) }),
  );
}

function mapped(fields: CgiCallFields, parameters: Record<string, string> = {}): ReadRequest {
  const request = scriptRequest(cgiCall(fields), settings({ ...PARAMETERS, ...parameters }).script);
  if ('message' in request) assert.fail(request.message);
  return readRequest(Buffer.concat(request.encoder.finish(request.body)));
}

function refusal(
  fields: CgiCallFields,
  parameters: Record<string, string> = {},
): { message: string; httpStatus: number } {
  const request = scriptRequest(cgiCall(fields), settings({ ...PARAMETERS, ...parameters }).script);
  assert.ok('message' in request, 'it was not refused');
  return request;
}

const COMMON = {
  SERVER_SOFTWARE: 'Motan / CGI',
  SCRIPT_FILENAME: '/srv/www/app/index.php',
  DOCUMENT_ROOT: '/srv/www',
  SCRIPT_NAME: '/app/index.php',
  GATEWAY_INTERFACE: 'CGI/1.1',
  SERVER_PROTOCOL: 'HTTP/1.1',
  SERVER_NAME: 'shop.example',
  SERVER_PORT: '9982',
  REMOTE_ADDR: '10.1.2.3',
  REMOTE_PORT: '0',
  REDIRECT_STATUS: '200',
  MOTAN_M_p: 'svc.php',
  MOTAN_host: '10.1.2.3',
};

test('a call with a map is a GET with its pairs as query', () => {
  const metadata = { M_g: 'g1', 'http_X-Foo': 'bar', lower: 'x' };

  const { params, body } = mapped({ metadata, args: [map({ name: 'a b', 'k&x=1': 'é' })] });

  const query = 'requestIdFromClient=7&name=a+b&k%26x%3D1=%C3%A9';
  assert.deepEqual(Object.fromEntries(params), {
    ...COMMON,
    REQUEST_METHOD: 'GET',
    QUERY_STRING: query,
    REQUEST_URI: `/app/index.php?${query}`,
    MOTAN_M_m: 'run',
    MOTAN_M_g: 'g1',
    'MOTAN_http_X-Foo': 'bar',
    MOTAN_lower: 'x',
    MOTAN_M_rid: '7',
  });
  assert.equal(body.length, 0);
});

test('with method POST the same text is a form', () => {
  const { params, body } = mapped({ args: [map({ a: '1' })] }, { CGI_REQUEST_METHOD: 'POST' });

  assert.deepEqual(Object.fromEntries(params), {
    ...COMMON,
    REQUEST_METHOD: 'POST',
    QUERY_STRING: '',
    REQUEST_URI: '/app/index.php',
    CONTENT_TYPE: 'application/x-www-form-urlencoded',
    CONTENT_LENGTH: '25',
    MOTAN_M_m: 'run',
    MOTAN_M_rid: '7',
  });
  assert.equal(body.toString(), 'requestIdFromClient=7&a=1');
});

test('a text is escaped as a whole, and other arguments add nothing', () => {
  const queries = [
    [[text('a=1&b=2')], 'requestIdFromClient=7&a%3D1%26b%3D2'],
    [[], ''],
    [[{ type: 'null' }], ''],
    [[bytes('xyz')], 'requestIdFromClient=7'],
    [[{ type: 'int64', value: 5n }], 'requestIdFromClient=7'],
    [[text('first'), text('second')], 'requestIdFromClient=7&first'],
  ] as const;
  for (const [args, query] of queries) assert.equal(mapped({ args }).params.get('QUERY_STRING'), query);
});

test('arguments in breeze are read too, others are refused', () => {
  const body = Buffer.from([0xd9, 1, 1, 0x61, 1, 0x62]); // {a: b}

  assert.equal(
    mapped({ body, serialization: BREEZE }).params.get('QUERY_STRING'),
    'requestIdFromClient=7&a=b',
  );
  assert.match(refusal({ body, serialization: 0 }).message, /hessian2/);
  assert.match(refusal({ body: Buffer.from([99]) }).message, /cannot be read/);
});

test('ids are signed as attachment and unsigned as variable, and M_rid is the id when it is a number', () => {
  const args = [bytes('x')];
  const negative = mapped({ id: [0xffffffff, 0xfffffffe], args }).params;
  const told = mapped({ metadata: { M_rid: '123' }, args }).params;
  const minus = mapped({ metadata: { M_rid: '-1' }, args }).params;
  const word = mapped({ metadata: { M_rid: 'abc' }, args }).params;

  assert.equal(negative.get('MOTAN_M_rid'), '-2');
  assert.equal(negative.get('QUERY_STRING'), 'requestIdFromClient=18446744073709551614');
  assert.equal(told.get('QUERY_STRING'), 'requestIdFromClient=123');
  assert.equal(minus.get('QUERY_STRING'), 'requestIdFromClient=18446744073709551615');
  assert.deepEqual([word.get('QUERY_STRING'), word.get('MOTAN_M_rid')], ['requestIdFromClient=7', 'abc']);
});

test('what is not configured is not sent', () => {
  const { params } = mapped({}, { CGI_REQUEST_METHOD: '', CGI_SCRIPT_FILENAME: '', CGI_DOCUMENT_ROOT: '' });

  for (const name of ['REQUEST_METHOD', 'SCRIPT_FILENAME', 'DOCUMENT_ROOT'])
    assert.equal(params.has(name), false);
});

test('the client is who an agent before us says, if that is an address', () => {
  assert.equal(mapped({ metadata: { remoteIP: '192.0.2.9' } }).params.get('REMOTE_ADDR'), '192.0.2.9');
  assert.equal(mapped({ metadata: { remoteIP: '::1' } }).params.get('REMOTE_ADDR'), '::1');
  assert.equal(mapped({ metadata: { remoteIP: 'x' } }).params.get('REMOTE_ADDR'), '10.1.2.3');
  assert.equal(mapped({ host: '@' }).params.get('REMOTE_ADDR'), '127.0.0.1');
});

test('the host that a caller gives is not believed', () => {
  assert.equal(mapped({ metadata: { host: '1.1.1.1' } }).params.get('MOTAN_host'), '10.1.2.3');
});

test('trace context travels as headers', () => {
  const metadata = { traceparent: '00-ab-cd-01', tracestate: 'x=y' };
  const header = 'GET / HTTP/1.1\r\ntraceparent: 00-old\r\n\r\n';

  assert.equal(mapped({ metadata }).params.get('HTTP_TRACEPARENT'), '00-ab-cd-01');
  assert.equal(mapped({ metadata }).params.get('HTTP_TRACESTATE'), 'x=y');
  assert.equal(mapped(httpCall(header, '', metadata)).params.get('HTTP_TRACEPARENT'), '00-ab-cd-01');
  assert.equal(mapped(httpCall(header)).params.get('HTTP_TRACEPARENT'), '00-old');
});

test('a transparent HTTP call is a whole CGI request', () => {
  const block =
    'PUT /a%20b/c?x=1&y=%20 HTTP/1.1\r\nHost: shop.example:81\r\nContent-Type: text/plain\r\n' +
    'Content-Length: 4\r\nX-One: 1\r\nCookie: a=1\r\nx-one: 2\r\nCookie: b=2\r\nAuthorization: Basic eDp5\r\n\r\n';

  const { params, body } = mapped(httpCall(block, 'body'));

  assert.deepEqual(Object.fromEntries(params), {
    ...COMMON,
    REQUEST_METHOD: 'PUT',
    QUERY_STRING: 'x=1&y=%20',
    REQUEST_URI: '/a%20b/c?x=1&y=%20',
    CONTENT_TYPE: 'text/plain',
    CONTENT_LENGTH: '4',
    HTTP_HOST: 'shop.example:81',
    HTTP_X_ONE: '1, 2',
    HTTP_COOKIE: 'a=1; b=2',
    HTTP_AUTHORIZATION: 'Basic eDp5',
    MOTAN_M_m: 'run',
    MOTAN_HTTP_PROXY: 'true',
    MOTAN_M_rid: '7',
  });
  assert.equal(body.toString(), 'body');
});

test('the size of the body that came counts, not the one that was said', () => {
  const { params } = mapped(httpCall('POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\n', 'abc'));

  assert.equal(params.get('CONTENT_LENGTH'), '3');
});

test('of an absolute target the path counts', () => {
  const { params } = mapped(httpCall('GET http://other.example/p?q HTTP/1.1\r\nHost: a\r\n\r\n'));

  assert.equal(params.get('REQUEST_URI'), '/p?q');
  assert.equal(params.get('SERVER_NAME'), 'shop.example');
});

test('no header of a caller becomes HTTP_PROXY', () => {
  for (const name of ['Proxy', 'proxy', 'PROXY', 'pRoXy']) {
    const { params } = mapped(httpCall(`GET / HTTP/1.1\r\n${name}: http://evil/\r\n\r\n`));

    assert.equal(params.has('HTTP_PROXY'), false, name);
  }
});

test('a header with an underscore cannot stand for one with a dash', () => {
  const { params } = mapped(httpCall('GET / HTTP/1.1\r\nX_Real_IP: 6.6.6.6\r\nX-Real_IP: 6.6.6.6\r\n\r\n'));

  assert.equal(params.has('HTTP_X_REAL_IP'), false);
});

test('headers of the connection are not passed, nor those that Connection names', () => {
  const block =
    'GET / HTTP/1.1\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nUpgrade: x\r\n' +
    'Keep-Alive: 1\r\nProxy-Authorization: x\r\nProxy-Connection: x\r\nX-Peony-Timeout-Ms: 5\r\n\r\n';

  const { params } = mapped(httpCall(block));

  assert.deepEqual(
    [...params.keys()].filter((name) => name.startsWith('HTTP_')),
    [],
  );
});

test('no caller can name a parameter that PHP trusts', () => {
  const trusted = [
    'SCRIPT_FILENAME',
    'SCRIPT_NAME',
    'DOCUMENT_ROOT',
    'PATH_INFO',
    'PATH_TRANSLATED',
    'PHP_VALUE',
  ];
  trusted.push('PHP_ADMIN_VALUE', 'ORIG_SCRIPT_FILENAME', 'SERVER_NAME', 'REMOTE_USER', 'AUTH_TYPE', 'HTTPS');
  const metadata = Object.fromEntries(trusted.map((name) => [name, 'evil']));
  const headers = trusted.map((name) => `${name.replaceAll('_', '-')}: evil\r\n`).join('');
  const block = `GET /x.php/evil?PHP_VALUE=evil HTTP/1.1\r\n${headers}\r\n`;

  for (const { params } of [mapped({ metadata }), mapped(httpCall(block, '', metadata))]) {
    for (const name of trusted) assert.notEqual(params.get(name), 'evil', name);
    for (const name of params.keys())
      assert.match(
        name,
        /^(?:MOTAN_|HTTP_|SERVER_|SCRIPT_|REMOTE_|REQUEST_|QUERY_STRING$|DOCUMENT_ROOT$|GATEWAY_INTERFACE$|REDIRECT_STATUS$)/,
      );
    assert.equal(params.get('SCRIPT_FILENAME'), '/srv/www/app/index.php');
    assert.equal(params.get('SCRIPT_NAME'), '/app/index.php');
  }
});

test('attachments with NUL, CR or LF are refused', () => {
  for (const bad of ['a\0b', 'a\rb', 'a\nb']) {
    assert.match(refusal({ metadata: { key: bad } }).message, /NUL, CR or LF/);
    assert.match(refusal({ metadata: { [bad]: 'x' } }).message, /NUL, CR or LF/);
  }
});

test('a header block that is no HTTP is refused with the status that says so', () => {
  assert.equal(refusal(httpCall('garbage')).httpStatus, 400);
  assert.equal(refusal(httpCall('GET / HTTP/1.1\r\nA: b\0c\r\n\r\n')).httpStatus, 400);
  assert.equal(refusal(httpCall('GET / HTTP/1.1\r\nA : b\r\n\r\n')).httpStatus, 400);
  assert.equal(refusal(httpCall('GET / HTTP/2.0\r\n\r\n')).httpStatus, 505);
  assert.equal(refusal({ metadata: { HTTP_PROXY: 'true' }, args: [] }).httpStatus, 0);
  assert.equal(refusal({ metadata: { HTTP_PROXY: 'true' }, args: [map({ a: 'b' })] }).httpStatus, 0);
});

test('a parameter that PHP would not take is refused by name of the trouble', () => {
  const { message } = refusal({ args: [map({ a: 'x'.repeat(70_000) })] });

  assert.match(message, /larger than 65535/);
  assert.equal(
    mapped({ args: [map({ a: 'x'.repeat(70_000) })] }, { CGI_REQUEST_METHOD: 'POST' }).body.length,
    70_024,
  );
});

test('the path of the script is the one below the document root, else its name', () => {
  const names = [
    ['/srv/www/a/b.php', '/srv/www', '/a/b.php'],
    ['/srv/www/a/b.php', '/srv/www/', '/a/b.php'],
    ['/srv/www2/b.php', '/srv/www', '/b.php'],
    ['/b.php', '/', '/b.php'],
    ['/srv/b.php', '', '/b.php'],
  ] as const;
  for (const [filename, root, name] of names) {
    const { script } = settings({ CGI_SCRIPT_FILENAME: filename, CGI_DOCUMENT_ROOT: root });
    assert.equal(script.name, name);
  }
});

test('settings have the defaults of motan-go, and unix sockets', () => {
  assert.deepEqual(settings({}).target, { host: '127.0.0.1', port: 9000 });
  assert.deepEqual(settings({ CGI_PORT: 'x' }).target, { host: '127.0.0.1', port: 0 });
  assert.deepEqual(settings({ CGI_PORT: '70000' }).target, { host: '127.0.0.1', port: 0 });
  assert.deepEqual(settings({ CGI_HOST: 'unix:///run/php.sock' }).target, { path: '/run/php.sock' });
  assert.equal(settings({ CGI_HOST: 'unix:///run/php.sock' }).backend, 'unix:/run/php.sock');
});
