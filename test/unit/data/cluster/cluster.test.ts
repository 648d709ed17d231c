import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Call,
  type CallOrigin,
  type ClusterState,
  type FilterChain,
  failed,
  failure,
  type Reply,
} from '../../../../src/core/index.js';
import { Cluster } from '../../../../src/data/cluster/index.js';
import { answer, call, FakeEndpoint } from '../../../support/calls.js';
import { seededRandom } from '../../../support/clock.js';
import { cluster as clusterState } from '../../../support/plane.js';

class Origin implements CallOrigin {
  readonly replies: Reply[] = [];

  onReply(_call: Call, reply: Reply): void {
    this.replies.push(reply);
  }

  onPressure(): void {}
  onRelief(): void {}
}

interface Made {
  readonly cluster: Cluster;
  readonly endpoints: FakeEndpoint[];
  readonly send: (metadata?: Record<string, string>) => Reply[];
}

function make(state: ClusterState, chain: FilterChain | null = null): Made {
  const endpoints: FakeEndpoint[] = [];
  const cluster = new Cluster(state, {
    createEndpoint: (_cluster, endpoint) => {
      const made = new FakeEndpoint(endpoint.id);
      endpoints.push(made);
      return made;
    },
    chains: (_names, scope) => (scope === 'cluster' ? chain : null),
    random: seededRandom(1),
    nowMs: () => 42,
  });
  const send = (metadata: Record<string, string> = {}): Reply[] => {
    const origin = new Origin();
    cluster.call(call({ origin, metadata }));
    return origin.replies;
  };
  return { cluster, endpoints, send };
}

const broken = (message: string): Reply => answer({ code: 500, type: 1, message });
const lost = (): Reply => failed(failure('E_CONNECTION_LOST', 'lost'));

test('a good answer is given as it is, once', () => {
  const { endpoints, send } = make(clusterState({ nodes: [1] }));
  const good = answer();
  endpoints[0]!.answers = [good];

  assert.deepEqual(send(), [good]);
});

test('without retries a failure is the answer', () => {
  const { endpoints, send } = make(clusterState({ nodes: [1] }));
  endpoints[0]!.answers = [lost()];

  assert.equal(send()[0]!.failure?.code, 'E_CONNECTION_LOST');
  assert.equal(endpoints[0]!.calls.length, 1);
});

test('with retries the tries go on until one succeeds', () => {
  const { endpoints, send } = make(clusterState({ nodes: [1], parameters: { retries: '3' } }));
  endpoints[0]!.answers = [lost(), broken('x'), answer()];

  const replies = send();

  assert.equal(replies.length, 1);
  assert.equal(replies[0]!.exception, null);
  assert.equal(endpoints[0]!.calls.length, 3);
});

test('the last reply is given when all tries fail', () => {
  const { endpoints, send } = make(clusterState({ nodes: [1], parameters: { retries: '1' } }));
  endpoints[0]!.answers = [broken('first'), broken('second'), broken('third')];

  assert.equal(send()[0]!.exception?.message, 'second');
});

test('a business exception ends the tries', () => {
  const { endpoints, send } = make(clusterState({ nodes: [1], parameters: { retries: '5' } }));
  endpoints[0]!.answers = [answer({ code: 1, type: 2, message: 'business' })];

  assert.equal(send()[0]!.exception?.message, 'business');
  assert.equal(endpoints[0]!.calls.length, 1);
});

test('negative and unreadable retries are none', () => {
  for (const retries of ['-1', 'many', '']) {
    const { endpoints, send } = make(clusterState({ nodes: [1], parameters: { retries } }));
    endpoints[0]!.answers = [lost(), answer()];
    assert.equal(send()[0]!.failure?.code, 'E_CONNECTION_LOST');
  }
});

test('absurdly many retries are bounded', () => {
  const { endpoints, send } = make(clusterState({ nodes: [1], parameters: { retries: '1000000' } }));
  endpoints[0]!.answers = Array.from({ length: 200_000 }, () => lost());

  assert.equal(send()[0]!.failure?.code, 'E_CONNECTION_LOST');
  assert.equal(endpoints[0]!.calls.length, 101);
});

