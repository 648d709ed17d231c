import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePort, portFromEnvironment } from '../../../src/cli/management-client.js';
import { servicesText } from '../../../src/cli/services.js';
import { stateText } from '../../../src/cli/state.js';
import { type AgentStatus, statusText } from '../../../src/cli/status.js';

const NOW_MS = 1_000_000_000;
const LISTENER = {
  name: 'forward',
  address: '127.0.0.1:9981',
  in: 10,
  ok: 7,
  failed: 1,
  shed: 1,
  inFlight: 1,
  connections: 2,
  connectionsAccepted: 3,
  protocolErrors: 4,
  heartbeats: 0,
  bytesIn: 0,
  bytesOut: 0,
  acceptPauses: 0,
  slowReadersClosed: 0,
};
const ENDPOINT = {
  id: 'n1',
  address: '10.0.0.1:8100',
  available: true,
  connections: 1,
  inFlight: 0,
  errorCount: 0,
  keepaliveRunning: false,
  keepaliveType: 0,
  lastError: null,
} as const;
const EXPORT = {
  id: 'page',
  service: 'com.x.Page',
  group: 'g1',
  listener: 'export:9982',
  provider: 'cgi',
  isHealthy: true,
  healthTrouble: null,
  backend: {
    backend: 'unix:/run/php.sock',
    inFlight: 2,
    queued: 1,
    refused: 7,
    connections: 2,
    connectionsMax: 5,
    lastError: null,
    details: { 'active processes': 2 },
  },
};

const STATUS: AgentStatus = {
  version: '0.1.0',
  status: 200,
  uptimeSeconds: 3700,
  application: 'demo',
  state: { number: 3, cause: 'registry: com.x.Echo has 2 nodes', createdAtMs: NOW_MS - 5_000 },
  appliedStateNumber: 3,
  listeners: [LISTENER],
  clusters: [
    {
      key: 'g1_1.0_motan2_com.x.Echo',
      domain: null,
      referId: 'echo',
      service: 'com.x.Echo',
      group: 'g1',
      available: true,
      source: 'registry',
      endpointsAvailable: 1,
      endpoints: [
        ENDPOINT,
        {
          ...ENDPOINT,
          address: '10.0.0.2:8100',
          available: false,
          errorCount: 10,
          lastError: 'connect ECONNREFUSED',
        },
      ],
    },
  ],
  exports: [EXPORT],
  registries: [
    {
      id: 'shared',
      protocol: 'file',
      address: '/var/lib/peony/registry',
      lastContactMs: NOW_MS - 2_000,
      lastError: null,
      announced: [],
      subscribed: [{ service: 'com.x.Echo', group: 'g1', nodes: 2 }],
    },
  ],
  quarantined: [],
  warnings: [],
  logs: [],
};

test('status shows what is exported, and a backend that fails its checks', () => {
  const text = statusText(
    { ...STATUS, exports: [EXPORT, { ...EXPORT, isHealthy: false, healthTrouble: 'refused' }] },
    NOW_MS,
  );

  assert.match(
    text,
    /com\.x\.Page +g1 +9982 +cgi unix:\/run\/php\.sock +2 of 5 connections, 2 in flight, 1 queued, 7 refused, active processes 2$/m,
  );
  assert.match(text, /NOT HEALTHY: refused; 2 of 5 connections/);
});

test('status shows how the calls of a listener add up', () => {
  const text = statusText(STATUS, NOW_MS);

  assert.match(text, /calls in {2}= ok {2}\+ failed {2}\+ shed {2}\+ in flight/);
  assert.match(text, /forward +127\.0\.0\.1:9981 +10 +7 +1 +1 +1 +2 +4$/m);
  assert.match(text, /^state 3, 5 s ago: registry: com\.x\.Echo has 2 nodes$/m);
});

test('status says why a node is not available', () => {
  const text = statusText(STATUS, NOW_MS);

  assert.match(text, /com\.x\.Echo +g1 +1 of 2 available$/m);
  assert.match(text, /10\.0\.0\.1:8100 +available, 1 connection, 0 in flight$/m);
  assert.match(text, /10\.0\.0\.2:8100 +NOT AVAILABLE: connect ECONNREFUSED, 10 errors in a row$/m);
});

