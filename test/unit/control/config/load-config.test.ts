// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are placeholders of the configuration language
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KNOWN_NAMES } from '../../../../src/control/config/index.js';
import { brief, load, loadAll, problemsOf, REPOSITORY, refer, service } from './load-fixture.js';

const ALL_BUILT = { built: KNOWN_NAMES };

test('a single file loads: defaults, inheritance, filters', () => {
  const config = load(['-c', 'single/motan.yaml'], ALL_BUILT);

  assert.equal(config.agent.port, 9981);
  assert.equal(config.agent.exportPort, 9982);
  assert.equal(config.agent.logDir, './agent_logs');
  assert.equal(config.agent.application, 'feed-client');
  assert.equal(config.agent.registry, 'zk');
  assert.equal(
    refer(config, 'echo').url.toText(),
    'motan2://:0/com.example.EchoService?group=feed-group&application=feed-client&basicRefer=base&conf-id=echo' +
      '&filter=accessLog,failfast,metrics&haStrategy=failover&hello(java.lang.String).requestTimeout=500' +
      '&loadbalance=roundrobin&maxClientConnection=10&minClientConnection=1&registry=zk&requestTimeout=800&retries=2',
  );
  assert.deepEqual(config.problems, []);
});

test('an empty parameter overrides an inherited one, an empty url field does not', () => {
  const { url, registryIds } = refer(load(['-c', 'single/motan.yaml'], ALL_BUILT), 'plain');

  assert.equal(url.group, 'feed-group');
  assert.equal(url.text('filter'), 'metrics');
  assert.deepEqual(registryIds, ['fixed']);
});

test('protocol motanV1Compatible of a refer is motan', () => {
  assert.equal(refer(load(['-c', 'single/motan.yaml']), 'plain').url.protocol, 'motan');
});

test('a pool directory merges basic, services, application and pools in that order', () => {
  const config = load(['-c', 'pool', '-pool', 'shop-idc1-core'], ALL_BUILT);

  assert.deepEqual(config.problems, []);
  assert.deepEqual(
    config.refers.map((one) => one.id),
    ['user', 'order'],
  );
  assert.equal(refer(config, 'user').url.text('requestTimeout'), '450');
  assert.equal(refer(config, 'user').url.text('retries'), '1');
  assert.equal(config.agent.application, 'shop');
  assert.equal(config.agent.logDir, '/data/logs/mesh');
  assert.equal(config.agent.managementPort, 8002);
  assert.equal(config.agent.callsMax, 1000);
  assert.equal(config.switchers.get('feature.a'), false);
});

test('a pool that no file is about is warned of, with the name that was probably meant', () => {
  const config = load(['-c', 'pool', '-pool', 'shpo-idc1']);

  const [problem] = config.problems.filter((one) => one.code === 'pool-unknown');
  assert.equal(problem?.severity, 'warning');
  assert.equal(problem?.value, 'shpo-idc1');
  assert.equal(problem?.didYouMean, 'shop');
});

test('placeholders of a pool directory come from all files and depend on the pool', () => {
  const idc1 = load(['-c', 'pool', '-pool', 'shop-idc1-core']);
  const idc2 = load(['-c', 'pool', '-pool', 'shop-idc2-core']);
  const other = load(['-c', 'pool', '-pool', 'shop']);

  assert.equal(refer(idc1, 'order').url.text('requestTimeout'), '700');
  assert.equal(refer(idc1, 'order').url.group, 'group-idc1');
  assert.equal(refer(idc2, 'order').url.group, 'group-idc2');
  assert.equal(refer(other, 'order').url.group, 'group-default');
  assert.equal(refer(other, 'order').url.text('requestTimeout'), '1000');
});

test('an application without a pool has no pool files', () => {
  const config = load(['-c', 'pool', '-application', 'shop']);

  assert.equal(config.agent.logDir, '/var/log/mesh');
  assert.equal(refer(config, 'user').url.text('retries'), '');
});

