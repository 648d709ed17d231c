import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  ConsulError,
  type ListedCheck,
  type Registration,
} from '../../../../../src/control/registry/consul/consul-api.js';
import { KeptServices, type ServiceApi } from '../../../../../src/control/registry/consul/kept-services.js';
import { type Availability, MeshUrl } from '../../../../../src/core/index.js';
import { until } from '../../../../support/clock.js';
import { RecordingLogger } from '../../../../support/registry-deps.js';

const NODE = MeshUrl.parse('motan2://10.0.0.5:9982/com.x.Echo?group=g1');
const ID = '10.0.0.5:9982-com.x.Echo@motan2:g1';
const UNKNOWN = `500 CheckID "service:${ID}" does not have associated TTL`;

/** A Consul agent as a test plays it. */
class Agent implements ServiceApi {
  readonly steps: string[] = [];
  readonly services = new Map<string, Registration>();
  readonly states = new Map<string, Availability>();
  lists = 0;
  /** Thrown by the next step. */
  failure: Error | null = null;
  #gate: Promise<void> | null = null;

  /** The next steps wait until the function is called. */
  hold(): () => void {
    let open = (): void => {};
    this.#gate = new Promise((resolve) => {
      open = resolve;
    });
    return () => {
      this.#gate = null;
      open();
    };
  }

  async register(registration: Registration): Promise<void> {
    await this.#step('register');
    const isNew = !this.services.has(registration.id);
    this.services.set(registration.id, registration);
    if (isNew) this.states.set(registration.id, registration.availability);
  }

  async mark(checkId: string, availability: Availability): Promise<void> {
    await this.#step(availability);
    const id = checkId.slice('service:'.length);
    if (!this.services.has(id)) throw new ConsulError('answer', UNKNOWN, 500);
    this.states.set(id, availability);
  }

  async deregister(id: string): Promise<void> {
    await this.#step('deregister');
    this.services.delete(id);
  }

  async checks(): Promise<ReadonlyMap<string, ListedCheck>> {
    this.lists += 1;
    const checks = [...this.services.values()].map(({ id, tags }): [string, ListedCheck] => [
      `service:${id}`,
      { status: this.states.get(id) === 'available' ? 'passing' : 'critical', tags },
    ]);
    return new Map(checks);
  }

  async #step(name: string): Promise<void> {
    this.steps.push(name);
    await this.#gate;
    const { failure } = this;
    this.failure = null;
    if (failure !== null) throw failure;
  }
}

function begin(
  t: TestContext,
  beatMs = 60_000,
  agent = new Agent(),
): { agent: Agent; kept: KeptServices; logger: RecordingLogger } {
  const logger = new RecordingLogger();
  const kept = new KeptServices({
    ask: (work) => work(agent),
    random: () => 0.5,
    logger,
    owner: 'me',
    ttlMs: 30_000,
    beatMs,
  });
  t.after(() => kept.close());
  return { agent, kept, logger };
}

test('a service is registered in the state that it has', async (t) => {
  const { agent, kept } = begin(t);

  await kept.put(NODE, 'unavailable');

  const { name, address, port, owner, ttlMs, availability } = agent.services.get(ID)!;
  assert.deepEqual([name, address, port, owner, ttlMs], ['motanrpc_g1', '10.0.0.5', 9982, 'me', 30_000]);
  assert.equal(availability, 'unavailable');
});

test('services that are new at the agent take one step each, and one list for all', async (t) => {
  const { agent, kept } = begin(t);

  await Promise.all([1, 2, 3].map((port) => kept.put(NODE.with({ port }), 'available')));

  assert.deepEqual(agent.steps, ['register', 'register', 'register']);
  assert.equal(agent.lists, 1);
});

test('a check that a predecessor left has its state changed, because a registration does not', async (t) => {
  const { agent, kept } = begin(t);
  await kept.put(NODE, 'unavailable');
  const { kept: successor } = begin(t, 60_000, agent);

  await successor.put(NODE, 'available');

  assert.equal(agent.states.get(ID), 'available');
});

test('a change of the state alone does not register again', async (t) => {
  const { agent, kept } = begin(t);
  await kept.put(NODE, 'unavailable');
  agent.steps.length = 0;

  await kept.put(NODE, 'available');

  assert.deepEqual(agent.steps, ['available']);
});

