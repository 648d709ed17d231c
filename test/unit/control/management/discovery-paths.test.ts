import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { Response } from 'light-my-request';
import { createManagementServer, type ManagementServer } from '../../../../src/control/management/index.js';
import { type ReferReport, silentLogger } from '../../../../src/core/index.js';
import { FakeView } from './fake-view.js';

const REFER: ReferReport = {
  id: 'echo',
  key: 'g1_1.0_motan2_com.x.Echo',
  service: 'com.x.Echo',
  group: 'g1',
  source: 'registry',
  endpoints: 5,
  snapshotFile: null,
  snapshotSavedAtMs: null,
  registries: [
    {
      id: 'zk',
      group: 'g1',
      nodes: 5,
      held: [
        {
          node: 'motan2://10.0.0.1:1/com.x.Echo?group=g1',
          sinceMs: 1,
          why: 'loss',
          probe: 'answers',
        },
      ],
      priority: 0,
      isHeard: true,
      trouble: null,
    },
  ],
};
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

async function ask(
  url: string,
  method: 'GET' | 'POST' = 'GET',
  remoteAddress = '127.0.0.1',
): Promise<Response> {
  return await server.app.inject({ method, url, remoteAddress });
}

test('/v1/discovery tells what every refer has, with its held nodes and the age of its snapshot', async () => {
  const savedAtMs = Date.now() - 60_000;
  view.referReports = [
    REFER,
    { ...REFER, source: 'snapshot', snapshotFile: 'f', snapshotSavedAtMs: savedAtMs },
  ];

  const { refers } = (await ask('/v1/discovery')).json();

  assert.deepEqual(refers[0], { ...REFER, snapshotAgeSeconds: null });
  assert.ok(refers[1].snapshotAgeSeconds >= 60);
});

test('/status names services that live on a snapshot and services with held nodes, and neither without', async () => {
  view.referReports = [{ ...REFER, registries: [] }];
  const plain = (await ask('/status')).json().body;
  view.referReports = [REFER, { ...REFER, registries: [], snapshotSavedAtMs: Date.now() - 60_000 }];
  const full = (await ask('/status')).json().body;

  assert.ok(!('held' in plain) && !('snapshots' in plain));
  assert.deepEqual(full.held, [{ group: 'g1', name: 'com.x.Echo', nodes: 1 }]);
  assert.ok(full.snapshots[0].age_seconds >= 60);
});

test('accepting is for those who may change state, by POST, and needs a choice', async () => {
  const refused = await ask('/v1/discovery/accept?all=true', 'POST', '10.0.0.9');
  const read = await ask('/v1/discovery/accept?all=true');
  const unchosen = await ask('/v1/discovery/accept', 'POST');

  assert.equal(refused.statusCode, 403);
  assert.equal(read.statusCode, 405);
  assert.equal(unchosen.statusCode, 400);
  assert.equal(unchosen.json().code, 'E_ARGUMENT');
  assert.deepEqual(view.accepted, []);
});

test('what is accepted is told by refer', async () => {
  const response = await ask('/v1/discovery/accept?service=com.x.Echo', 'POST');
  await ask('/v1/discovery/accept?all=true', 'POST');

  assert.deepEqual(response.json(), { accepted: [{ refer: 'r1', nodes: 6 }] });
  assert.deepEqual(view.accepted, [
    [null, 'com.x.Echo'],
    [null, null],
  ]);
});