test('retries of a method count for that method and description', () => {
  const { endpoints, send } = make(clusterState({ nodes: [1], parameters: { 'hello(int).retries': '2' } }));
  endpoints[0]!.answers = [lost(), lost(), answer(), lost()];

  assert.equal(send({ M_md: 'int' })[0]!.exception, null);
  assert.equal(send({ M_md: 'long' })[0]!.failure?.code, 'E_CONNECTION_LOST');
});

test('a body that may be sent again is not given back to the pool', () => {
  const { cluster } = make(clusterState({ nodes: [1], parameters: { retries: '1' } }));
  const pooled = Buffer.from('pooled');
  const made = call({ origin: new Origin(), bytes: pooled });
  made.isOwned = true;
  made.pooled = pooled;

  cluster.call(made);

  assert.equal(made.pooled, null);
  assert.equal(made.bytes, pooled);
});

test('cluster filters see the call once, with the time since it came', () => {
  const seen: string[] = [];
  const chain: FilterChain = {
    before: (_call, startedMs) => {
      seen.push(`before ${startedMs}`);
      return null;
    },
    after: (_call, reply, startedMs, nowMs) => {
      seen.push(`after ${reply.exception?.message ?? 'ok'} ${startedMs} ${nowMs}`);
    },
  };
  const { endpoints, send } = make(clusterState({ nodes: [1], parameters: { retries: '1' } }), chain);
  endpoints[0]!.answers = [broken('x'), answer()];

  send();

  assert.deepEqual(seen, ['before 0', 'after ok 0 42']);
});

test('a cluster filter that refuses keeps the call from every endpoint', () => {
  const refusal = failed(failure('E_UNAVAILABLE', 'switched off'));
  const chain: FilterChain = { before: () => refusal, after: () => assert.fail('not let in') };
  const { endpoints, send } = make(clusterState({ nodes: [1] }), chain);

  assert.deepEqual(send(), [refusal]);
  assert.equal(endpoints[0]!.calls.length, 0);
});

test('a new state keeps endpoints that are the same and closes those that are gone', () => {
  const { cluster, endpoints } = make(clusterState({ nodes: [1, 2] }));

  cluster.apply(clusterState({ nodes: [2, 3] }));

  assert.equal(endpoints.length, 3);
  assert.deepEqual(
    endpoints.map((endpoint) => endpoint.isClosed),
    [true, false, false],
  );
  assert.deepEqual(new Set(cluster.endpoints()), new Set([endpoints[1], endpoints[2]]));
});

test('a node with other parameters keeps its endpoint, which takes them over', () => {
  const { cluster, endpoints } = make(clusterState({ nodes: [{ port: 1 }, { port: 2 }] }));
  const before = cluster.endpoints();

  cluster.apply(clusterState({ nodes: [{ port: 1, parameters: { weight: '2' } }, { port: 2 }] }));

  assert.equal(cluster.endpoints()[0], before[0]);
  assert.deepEqual(
    endpoints.map(({ updates }) => updates.map(({ node }) => node.text('weight'))),
    [['2'], []],
  );
});

test('a node whose parameters cannot be taken over, and every node of a changed refer, are made anew', () => {
  const { cluster, endpoints } = make(clusterState({ nodes: [{ port: 1 }, { port: 2 }] }));
  for (const endpoint of endpoints) endpoint.canUpdate = false;

  cluster.apply(clusterState({ nodes: [{ port: 1, parameters: { weight: '2' } }, { port: 2 }] }));
  assert.deepEqual(
    endpoints.map((endpoint) => endpoint.isClosed),
    [true, false, false],
  );
  cluster.apply(clusterState({ nodes: [{ port: 2 }], parameters: { requestTimeout: '7' } }));

  assert.deepEqual(
    endpoints.map((endpoint) => endpoint.isClosed),
    [true, true, true, false],
  );
});

test('a closed cluster has no endpoint to give', () => {
  const { cluster, endpoints, send } = make(clusterState({ nodes: [1] }));

  cluster.close();

  assert.equal(endpoints[0]!.isClosed, true);
  assert.equal(send()[0]!.failure?.code, 'E_NO_ENDPOINT');
});