test('imported locations are read once and merge in order', () => {
  const config = load(['-c', 'pool', '-pool', 'shop-idc1-core']);

  assert.deepEqual(config.httpLocations.get('user.example.com'), [
    { match: '/user', type: 'start', upstream: 'com.example.UserHttp', rewriteRules: [] },
  ]);
  assert.deepEqual(config.httpLocations.get('cart.example.com'), [
    {
      match: '^/2/cart',
      type: 'regexp',
      upstream: 'com.example.Cart',
      rewriteRules: ['!regexp ^/2/.* ^/(.*) /2/$1'],
    },
    { match: '/pool', type: 'exact', upstream: 'com.example.Cart', rewriteRules: [] },
  ]);
  assert.deepEqual(config.httpServices.get('cart')?.get('show'), {
    urlFormat: 'http://127.0.0.1:8080/%s',
    httpMethod: 'GET',
  });
  assert.equal(config.httpServices.get('cart')?.get('http_default_motan_method')?.httpMethod, 'POST');
});

test('a service inherits, is exported on its port with the local address, and is a service', () => {
  assert.equal(
    service(load(['-c', 'pool', '-pool', 'shop']), 'cart').url.toText(),
    'motan2://10.1.1.1:9982/com.example.Cart?group=common&application=shop&basicService=mesh&conf-id=cart' +
      '&enableRewrite=false&export=motan2:9982&filter=metrics&nodeType=service&provider=http' +
      '&proxyAddress=127.0.0.1:8080&registry=local-file',
  );
});

test('the YAML dialect is that of go-yaml v2', () => {
  const config = load(['-c', 'dialect/motan.yaml']);
  const { url } = refer(config, 'types');

  assert.equal(config.agent.port, 9001);
  assert.equal(config.agent.managementPort, 8000);
  assert.equal(config.agent.logAsync, false);
  assert.equal(config.agent.logStructured, true);
  assert.equal(config.agent.rotatePerHour, false);
  assert.equal(url.protocol, 'motan2');
  assert.equal(url.group, '007');
  assert.deepEqual(
    ['octal', 'notOctal', 'hex', 'binary', 'under', 'whole', 'trimmed', 'version', 'day', 'clock'].map(
      (name) => url.text(name),
    ),
    ['8', '8', '31', '-5', '1000000', '2', '0.1', '0.1', '2019-08-13', '12:30:45'],
  );
  assert.deepEqual(
    ['yes', 'quoted', 'huge', 'long', 'nothing', 'some', 'tagged', 'folded'].map((name) => url.text(name)),
    ['true', 'yes', '', '9223372036854775807', '', '', '1.0', 'a b'],
  );
  assert.equal(config.tree['motan-refer-extra'], 'kept');
});

test('duplicate keys and rewritten numbers are warned about where they stand', () => {
  const problems = problemsOf(['-c', 'dialect/motan.yaml']).map(brief);

  assert.ok(problems.includes('14:5 warning duplicate-key motan-refer.types.protocol'));
  assert.ok(problems.includes('23:12 warning rewritten-value motan-refer.types.whole'));
  assert.ok(problems.includes('41:1 warning second-document '));
  assert.ok(!problems.some((line) => line.includes('types.version')));
});

test('anchors, aliases and merge keys work, and a late merge key wins as in go-yaml', () => {
  const config = load(['-c', 'anchors/motan.yaml']);

  assert.equal(refer(config, 'one').url.text('requestTimeout'), '250');
  assert.equal(refer(config, 'two').url.text('requestTimeout'), '5000');
  assert.equal(refer(config, 'two').url.text('retries'), '3');
  assert.equal(refer(config, 'late').url.text('requestTimeout'), '200');
  assert.equal(refer(config, 'four').url.group, 'g1');
  assert.deepEqual(config.problems.map(brief), [
    '25:5 warning merge-overrides motan-refer.late.requestTimeout',
  ]);
});