test('status names entries that do not serve with file, line and column', () => {
  const problem = {
    entry: 'motan-refer.broken',
    key: 'motan-refer.broken.path',
    message: 'the service is missing',
    expected: 'a service name',
    didYouMean: null,
    place: '/etc/peony/motan.yaml:12:3',
  };
  const text = statusText({ ...STATUS, quarantined: [problem] }, NOW_MS);

  assert.match(
    text,
    /motan\.yaml:12:3: motan-refer\.broken: the service is missing; expected a service name$/m,
  );
  assert.doesNotMatch(statusText(STATUS, NOW_MS), /do not serve/);
});

test('status says when nodes come from the snapshot, a state lags, and a log is in trouble', () => {
  const text = statusText(
    {
      ...STATUS,
      appliedStateNumber: 2,
      clusters: [{ ...STATUS.clusters[0]!, source: 'snapshot', snapshotSavedAtMs: NOW_MS - 90_000 }],
      logs: [
        {
          name: 'access',
          target: '/var/log/a.log',
          linesDropped: 5,
          bytesWaiting: 0,
          errors: 1,
          trouble: 'ENOSPC',
        },
      ],
    },
    NOW_MS,
  );

  assert.match(text, /from the snapshot of 90 s ago: no registry has answered yet/);
  assert.match(text, /\(state 2 is applied\)/);
  assert.match(text, /access +\/var\/log\/a\.log +5 +ENOSPC/);
});

test('an agent without anything is shown, too', () => {
  const text = statusText(
    { ...STATUS, status: 503, state: null, listeners: [], clusters: [], registries: [] },
    NOW_MS,
  );

  assert.match(text, /no state yet/);
  assert.match(text, /none: the configuration has no refers/);
});

test('state lists clusters with their parameters and nodes', () => {
  const url = {
    protocol: 'motan2',
    host: '',
    port: 0,
    path: 'com.x.Echo',
    group: 'g1',
    parameters: { retries: '1' },
  };
  const text = stateText(
    {
      number: 3,
      createdAtMs: NOW_MS - 1_000,
      cause: 'start',
      application: 'demo',
      localIp: '10.0.0.9',
      listeners: [{ name: 'forward', host: '', port: 9981, unixSock: null }],
      clusters: [
        {
          key: 'g1_1.0_motan2_com.x.Echo',
          referId: 'echo',
          url,
          source: 'registry',
          endpoints: [
            { id: 'n', node: { ...url, host: '10.0.0.1', port: 8100, parameters: { weight: '5' } } },
          ],
        },
      ],
      quarantined: [],
    },
    NOW_MS,
  );

  assert.match(text, /^state 3, 1 s ago: start$/m);
  assert.match(text, /^ {2}forward {2}\*:9981$/m);
  assert.match(text, /^ {4}retries=1$/m);
  assert.match(text, /^ {4}node motan2:\/\/10\.0\.0\.1:8100, group g1, weight 5$/m);
});

test('services lists what can be called and what is offered', () => {
  const text = servicesText({
    refers: [{ name: 'k', status: false, service: 'com.x.Echo', group: 'g1', nodes: 2, nodesAvailable: 1 }],
    services: [{ protocol: 'motan2', host: '10.0.0.9', port: 9982, path: 'com.x.Own', group: 'g2' }],
    dynamicServices: [],
  });

  assert.match(text, /com\.x\.Echo +g1 +2 +1 +switched off +k$/m);
  assert.match(text, /com\.x\.Own +g2 +motan2:\/\/10\.0\.0\.9:9982 +configuration$/m);
});

test('the management port comes from the environment variable mport when that is a port', () => {
  assert.deepEqual(
    [undefined, '', 'x', '0', '70000', '8003'].map(portFromEnvironment),
    [8002, 8002, 8002, 8002, 8002, 8003],
  );
  assert.equal(parsePort('65535'), 65_535);
  assert.throws(() => parsePort('65536'));
});
