/** Motan callers that name a domain as their service, as PHP clients do: at the agent under test and at a motan-go agent. */
import assert from 'node:assert/strict';
import { agentKind } from '../agent.js';
import { type Question, type Told, tellFor } from '../exports/scene.js';
import { motanGo } from '../motan-go/peers.js';
import { peerTest, shared } from '../support.js';
import { startBackend } from './backend.js';
import { startBehind, startFront } from './scene.js';

const scene = shared(async () => {
  const backend = await startBackend();
  const behind = await startBehind({ kind: 'motan-go', backendPort: backend.port, name: 'pages' });
  // Domains without a host of that name, so that nothing leaves the machine.
  const more = {
    'http-client': {
      none: {
        domain: 'nowhere.invalid',
        group: 'none',
        registry: behind.group,
        protocol: 'motan2',
        preload: 'other',
      },
    },
    'http-locations': { 'nowhere.invalid': [{ match: '/only', type: 'exact', upstream: 'unknown' }] },
  };
  return {
    behind,
    tested: await startFront(agentKind, [behind], { httpProxyAllow: 'nowhere.invalid' }, more),
    peer: await startFront('motan-go', [behind], {}, more),
  };
});

async function tellBoth(
  question: Omit<Question, 'service'>,
  domain?: string,
): Promise<{ tested: Told; peer: Told }> {
  const { behind, tested, peer } = await scene();
  const call = { service: domain ?? behind.domain, group: '' };
  return {
    tested: await tellFor({ ...call, at: tested.agent.port }, question),
    peer: await tellFor({ ...call, at: peer.agent.port }, question),
  };
}

const MAP = 'map:name=Jürgen M,x=1 & 2';

const SAME: Readonly<Record<string, Omit<Question, 'service'>>> = {
  'a path': { method: '/echo/a' },
  'a map as query': { method: '/echo/a', argument: MAP },
  'a map as form': { method: '/echo/a', argument: MAP, metadata: { HTTP_Method: 'POST' } },
  'a query': { method: '/echo/a', metadata: { HTTP_QueryString: 'a=b%20c' } },
  'a path that is rewritten where it is served': { method: '/v0/b' },
  'a path of another service': { method: '/strict/status/404' },
  'a service that is not exported': { method: '/missing' },
};

for (const [name, question] of Object.entries(SAME)) {
  peerTest(`a Motan caller of a domain is told what motan-go tells: ${name}`, [motanGo], async () => {
    const { tested, peer } = await tellBoth(question);

    assert.deepEqual(tested, peer);
  });
}

peerTest('a Motan caller of a path that nobody serves is told why', [motanGo], async () => {
  const { tested, peer } = await tellBoth({ method: '/elsewhere', argument: MAP }, 'nowhere.invalid');

  for (const { exception } of [tested, peer]) {
    assert.deepEqual([exception?.errcode, exception?.errtype], [400, 1]);
    assert.match(exception?.errmsg ?? '', /^do http request failed : /);
  }
});