test('placeholders are whole values of any type, outside of lists', () => {
  const config = load(['-c', 'placeholders/motan.yaml', '-pool', 'web-bj-core']);

  assert.equal(config.agent.port, 9990);
  assert.equal(config.agent.application, '${app}-agent');
  assert.equal(config.registries.get('r')?.url.text('address'), '10.0.0.1:9982');
  assert.equal(refer(config, 'a').url.group, 'north');
  assert.equal(refer(config, 'b').url.group, 'pre-${idc}');
  assert.deepEqual(config.problems.map(brief), [
    '3:16 warning partial-placeholder motan-agent.application',
    '9:5 warning ambiguous dynamic-param.target.group.regexp:-core$',
    '18:3 warning no-value-for-pool dynamic-param.only-elsewhere',
    '29:11 warning unknown-placeholder motan-refer.a.note',
    '30:11 warning not-a-scalar motan-refer.a.list',
  ]);
});

test("the pool's own key beats expressions, and expressions beat the default", () => {
  assert.equal(
    refer(load(['-c', 'placeholders/motan.yaml', '-pool', 'exact-pool']), 'a').url.text('registry'),
    'special',
  );
  assert.equal(refer(load(['-c', 'placeholders/motan.yaml', '-pool', 'x-core']), 'a').url.group, 'core');
  assert.equal(refer(load(['-c', 'placeholders/motan.yaml']), 'a').url.group, 'other');
});

test('http sections, metrics and switchers load', () => {
  const config = load(['-c', 'http/motan.yaml'], ALL_BUILT);

  assert.equal(config.agent.httpProxyEnable, true);
  assert.equal(config.agent.httpPort, 9883);
  const [client] = config.httpClients;
  assert.deepEqual(client?.preload, ['com.example.Api', 'com.example.Pages']);
  assert.equal(client?.url.protocol, 'motan2');
  assert.deepEqual(
    config.httpLocations.get('api.example.com')?.map((one) => one.type),
    ['start', 'iregexp', 'exact', 'start'],
  );
  assert.equal(service(config, 'web').url.port, 9983);
  assert.equal(service(config, 'legacy').url.port, 9984);
  assert.deepEqual(config.metrics, {
    periodSeconds: 10,
    graphite: [{ name: 'main', host: '10.0.0.3', port: 2003 }],
  });
  assert.deepEqual(
    [...config.switchers],
    [
      ['a', true],
      ['b', true],
    ],
  );
  assert.equal(config.envMetaPrefix, 'NODE_');
  assert.equal(config.metaCacheExpireSeconds, 7);
  assert.deepEqual(config.problems.map(brief), [
    '19:31 warning not-preloaded http-locations.api.example.com[3].upstream',
  ]);
});

test('groups of services are extended, split and suffixed, and refers are doubled', () => {
  const env = {
    MESH_SERVICE_ADDITIONAL_GROUP: 'extra',
    RPC_REG_GROUP_SUFFIX: '-gray',
    MESH_MULTI_SUB_GROUP_SUFFIX: '-canary',
    MESH_FILTERS: 'metrics',
    META_WEIGHT: '5=6',
    MESH_DIRECT_RPC: 'com.example.By*>g1@127.0.0.1:8100; Echo > 10.0.0.9:9982,10.0.0.8:9982',
  };
  const config = load(['-c', 'groups/motan.yaml'], { ...ALL_BUILT, env });

  assert.deepEqual(
    config.services.map(({ id, confId, url }) => [id, confId, url.group]),
    [
      ['many', 'many', 'a-gray'],
      ['many-0', 'many', 'b-gray'],
      ['many-1', 'many', 'extra-gray'],
      ['plain', 'plain', 'c-gray'],
      ['plain-0', 'plain', 'extra-gray'],
    ],
  );
  assert.equal(service(config, 'many').url.text('META_WEIGHT'), '5=6');
  assert.deepEqual(
    config.refers.map(({ id, url }) => [id, url.group]),
    [
      ['first', 'a'],
      ['canary', 'a-canary'],
      ['other', 'b'],
      ['bypass', 'b'],
      ['auto_otherb-canary', 'b-canary'],
      ['auto_bypassb-canary', 'b-canary'],
    ],
  );
  assert.ok(config.refers.every((one) => one.url.text('filter') === 'metrics'));
  assert.deepEqual(config.directRpc, [
    { service: 'com.example.By', match: 'prefix', group: 'g1', addresses: ['127.0.0.1:8100'] },
    { service: 'Echo', match: 'suffix', group: null, addresses: ['10.0.0.9:9982', '10.0.0.8:9982'] },
  ]);
  assert.deepEqual(config.problems.map(brief), [
    '12:40 warning unknown-registry motan-refer.bypass.registry',
  ]);
});

