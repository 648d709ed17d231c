/** New states while calls run: nobody may notice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../support/clock.js';
import { exceptionOf, type Frame, reply, request } from '../../support/frames.js';
import { cluster, type ReferSpec, type Scene, scene } from '../../support/plane.js';
import { answerOk, type PeerConnection, type Script, silent } from '../../support/scripted-peer.js';

/** Keeps `inFlight` calls of one caller going until told to stop; every answer must be a good one. */
class Load {
  readonly #caller: PeerConnection;
  #sent = 0n;
  answered = 0;
  readonly failures: string[] = [];
  #isStopping = false;

  constructor(caller: PeerConnection, inFlight: number) {
    this.#caller = caller;
    caller.onFrame = (frame) => this.#onAnswer(frame);
    for (let index = 0; index < inFlight; index += 1) this.#send();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await until('the last calls are answered', () => this.answered === Number(this.#sent));
    assert.deepEqual(this.failures.slice(0, 5), []);
  }

  #send(): void {
    this.#sent += 1n;
    this.#caller.send(request({ id: this.#sent }));
  }

  #onAnswer(frame: Frame): void {
    this.answered += 1;
    if (frame.metadata.has('M_e')) this.failures.push(exceptionOf(frame).errmsg);
    if (!this.#isStopping) this.#send();
  }
}

/** Answers after the loop has gone round, so that calls are in flight whenever a state changes. */
const answerSoon: Script = (frame, connection) => {
  setImmediate(() => answerOk(frame, connection));
};

async function swapUnderLoad(
  made: Scene,
  states: readonly (readonly ReferSpec[])[],
  rounds: number,
): Promise<number> {
  await made.start(states[0]!);
  const loads = [new Load(await made.caller(), 20), new Load(await made.caller(), 20)];
  const answered = (): number => loads.reduce((sum, load) => sum + load.answered, 0);

  for (let round = 1; round <= rounds; round += 1) {
    const before = answered();
    made.apply(states[round % states.length]!);
    await until('calls go on', () => answered() > before + 60);
  }

  for (const load of loads) await load.stop();
  assert.equal(made.listener.failed, 0);
  return answered();
}

test('adding and removing nodes under load fails no call', async (t) => {
  const made = await scene(t);
  const nodes = [
    await made.upstream(answerSoon),
    await made.upstream(answerSoon),
    await made.upstream(answerSoon),
  ];
  const ports = nodes.map((node) => node.port);
  const states = [[0, 1, 2], [0, 1], [1], [1, 2], [2, 0]].map((chosen) => [
    { nodes: chosen.map((index) => ports[index]!) },
  ]);

  await swapUnderLoad(made, states, 40);

  assert.ok(nodes.every((node) => node.requests.length > 0));
});

test('replacing all nodes at once under load fails no call', async (t) => {
  const made = await scene(t);
  const nodes = [await made.upstream(answerSoon), await made.upstream(answerSoon)];

  await swapUnderLoad(
    made,
    nodes.map((node) => [{ nodes: [node.port] }]),
    30,
  );
});

test('changing the parameters of a refer under load fails no call', async (t) => {
  const made = await scene(t);
  const { port } = await made.upstream(answerSoon);
  const states = ['1500', '1600'].map((requestTimeout) => [
    { parameters: { requestTimeout }, nodes: [port] },
  ]);

  await swapUnderLoad(made, states, 30);
});

test('adding and removing other refers under load fails no call', async (t) => {
  const made = await scene(t);
  const { port } = await made.upstream(answerSoon);
  const echo = { nodes: [port] };
  const states = [
    [echo],
    [echo, { service: 'svc.two', nodes: [port] }],
    [{ service: 'svc.three', nodes: [port] }, echo],
  ];

  await swapUnderLoad(made, states, 30);
});

test('a node that is kept keeps its connections', async (t) => {
  const made = await scene(t);
  const [kept, gone] = [await made.upstream(answerOk), await made.upstream(answerOk)];
  await made.start([{ nodes: [kept.port, gone.port] }]);
  const caller = await made.caller();

  made.apply([{ nodes: [kept.port] }]);
  await until('the other is disconnected', () => gone.openConnections.length === 0);
  caller.send(request());
  await caller.next();

  assert.equal(kept.connections.length, 1);
  assert.equal(kept.openConnections.length, 1);
});

test('a node with other parameters keeps its connections, and the parameters apply', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(silent);
  const parameters = { requestTimeout: '60000' };
  await made.start([{ parameters, nodes: [upstream.port] }]);
  const caller = await made.caller();

  // From now on a call may ask for a timeout as short as this.
  made.apply([{ parameters, nodes: [{ port: upstream.port, parameters: { minRequestTimeout: '30' } }] }]);
  caller.send(request({ metadata: { M_tmo: '30' } }));
  const answer = await caller.next();

  assert.match(exceptionOf(answer).errmsg, /timeout/);
  assert.equal(upstream.connections.length, 1);
  assert.equal(upstream.openConnections.length, 1);
});

test('calls in flight on a node that is removed are answered by it', async (t) => {
  const made = await scene(t);
  const [removed, other] = [await made.upstream(), await made.upstream(answerOk)];
  await made.start([{ nodes: [removed.port] }]);
  const caller = await made.caller();
  caller.send(request({ id: 1n }));
  const [frame, connection] = await removed.expect();

  made.apply([{ nodes: [other.port] }]);
  caller.send(request({ id: 2n }));
  assert.equal((await caller.next()).id, 2n);
  connection.send(reply(frame.id, { body: Buffer.from('late but good') }));

  const answer = await caller.next();
  assert.deepEqual([answer.id, answer.body.toString()], [1n, 'late but good']);
  await until('the removed node is disconnected', () => removed.openConnections.length === 0);
});

test('calls in flight of a refer that is removed are answered; new ones are refused', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream();
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();
  caller.send(request({ id: 1n }));
  const [frame, connection] = await upstream.expect();

  made.apply([]);
  caller.send(request({ id: 2n }));
  const refused = await caller.next();
  assert.deepEqual([refused.id, exceptionOf(refused).errcode], [2n, 400]);
  connection.send(reply(frame.id));

  assert.equal((await caller.next()).id, 1n);
  await until('the node is disconnected', () => upstream.openConnections.length === 0);
});

test('a retry goes to the nodes of the new state', async (t) => {
  const made = await scene(t);
  const [before, after] = [await made.upstream(), await made.upstream(answerOk)];
  await made.start([{ parameters: { retries: '1' }, nodes: [before.port] }]);
  const caller = await made.caller();
  caller.send(request({ id: 1n }));
  const [, connection] = await before.expect();

  made.apply([{ parameters: { retries: '1', requestTimeout: '1900' }, nodes: [after.port] }]);
  connection.close();

  const answer = await caller.next();
  assert.equal(answer.metadata.get('x-forwarded-for'), `127.0.0.1:${after.port}`);
});

test('a state that is equal by reference changes nothing', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(answerOk);
  const clusters = [cluster({ nodes: [upstream.port] })];
  made.applyClusters(clusters);
  await made.plane.listen();
  await made.plane.ready(5000);

  for (let round = 0; round < 100; round += 1) made.applyClusters([...clusters]);

  assert.equal(made.plane.report().stateNumber, 101);
  assert.equal(upstream.connections.length, 1);
});