test('changed parameters are registered in place', async (t) => {
  const { agent, kept } = begin(t);
  await kept.put(NODE, 'available');
  agent.steps.length = 0;

  await kept.put(NODE.withParameter('weight', '7'), 'available');

  assert.deepEqual(agent.steps, ['register', 'available']);
  assert.equal(agent.states.get(ID), 'available');
  assert.match(agent.services.get(ID)!.tags[1]!, /weight%3D7/);
  assert.equal(await kept.look(NODE.withParameter('weight', '7')), 'available');
  assert.equal(await kept.look(NODE), 'absent');
});

test('a beat keeps the state, and one that meets an agent without the service registers it at once', async (t) => {
  const { agent, kept, logger } = begin(t, 10);
  await kept.put(NODE, 'available');
  agent.steps.length = 0;

  await until('beats', () => agent.steps.length >= 3);
  const beats = [...agent.steps];
  agent.services.clear();
  await until('it is registered again', () => agent.services.has(ID));

  assert.ok(beats.every((step) => step === 'available'));
  assert.ok(logger.lines.some(({ level }) => level === 'warn'));
});

test('a refused beat is told once, and does not end the beats', async (t) => {
  const { agent, kept, logger } = begin(t, 10);
  await kept.put(NODE, 'available');

  agent.failure = new ConsulError('answer', '403 Permission denied', 403);
  await until('it is told', () =>
    logger.lines.some(({ fields }) => fields.trouble === '403 Permission denied'),
  );
  agent.steps.length = 0;
  await until('the next beats', () => agent.steps.length >= 2);

  assert.equal(logger.lines.length, 1);
});

test('steps about one service do not overlap, and the last word arrives last', async (t) => {
  const { agent, kept } = begin(t);
  await kept.put(NODE, 'unavailable');
  agent.steps.length = 0;
  const open = agent.hold();

  const puts = [kept.put(NODE, 'available'), kept.put(NODE, 'unavailable')];
  await until('the first is on its way', () => agent.steps.length > 0);
  const before = agent.steps.length;
  open();
  await Promise.all(puts);

  assert.equal(before, 1);
  assert.equal(agent.states.get(ID), 'unavailable');
});

test('a failed step is told to whoever asked, and the next one works', async (t) => {
  const { agent, kept } = begin(t);
  agent.failure = new ConsulError('wire', 'socket hang up');

  await assert.rejects(kept.put(NODE, 'available'), /socket hang up/);
  await kept.put(NODE, 'available');

  assert.equal(await kept.look(NODE), 'available');
});

test('what is removed has no beats any more', async (t) => {
  const { agent, kept } = begin(t, 5);
  await kept.put(NODE, 'available');
  await kept.put(NODE.with({ port: 1 }), 'available');

  await kept.remove(NODE);
  agent.steps.length = 0;
  await until('beats of the other', () => agent.steps.length >= 5);

  assert.deepEqual([...agent.services.keys()], [ID.replace('9982', '1')]);
  assert.ok(agent.steps.every((step) => step === 'available'));
});

test('at another agent nothing is marked before it is put again', async (t) => {
  const { agent, kept } = begin(t, 5);
  await kept.put(NODE, 'available');
  agent.services.clear();
  agent.steps.length = 0;

  kept.onFresh();
  await kept.put(NODE, 'available');

  assert.equal(agent.steps[0], 'register');
});

test('all who look in one go share one list, and the next go has a new one', async (t) => {
  const { agent, kept } = begin(t);
  await kept.put(NODE, 'available');

  const listsBefore = agent.lists;

  const looks = await Promise.all([1, 2, 3].map(() => kept.look(NODE)));
  await kept.look(NODE.with({ port: 1 }));

  assert.deepEqual(looks, ['available', 'available', 'available']);
  assert.equal(agent.lists - listsBefore, 2);
});

test('a check that failed for want of beats is seen', async (t) => {
  const { agent, kept } = begin(t);
  await kept.put(NODE, 'available');

  agent.states.set(ID, 'unavailable');

  assert.equal(await kept.look(NODE), 'unavailable');
});