test('without MESH_DIRECT_RPC the refer of an unknown registry is left out', () => {
  const config = load(['-c', 'groups/motan.yaml'], ALL_BUILT);

  assert.ok(!config.refers.some((one) => one.id === 'bypass'));
  assert.deepEqual(
    config.problems.map((one) => one.entry),
    ['motan-refer.bypass'],
  );
});

test('basicRefer on a service has no effect; the service is served unannounced', () => {
  const config = load(['-c', 'wild-basic-refer/server-and-client-mesh.yaml'], ALL_BUILT);
  const { url, registryIds } = service(config, 'php-service');

  assert.equal(url.group, '');
  assert.deepEqual(registryIds, []);
  assert.equal(refer(config, 'php-refer').url.text('version'), '1');
  assert.deepEqual(config.problems.map(brief), [
    '13:14 warning rewritten-value motan-basicRefer.mybasicRefer.version',
    '21:3 warning missing motan-service.php-service.registry',
    '28:5 warning no-effect motan-service.php-service.basicRefer',
  ]);
  assert.equal(config.problems[2]?.didYouMean, 'basicService');
});

test('sockets, port range and unix addresses load, and the wrong socket key is named', () => {
  const config = load(['-c', 'sockets/motan.yaml']);

  assert.equal(config.agent.unixSock, '/run/mesh/forward.sock');
  assert.equal(config.agent.managementUnixSock, '/run/mesh/management.sock');
  assert.equal(config.agent.httpProxyUnixSock, '/run/mesh/http.sock');
  assert.deepEqual(config.agent.managementPortRange, [8002, 8010]);
  assert.equal(config.registries.get('here')?.url.path, './agent_runtime/registry');
  assert.equal(config.problems[0]?.didYouMean, 'managementUnixSock');
});

test('names of Motan Java are replaced and the failfast strategy does not retry', () => {
  const config = load(['-c', 'java-names/motan.yaml'], ALL_BUILT);

  const chosen = config.refers.map(({ url }) => [
    url.text('loadbalance'),
    url.text('haStrategy'),
    url.text('retries'),
  ]);
  assert.deepEqual(chosen.slice(0, 3), [
    ['random', 'failover', '0'],
    ['consistentHashKey', 'backupRequest', ''],
    ['wrr', '', ''],
  ]);
  assert.equal(refer(config, 'c').url.text('filter'), 'accessLog,metrics,trace,circuitBreaker');
  assert.equal(refer(config, 'a').url.text('filter'), 'clusterMetrics,accessLog,metrics');
});

test('what is not built falls back with a warning, and only what cannot work is left out', () => {
  const config = load(['-c', 'java-names/motan.yaml']);

  assert.deepEqual(
    config.refers.map((one) => one.id),
    ['a', 'b', 'c'],
  );
  assert.equal(refer(config, 'c').url.text('loadbalance'), 'random');
  assert.equal(refer(config, 'c').url.text('filter'), 'accessLog,metrics');
  assert.deepEqual(config.problems.filter((one) => one.severity === 'error').map(brief), [
    '8:17 error not-built motan-refer.d.protocol',
  ]);
});

