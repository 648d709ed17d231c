import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ConsulError } from '../../../../../src/control/registry/consul/consul-api.js';
import { ConsulLink, type Pinged } from '../../../../../src/control/registry/consul/consul-link.js';
import { silentLogger } from '../../../../../src/core/index.js';
import { until } from '../../../../support/clock.js';
import { realClock } from '../../../../support/registry-deps.js';

class Agent implements Pinged {
  readonly address: string;
  pings = 0;
  /** Null while it answers. */
  trouble: string | null = null;

  constructor(address: string) {
    this.address = address;
  }

  async ping(): Promise<void> {
    this.pings += 1;
    if (this.trouble !== null) throw new ConsulError('wire', this.trouble);
  }
}

interface Scene {
  readonly agents: readonly [Agent, Agent];
  readonly link: ConsulLink<Agent>;
  readonly events: string[];
}

function begin(t: TestContext, { pingEveryMs = 60_000, areDown = [false, false] } = {}): Scene {
  const agents: [Agent, Agent] = [new Agent('a'), new Agent('b')];
  for (const [index, agent] of agents.entries()) agent.trouble = areDown[index] ? 'refused' : null;
  const events: string[] = [];
  const link = new ConsulLink({
    apis: agents,
    clock: realClock,
    random: () => 0,
    logger: silentLogger,
    pingEveryMs,
    events: {
      onUp: (isFresh) => void events.push(isFresh ? 'fresh' : 'up'),
      onDown: (trouble) => void events.push(`down ${trouble}`),
      onHeard: () => {},
      onShaken: () => void events.push('shaken'),
    },
  });
  t.after(() => link.close());
  link.start();
  return { agents, link, events };
}

const who = (agent: Agent): Promise<string> => Promise.resolve(agent.address);
const broken = (): Promise<never> => Promise.reject(new ConsulError('wire', 'socket hang up'));

test('the first agent that answers is used', async (t) => {
  const { link, events } = begin(t, { areDown: [true, false] });

  await link.untilUp(new AbortController().signal);

  assert.equal(await link.ask(who), 'b');
  assert.deepEqual(events, ['fresh']);
});

test('while nobody answers all are tried again and again, and nothing is asked', async (t) => {
  const { agents, link, events } = begin(t, { areDown: [true, true] });
  await until('both were tried again', () => agents.every(({ pings }) => pings >= 2));

  await assert.rejects(link.ask(who), /no Consul agent answers/);
  agents[1].trouble = null;
  await link.untilUp(new AbortController().signal);

  assert.equal(events[0], 'down a: refused; b: refused');
  assert.equal(events.at(-1), 'fresh');
});

test('a connection that broke makes the agent doubted, and no more when it answers', async (t) => {
  const { link, events } = begin(t);
  await link.untilUp(new AbortController().signal);

  await assert.rejects(link.ask(broken), /^ConsulError: a: socket hang up/);
  await until('it was asked', () => events.length === 2);

  assert.deepEqual(events, ['fresh', 'shaken']);
});

test('an agent that is gone is replaced by the next, which has nothing of ours', async (t) => {
  const { agents, link, events } = begin(t);
  await link.untilUp(new AbortController().signal);

  agents[0].trouble = 'refused';
  await assert.rejects(link.ask(broken), /socket hang up/);
  await until('the other is used', () => events.length === 3);

  assert.deepEqual(events, ['fresh', 'down a: refused', 'fresh']);
  assert.equal(await link.ask(who), 'b');
});

test('the same agent after an outage is no fresh one', async (t) => {
  const { agents, link, events } = begin(t);
  await link.untilUp(new AbortController().signal);
  for (const agent of agents) agent.trouble = 'refused';
  await assert.rejects(link.ask(broken));
  await until('it is down', () => !link.isUp);

  agents[0].trouble = null;
  await link.untilUp(new AbortController().signal);

  assert.equal(events.at(-1), 'up');
});

test('a refusal does not make the agent doubted', async (t) => {
  const { agents, link } = begin(t);
  await link.untilUp(new AbortController().signal);
  const pings = agents[0].pings;

  await assert.rejects(
    link.ask(() => Promise.reject(new ConsulError('answer', '403 Permission denied', 403))),
    /a: 403/,
  );

  assert.equal(await link.ask(who), 'a');
  assert.equal(agents[0].pings, pings);
});

test('a better agent takes over when it is back', async (t) => {
  const { agents, link, events } = begin(t, { areDown: [true, false], pingEveryMs: 20 });
  await link.untilUp(new AbortController().signal);

  agents[0].trouble = null;
  await until('it is used', () => events.length === 2);

  assert.deepEqual(events, ['fresh', 'fresh']);
  assert.equal(await link.ask(who), 'a');
});

test('an agent of which nothing is heard is asked whether it is there', async (t) => {
  const { agents, link, events } = begin(t, { pingEveryMs: 20 });
  await link.untilUp(new AbortController().signal);

  agents[0].trouble = 'no answer';
  await until('it is noticed', () => events.length === 3);

  assert.deepEqual(events, ['fresh', 'down a: no answer', 'fresh']);
});

test('whoever waits for an agent is let go at the signal, and at the end', async (t) => {
  const { link } = begin(t, { areDown: [true, true] });
  const end = new AbortController();
  const first = link.untilUp(end.signal);
  const second = link.untilUp(new AbortController().signal);

  end.abort();
  await first;
  link.close();
  await second;

  assert.equal(link.isUp, false);
});
