/** The end of the process by signals. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type Frame, HEARTBEAT, reply, request } from '../../support/frames.js';
import { answerOk, type PeerConnection, type ScriptedUpstream } from '../../support/scripted-peer.js';
import {
  type AgentProcess,
  connectOutcome,
  direct,
  eventually,
  Home,
  SERVICE,
  type Sections,
  startUpstream,
} from './agent-process.js';

interface Waiting {
  readonly home: Home;
  readonly agent: AgentProcess;
  readonly caller: PeerConnection;
  /** Answers the call that waits. */
  answer(): void;
}

/** An agent with one call in flight that its node has got and not answered. */
async function withCallInFlight(t: TestContext, more: Sections = {}): Promise<Waiting> {
  const home = await Home.make(t);
  const waiting: [Frame, PeerConnection][] = [];
  const upstream: ScriptedUpstream = await startUpstream(t, (frame, connection) => {
    if ((frame.type & HEARTBEAT) !== 0) answerOk(frame, connection);
    else waiting.push([frame, connection]);
  });
  const sections = direct(upstream.port);
  const config = {
    ...more,
    'motan-registry': { ...sections['motan-registry'], ...more['motan-registry'] },
    'motan-refer': {
      hello: {
        ...(sections['motan-refer']!.hello as object),
        requestTimeout: 15_000,
        maxRequestTimeout: 15_000,
      },
    },
  };
  const agent = await home.start(t, { config });
  const caller = await agent.caller(t);
  caller.send(request({ id: 7n, service: SERVICE, metadata: { M_g: 'g1' } }));
  await eventually('the call to be in flight', () => waiting.length === 1);
  const answer = (): void => {
    const [frame, connection] = waiting[0]!;
    connection.send(reply(frame.id));
  };
  return { home, agent, caller, answer };
}

test('SIGTERM refuses new connections, lets the call in flight finish and ends with 0', async (t) => {
  const { home, agent, caller, answer } = await withCallInFlight(t);

  agent.signal('SIGTERM');
  await eventually(
    'new connections to be refused',
    async () => (await connectOutcome(home.port)) === 'ECONNREFUSED',
  );
  assert.equal(agent.hasEnded, false);
  answer();

  const frame = await caller.next();
  assert.deepEqual([frame.id, frame.versionStatus & 7], [7n, 0]);
  assert.equal(await agent.end(), 0);
  assert.equal(agent.stderr, '');
});

test('SIGINT ends an idle agent with 0', async (t) => {
  const home = await Home.make(t);
  const agent = await home.start(t);

  agent.signal('SIGINT');

  assert.equal(await agent.end(), 0);
});

test('a second signal does not wait for calls in flight', async (t) => {
  const { home, agent } = await withCallInFlight(t);
  agent.signal('SIGTERM');
  await eventually(
    'new connections to be refused',
    async () => (await connectOutcome(home.port)) === 'ECONNREFUSED',
  );

  const startMs = performance.now();
  agent.signal('SIGTERM');

  assert.equal(await agent.end(), 0);
  assert.ok(performance.now() - startMs < 2000);
});

test('SIGHUP does not end the agent', async (t) => {
  const { home, agent, caller, answer } = await withCallInFlight(t);

  agent.signal('SIGHUP');
  await eventually('the signal to be noted', () => home.read('log', 'peony.log').includes('SIGHUP'));
  answer();

  assert.equal((await caller.next()).id, 7n);
  assert.equal(await agent.stop(), 0);
});

/** Files of the nodes that are listed in the directory of registry `file`. */
function listed(home: Home): string[] {
  return readdirSync(home.path('registry'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.json'),
  );
}

test('the own node follows the status, is unavailable before accepting stops, and is gone at the end', async (t) => {
  const { home, agent, answer } = await withCallInFlight(t, {
    'motan-agent': { registry: 'own', group: 'agents', path: 'com.x.Agent' },
    'motan-registry': { own: { protocol: 'file', path: 'registry' } },
  });
  const availability = (): string =>
    (JSON.parse(home.read('registry', listed(home)[0]!)) as { availability: string }).availability;
  const seen = [await eventually('the node to be listed', () => listed(home).length === 1 && availability())];
  await agent.get('/200');
  await eventually('the node to be available', () => availability() === 'available');

  agent.signal('SIGTERM');
  // Looking at the port first: refused there and still available here would be the wrong order.
  await eventually(
    'new connections to be refused',
    async () => (await connectOutcome(home.port)) === 'ECONNREFUSED',
  );
  seen.push(availability());
  answer();

  assert.equal(await agent.end(), 0);
  assert.deepEqual(seen, ['unavailable', 'unavailable']);
  assert.deepEqual(listed(home), []);
});