test('flags beat the file for ports and log directory, the file beats flags for other log options', () => {
  const words = [
    '-c',
    'sockets/motan.yaml',
    '-port',
    '7001',
    '-mport=7002',
    '-pidfile',
    'p',
    '-log_dir=/l',
    '-localIP',
    '1.2.3.4',
    '-idc',
    'bj',
    '-recover',
  ];
  const { agent } = load(words);
  const dialect = load(['-c', 'dialect/motan.yaml', '-log_async=true', '-log_level', 'WARN']);

  assert.deepEqual([agent.port, agent.managementPort, agent.pidFile, agent.logDir], [7001, 7002, 'p', '/l']);
  assert.deepEqual([agent.localIp, agent.idc, agent.recover], ['1.2.3.4', 'bj', true]);
  assert.equal(dialect.agent.logAsync, false);
  assert.equal(dialect.agent.logLevel, 'warn');
  assert.equal(dialect.problems[0]?.code, 'flag-loses');
});

test('the variable mport beats the file, loses to the flag, and gives 8002 when it is no number', () => {
  const words = ['-c', 'dialect/motan.yaml'];

  assert.equal(load(words, { env: { mport: '7100' } }).agent.managementPort, 7100);
  assert.equal(load(words, { env: { mport: '' } }).agent.managementPort, 8002);
  assert.equal(load([...words, '-mport', '7101'], { env: { mport: '7100' } }).agent.managementPort, 7101);
});

test('every example in conf/ loads without a problem', () => {
  for (const words of [
    ['-c', 'conf/motan.yaml'],
    ['-c', 'conf/zookeeper.yaml'],
    ['-c', 'conf/consul.yaml'],
    ['-c', 'conf/redis.yaml'],
    ['-c', 'conf/mesh.yaml'],
    ['-c', 'conf/pool', '-pool', 'demo-idc1'],
  ]) {
    const config = load(words, { cwd: REPOSITORY });

    assert.deepEqual(config.problems, []);
    assert.equal(refer(config, 'hello').url.path, 'com.weibo.HelloService');
  }
});

test('provenance names who set a value and whom it overrode, through merge and placeholders', () => {
  const { provenance } = loadAll(['-c', 'pool', '-pool', 'shop-idc1-core', '-port', '7001']);
  const [timeout] = provenance.explain('motan-refer.user.requestTimeout');
  const [port] = provenance.explain('motan-agent.port');
  const [inherited] = provenance.explain('motan-refer.order.requestTimeout');

  assert.equal(timeout?.value, '450');
  assert.deepEqual(timeout?.origin.place, { file: 'pool/applications/shop.yaml', line: 8, column: 21 });
  assert.deepEqual(
    timeout?.overrode.map((one) => [one.value, one.place?.file, one.place?.line]),
    [
      ['700', 'pool/pools/shop-idc1.yaml', 7],
      ['300', 'pool/services/user.yaml', 7],
    ],
  );
  assert.equal(port?.origin.kind, 'flag');
  assert.equal(port?.overrode[0]?.place?.file, 'pool/basic.yaml');
  assert.equal(inherited?.origin.note, 'inherited, through ${refer.timeout} at pool/basic.yaml:20:21');
});

test('provenance gives the default of a known key that nobody set', () => {
  const { provenance } = loadAll(['-c', 'single/motan.yaml']);

  assert.equal(provenance.explain('motan-refer.echo.connectTimeout')[0]?.value, '1000');
  assert.equal(provenance.explain('motan-agent.hport')[0]?.origin.kind, 'default');
  assert.deepEqual(provenance.explain('motan-refer.echo.nonsense'), []);
});
