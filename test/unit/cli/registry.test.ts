import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptedText, registryText } from '../../../src/cli/registry.js';

const NOW_MS = 1_000_000_000;
const ZK = {
  id: 'zk',
  protocol: 'zookeeper',
  address: '10.0.0.1:2181',
  lastContactMs: NOW_MS - 90_000,
  lastError: 'ECONNREFUSED',
  announced: [
    {
      node: 'motan2://10.0.0.5:9982/com.x.Page?group=g1&a=1',
      desired: 'available',
      seen: 'absent',
    },
    {
      node: 'motan2://10.0.0.5:9983/com.x.Form?group=g1',
      desired: 'available',
      seen: 'available',
    },
  ],
  subscribed: [{ service: 'com.x.Echo', group: 'g1', nodes: 2 }],
} as const;
const ECHO = {
  id: 'echo',
  key: 'k',
  service: 'com.x.Echo',
  group: 'g1',
  source: 'registry',
  endpoints: 3,
  snapshotFile: null,
  snapshotSavedAtMs: null,
  registries: [
    {
      id: 'zk',
      group: 'g1',
      nodes: 3,
      held: [
        {
          node: 'motan2://10.0.0.7:1/com.x.Echo?group=g1',
          sinceMs: NOW_MS - 5_000,
          why: 'loss',
          probe: 'answers',
        },
      ],
      priority: 0,
      isHeard: true,
      trouble: 'down',
    },
  ],
} as const;

test('shows what is announced and what is seen, with the reason where they differ', () => {
  const text = registryText({ registries: [ZK], refers: [] }, NOW_MS);

  assert.match(text, /zk +zookeeper +10\.0\.0\.1:2181 +90 s ago +1 of 2 +1 +ECONNREFUSED/);
  assert.match(
    text,
    /zk +motan2:\/\/10\.0\.0\.5:9982\/com\.x\.Page\?group=g1 +available +absent +NOT TRUE: ECONN/,
  );
  assert.match(text, /9983\/com\.x\.Form\?group=g1 +available +available +true/);
});

test('shows what refers use, and the held nodes one by one', () => {
  const snapshot = {
    ...ECHO,
    source: 'snapshot',
    snapshotSavedAtMs: NOW_MS - 7_000,
    registries: [],
  } as const;
  const text = registryText({ registries: [], refers: [ECHO, snapshot] }, NOW_MS);

  assert.match(text, /com\.x\.Echo +g1 +registry +3 +zk: 3 nodes, 1 of them held, down/);
  assert.match(text, /com\.x\.Echo +g1 +snapshot of 7 s ago/);
  assert.match(text, /zk +motan2:\/\/10\.0\.0\.7:1\/com\.x\.Echo +5 s ago +too many lost at once +answers/);
});

test('without held nodes there is no such section', () => {
  assert.doesNotMatch(registryText({ registries: [], refers: [] }, NOW_MS), /Held/);
});

test('says what was accepted, and when there was nothing', () => {
  assert.equal(acceptedText({ accepted: [{ refer: 'echo', nodes: 1 }] }), 'refer echo: 1 node let go\n');
  assert.equal(acceptedText({ accepted: [] }), 'nothing was held there\n');
});
