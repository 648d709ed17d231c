/** The answers of motan-go 1.2.0, byte for byte: captured from its agent with the same configuration. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { InjectOptions, Response } from 'light-my-request';
import { createManagementServer, type ManagementServer } from '../../../../src/control/management/index.js';
import { MeshUrl, type Problem, silentLogger } from '../../../../src/core/index.js';
import { FakeView } from './fake-view.js';

const PLAIN = 'text/plain; charset=utf-8';
let view: FakeView;
let server: ManagementServer;

beforeEach(() => {
  view = new FakeView();
  server = createManagementServer(view, {
    address: { host: '127.0.0.1', port: 0, portRange: null, unixSock: null },
    token: null,
    hostNames: [],
    logger: silentLogger,
  });
});

afterEach(async () => {
  await server.close();
});

async function get(url: string, more: InjectOptions = {}): Promise<Response> {
  return await server.app.inject({ method: 'GET', url, ...more });
}

async function bytesOf(url: string): Promise<string> {
  const response = await get(url);
  assert.equal(response.statusCode, 200);
  assert.equal(response.headers['content-type'], PLAIN);
  return response.body;
}

test('/ answers the status, and so does every unknown path', async () => {
  const down = await get('/');
  const unknown = await get('/200/');
  view.serving = true;
  const up = await get('/nothing?x=1');

  assert.deepEqual(
    [down.statusCode, down.body, down.headers['content-type']],
    [503, 'Service Unavailable', PLAIN],
  );
  assert.deepEqual([unknown.statusCode, unknown.body], [503, 'Service Unavailable']);
  assert.deepEqual([up.statusCode, up.body], [200, 'OK']);
});

test('/200 and /503 switch the status and say ok', async () => {
  const up = await bytesOf('/200?x=1');
  const down = await bytesOf('/503');

  assert.deepEqual([up, down], ['ok.', 'ok.']);
  assert.deepEqual(view.servingCalls, [true, false]);
});

test('a status that could not be switched is not called ok', async () => {
  view.servingError = new Error('registry is gone');

  const response = await get('/200');

  assert.equal(response.statusCode, 500);
  assert.equal(response.body, 'process request err: registry is gone\n');
});

for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND']) {
  test(`${method} is answered as GET is`, async () => {
    const response = await get('/version', { method: method as 'GET' });

    assert.deepEqual([response.statusCode, response.body], [200, '1.2.0']);
  });
}

test('a path with doubled slashes is redirected, and nothing happens', async () => {
  const response = await get('//200?x=1');
  const posted = await get('/a/..//503', { method: 'POST' });

  assert.deepEqual([response.statusCode, response.headers.location], [301, '/200?x=1']);
  assert.equal(response.body, '<a href="/200?x=1">Moved Permanently</a>.\n\n');
  assert.deepEqual([posted.statusCode, posted.headers.location, posted.body], [301, '/503', '']);
  assert.deepEqual(view.servingCalls, []);
});

test('a redirect never leaves this host', async () => {
  const response = await get('/%2e//evil.example/..//x');

  assert.match(response.headers.location as string, /^\/[^/]/);
});

test('a path that cannot be decoded is a bad request', async () => {
  const response = await get('/%zz');

  assert.deepEqual([response.statusCode, response.body], [400, '400 Bad Request']);
});

test('/status has the shape of the peers', async () => {
  const count = {
    role: 'motan-server-agent',
    application: 'a',
    group: 'g1',
    scope: 'endpoint',
    service: 'com.x.Echo',
  } as const;
  view.periods = [
    { ...count, method: 'hello', calls: 7 },
    { ...count, method: 'idle', calls: 0 },
    { ...count, role: 'motan-client-agent', method: 'forward', calls: 9 },
  ];

  const body = await bytesOf('/status');

  assert.equal(
    body,
    `{
    "code": 200,
    "body": {
        "status": 503,
        "service_period_call_count": 7,
        "services": [
            {
                "group": "g1",
                "name": "com.x.Echo",
                "methods": [
                    {
                        "name": "hello",
                        "period_call_count": 7
                    }
                ]
            }
        ]
    }
}`,
  );
});

test('/status without services has an empty list', async () => {
  const body = await bytesOf('/status');

  assert.ok(body.endsWith('        "service_period_call_count": 0,\n        "services": []\n    }\n}'));
});

test('/status names what is quarantined, without its value', async () => {
  const problem: Problem = {
    severity: 'error',
    code: 'bad-number',
    key: 'motan-refer.echo.password',
    value: 'hunter2',
    message: 'not a number',
    expected: 'an integer',
    didYouMean: null,
    place: { file: 'a.yaml', line: 3, column: 5 },
    entry: 'motan-refer.echo',
  };
  view.problems = [problem, { ...problem, severity: 'warning' }];

  const text = await bytesOf('/status');

  const { quarantined } = (JSON.parse(text) as { body: { quarantined: { entry: string; place: string }[] } })
    .body;
  assert.equal(quarantined.length, 1);
  assert.deepEqual([quarantined[0]!.entry, quarantined[0]!.place], ['motan-refer.echo', 'a.yaml:3:5']);
  assert.ok(!text.includes('hunter2'));
});

test('/registry/status tells the status when no registry reports', async () => {
  const body = await bytesOf('/registry/status');

  assert.equal(body, '{"status":"unregister-success","registryStatus":null}');
});

test('/registry/status tells when a registry does not say what it should', async () => {
  view.serving = true;
  const node = 'motan2://10.0.0.1:9982/com.x.Echo?group=g1';
  view.registryReports = [
    {
      id: 'zk',
      protocol: 'zookeeper',
      address: '',
      lastContactMs: null,
      lastError: 'gone',
      announced: [{ node, desired: 'available', seen: 'unavailable' }],
      subscribed: [],
    },
  ];

  const body = await bytesOf('/registry/status');

  assert.equal(
    body,
    '{"status":"register-failed","registryStatus":[{"group":"g1","service":"com.x.Echo","registry":"zk","status":"register-failed","errMsg":"gone","isCheck":true}]}',
  );
});

test('/getConfig is YAML as go-yaml writes it', async () => {
  view.tree = {
    'motan-refer': { r1: { protocol: 'motan2', group: 'g1', flag: 'yes', version: '1.0' } },
    'http-locations': { 'www.x.com': [{ match: '/a', type: 'start', rewriteRules: ['start / ^(.*) $1'] }] },
    'motan-agent': { port: 29981, application: 'app&<x>' },
  };

  const body = await bytesOf('/getConfig');

  assert.equal(
    body,
    `http-locations:
  www.x.com:
  - match: /a
    rewriteRules:
    - start / ^(.*) $1
    type: start
motan-agent:
  application: app&<x>
  port: 29981
motan-refer:
  r1:
    flag: "yes"
    group: g1
    protocol: motan2
    version: "1.0"
`,
  );
});

test('no path shows a secret of the configuration', async () => {
  view.tree = {
    'motan-agent': { managementToken: 'hunter2', nested: [{ password: 'hunter2' }] },
    u: 'redis://a:hunter2@h',
  };
  view.parameters = new Map([['managementToken', 'hunter2']]);
  view.serviceUrls = [MeshUrl.parse('motan2://h:1/p?group=g&authKey=hunter2')];

  for (const url of [
    '/getConfig',
    '/v1/config',
    '/v1/state',
    '/v1/status',
    '/runtime/info',
    '/getAllService',
  ]) {
    const response = await get(url);

    assert.equal(response.statusCode, 200);
    assert.ok(!response.body.includes('hunter2'), url);
  }
});

test('/getReferService lists clusters as true whatever their nodes', async () => {
  const body = await bytesOf('/getReferService');

  assert.equal(body, '{"code":200,"body":{"service":[{"name":"g1_1.0_motan2_com.x.Echo","status":true}]}}');
});

test('/getAllService escapes as Go does, and is null without services', async () => {
  const without = await bytesOf('/getAllService');
  const parameters = new Map([
    ['provider', 'http'],
    ['application', 'app&<x>'],
  ]);
  view.serviceUrls = [
    new MeshUrl({
      protocol: 'motan2',
      host: '127.0.0.1',
      port: 29982,
      path: 'com.x.Own',
      group: 'g1',
      parameters,
    }),
  ];
  const body = await bytesOf('/getAllService');

  assert.equal(without, '{"dynamic_services":[],"services":null}');
  assert.equal(
    body,
    '{"dynamic_services":[],"services":[{"protocol":"motan2","host":"127.0.0.1","port":29982,"path":"com.x.Own","group":"g1","parameters":{"application":"app\\u0026\\u003cx\\u003e","provider":"http"}}]}',
  );
});

test('/registry/list and /registry/info answer JSON with sorted keys', async () => {
  const list = await get('/registry/list');
  const info = await get('/registry/info');

  assert.equal(list.body, '{"body":{"register_nodes":[],"subscribe_nodes":[]},"code":200,"message":"ok"}');
  assert.equal(info.body, '{"body":{"mesh_port":9981},"code":200,"message":"ok"}');
  assert.equal(info.headers['content-type'], 'application/json;charset=utf-8');
});

const SWITCHER_ANSWERS = [
  ['/switcher/getAll', '{"metricsReqApp":false,"sw1":true}'],
  ['/switcher/get', 'Please specify a switcher name!'],
  ['/switcher/get?name=nope<&x', 'Not a registered switcher, name: nope<'],
  ['/switcher/get?name=sw1', 'Switcher value for sw1 is true!'],
  ['/switcher/set?name=sw1', 'Please specify a switcher value!'],
  ['/switcher/set?name=sw1&value=maybe', 'Invalid switcher value(must be Bool): maybe'],
  ['/switcher/set?name=sw1&value=F', 'Set switcher sw1 value to F !'],
  ['/switcher/set?name=no%3Cpe&value=F', 'Not a registered switcher, name: no<pe'],
] as const;

for (const [url, expected] of SWITCHER_ANSWERS) {
  test(`${url} says: ${expected}`, async () => {
    view.switchers.register('sw1', true);
    view.switchers.register('metricsReqApp', false);

    assert.equal(await bytesOf(url), expected);
  });
}

const LOG_ANSWERS = [
  [
    '/logConfig/get',
    '{"code":200,"body":"{\\"level\\":\\"info\\",\\"accessLog\\":true,\\"metricsLog\\":true}"}\n',
  ],
  ['/logConfig/set?level=WARN&access=false', '{"code":200,"body":"set log level:WARN"}\n'],
  [
    '/logConfig/set?level=foo%3C',
    '{"code":500,"body":"set log level failed. err:unrecognized level:foo\\u003c"}\n',
  ],
  ['/logConfig/set?access=false', '{"code":200,"body":"set accessLog status:false"}\n'],
  [
    '/logConfig/set?access=x',
    '{"code":500,"body":"set accessLog status failed. err:strconv.ParseBool: parsing \\"x\\": invalid syntax"}\n',
  ],
  ['/logConfig/set?metrics=0', '{"code":200,"body":"set metricsLog status:0"}\n'],
] as const;

for (const [url, expected] of LOG_ANSWERS) {
  test(`${url} has the bytes of the peers`, async () => {
    assert.equal(await bytesOf(url), expected);
  });
}

test('/logConfig/set without a known parameter answers nothing', async () => {
  const response = await get('/logConfig/set');

  assert.deepEqual(
    [response.statusCode, response.body, response.headers['content-type']],
    [200, '', undefined],
  );
});

test('a form body comes before the query, urlencoded and multipart', async () => {
  view.switchers.register('sw1', true);
  const urlencoded = await get('/switcher/set?name=x&value=T', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: 'name=sw1',
  });
  const multipart = await get('/switcher/set?value=0', {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data; boundary=b' },
    payload: '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nsw1\r\n--b--\r\n',
  });

  assert.equal(urlencoded.body, 'Set switcher sw1 value to T !');
  assert.equal(multipart.body, 'Set switcher sw1 value to 0 !');
});

test('a multipart form that cannot be read is a bad request', async () => {
  const response = await get('/switcher/set', {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data' },
    payload: 'x',
  });

  assert.equal(response.statusCode, 400);
});

test('a body over the limit is refused', async () => {
  const response = await get('/status', { method: 'POST', payload: Buffer.alloc(300_000) });

  assert.equal(response.statusCode, 413);
});

test('/runtime/info has the clusters with their filters and endpoints', async () => {
  const body = await bytesOf('/runtime/info?keys=clusters,nope');

  assert.equal(
    body,
    '{"clusters":{"g1_1.0_motan2_com.x.Echo":{"clusterFilters":[{"index":5,"name":"clusterMetrics","type":1},{"index":100,"name":"lastClusterFilter","type":1}],' +
      '"filters":[{"index":2,"name":"metrics","type":0},{"index":1,"name":"accessLog","type":0}],"name":"MotanCluster","refererSize":1,' +
      '"referers":{"available":{},"unavailable":{"0-motan2://127.0.0.1:29990/com.x.Echo?group=g1":{"errorCount":0,"keepaliveRunning":false,"keepaliveType":0,"name":"motanCommonsEndpoint"}}},' +
      '"registries":{"direct://127.0.0.1:29990/?group=\\u0026address=":{"name":"direct"}},' +
      '"url":"motan2://:0/com.x.Echo?group=g1\\u0026application=app\\u0026conf-id=r1\\u0026filter=clusterMetrics,metrics,accessLog\\u0026registry=direct\\u0026serialization=simple"}},' +
      '"instanceType":"motan-agent","result":"ok"}',
  );
});

test('/runtime/info tells everything unless keys are named', async () => {
  const body = await bytesOf('/runtime/info');

  assert.deepEqual(Object.keys(JSON.parse(body) as object), [
    'basic',
    'clusters',
    'exporters',
    'extensionFactory',
    'httpClusters',
    'instanceType',
    'result',
    'servers',
  ]);
});

test('a path of the peers that is not served says so', async () => {
  const response = await get('/reload/clusters');

  assert.equal(response.statusCode, 501);
  assert.deepEqual(response.json(), { code: 501, message: '/reload/clusters is not served by this version' });
});

test('/v1/status has the state, the clusters and where their nodes come from', async () => {
  const response = await get('/v1/status');

  const body = response.json();
  assert.equal(body.state.number, 3);
  assert.deepEqual(
    [body.clusters[0].source, body.clusters[0].endpoints[0].lastError],
    ['registry', 'refused'],
  );
});

test('/v1/state is the state as JSON', async () => {
  const response = await get('/v1/state');

  const body = response.json();
  assert.equal(body.clusters[0].endpoints[0].node.port, 29990);
});

test('/metrics has the content type of Prometheus', async () => {
  const response = await get('/metrics');

  assert.equal(response.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  assert.equal(response.body, 'peony_info 1\n');
});
