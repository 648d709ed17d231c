import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ConsulError,
  type NodesAnswer,
  type NodesQuery,
} from '../../../../../src/control/registry/consul/consul-api.js';
import { GroupWatch } from '../../../../../src/control/registry/consul/group-watch.js';
import { tagsOf } from '../../../../../src/control/registry/consul/layout.js';
import type { DriverWatch, WatchEvents } from '../../../../../src/control/registry/server/driver.js';
import { MeshUrl, silentLogger } from '../../../../../src/core/index.js';
import { until } from '../../../../support/clock.js';
import { realClock } from '../../../../support/registry-deps.js';

const ECHO = MeshUrl.parse('motan2://:0/com.x.Echo?group=g1');
const OTHER = MeshUrl.parse('motan2://:0/com.x.Other?group=g1');

/** A Consul agent as a test plays it: questions wait until they are answered. */
class Agent {
  readonly asked: NodesQuery[] = [];
  readonly watch: GroupWatch;
  idle = 0;
  isUp = true;
  #waiting: { resolve(answer: NodesAnswer): void; reject(error: Error): void } | null = null;

  constructor() {
    this.watch = new GroupWatch({
      group: 'g1',
      ask: (query, signal) => this.#ask(query, signal),
      isUp: () => this.isUp,
      untilUp: () => Promise.resolve(),
      waitMs: () => 30_000,
      clock: realClock,
      random: () => 0,
      logger: silentLogger,
      onIdle: () => {
        this.idle += 1;
      },
    });
  }

  /** Waits for a question, and gives what it asked. */
  async question(): Promise<NodesQuery> {
    await until('a question', () => this.#waiting !== null);
    return this.asked.at(-1)!;
  }

  async answer(index: number, nodes: readonly MeshUrl[], more: Partial<NodesAnswer> = {}): Promise<void> {
    const entries = nodes.map((node) => ({
      Node: { Address: '10.0.0.1' },
      Service: { ID: node.address, Tags: tagsOf(node), Address: node.host, Port: node.port },
    }));
    await this.answerText(index, JSON.stringify(entries), more);
  }

  async answerText(index: number, text: string, more: Partial<NodesAnswer> = {}): Promise<void> {
    await this.question();
    const waiting = this.#waiting!;
    this.#waiting = null;
    waiting.resolve({ index, body: Buffer.from(text), hasLeader: true, isFiltered: false, ...more });
  }

  async fail(error: Error): Promise<void> {
    await this.question();
    const waiting = this.#waiting!;
    this.#waiting = null;
    waiting.reject(error);
  }

  #ask(query: NodesQuery, signal: AbortSignal): Promise<NodesAnswer> {
    this.asked.push(query);
    return new Promise((resolve, reject) => {
      const waiting = { resolve, reject };
      this.#waiting = waiting;
      signal.addEventListener('abort', () => {
        if (this.#waiting === waiting) this.#waiting = null;
        reject(new ConsulError('cancelled', 'cancelled'));
      });
    });
  }
}

class Told implements WatchEvents {
  readonly lists: (readonly MeshUrl[])[] = [];
  readonly troubles: string[] = [];
  odd: string | null = null;
  readonly watch: DriverWatch;

  constructor(agent: Agent, refer = ECHO) {
    this.watch = agent.watch.add(refer, this);
  }

  get ports(): number[] {
    return (this.lists.at(-1) ?? []).map(({ port }) => port).sort();
  }

  onNodes(nodes: readonly MeshUrl[]): void {
    this.lists.push(nodes);
  }

  onOdd(trouble: string | null): void {
    this.odd = trouble;
  }

  onTrouble(trouble: string): void {
    this.troubles.push(trouble);
  }
}

function node(port: number, path = 'com.x.Echo'): MeshUrl {
  return MeshUrl.parse(`motan2://10.0.0.5:${port}/${path}?group=g1&nodeType=service`);
}

function begin(t: { after(end: () => void): void }): Agent {
  const agent = new Agent();
  t.after(() => agent.watch.close());
  return agent;
}

test('one question serves all services of the group, and later ones wait for a change', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);
  const other = new Told(agent, OTHER);

  await agent.answer(7, [node(1), node(2), node(3, 'com.x.Other')]);
  await until('both are told', () => echo.lists.length === 1 && other.lists.length === 1);
  const next = await agent.question();

  assert.deepEqual([echo.ports, other.ports], [[1, 2], [3]]);
  assert.deepEqual(agent.asked, [
    { serviceName: 'motanrpc_g1', index: 0, waitMs: 30_000, isStale: false },
    { serviceName: 'motanrpc_g1', index: 7, waitMs: 30_000, isStale: false },
  ]);
  assert.equal(next.index, 7);
});

test('an answer after a wait in vain is not read', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);
  await agent.answer(7, [node(1)]);

  await agent.answerText(7, 'not even a list');
  await agent.answer(8, [node(2)]);
  await until('the change is told', () => echo.lists.length === 2);

  assert.deepEqual(echo.ports, [2]);
  assert.deepEqual(echo.troubles, []);
});

test('only services that changed are told, and nodes that did not stay the same objects', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);
  const other = new Told(agent, OTHER);
  await agent.answer(7, [node(1), node(3, 'com.x.Other')]);

  await agent.answer(8, [node(3, 'com.x.Other'), node(2), node(1)]);
  await until('the change is told', () => echo.lists.length === 2);

  assert.equal(other.lists.length, 1);
  assert.equal(
    echo.lists[1]!.find(({ port }) => port === 1),
    echo.lists[0]![0],
  );
});

test('a service that is empty now is told as empty', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);
  await agent.answer(7, [node(1)]);

  await agent.answer(8, []);
  await until('the change is told', () => echo.lists.length === 2);

  assert.deepEqual(echo.lists[1], []);
});

test('an index that went back is of another life: what follows is asked for without waiting', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);
  await agent.answer(700, [node(1)]);

  await agent.answer(12, [node(2)]);
  const { index } = await agent.question();
  await agent.answer(12, [node(2)]);
  const after = await agent.question();

  assert.deepEqual([index, after.index], [0, 12]);
  assert.deepEqual(echo.ports, [2]);
  assert.equal(echo.lists.length, 2);
});

test('where there is no index the group is asked for now and then', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);
  await agent.answer(0, [node(1)]);
  await until('it is told', () => echo.lists.length === 1);

  const beginMs = performance.now();
  const { index } = await agent.question();

  assert.equal(index, 0);
  assert.ok(performance.now() - beginMs > 500);
});

test('a service that joins a group that is watched has its answer at once', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);
  await agent.answer(7, [node(1), node(3, 'com.x.Other')]);
  await agent.question();

  const other = new Told(agent, OTHER);
  await until('the question is asked anew', () => agent.asked.at(-1)!.index === 0);
  await agent.answer(7, [node(1), node(3, 'com.x.Other')]);
  await until('it is told', () => other.lists.length === 1);

  assert.deepEqual(other.ports, [3]);
  assert.equal(echo.lists.length, 1);
});

test('after a reconnection all is told again, changed or not', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);
  await agent.answer(7, [node(1)]);
  await agent.question();

  agent.watch.onUp();
  await until('the question is asked anew', () => agent.asked.at(-1)!.index === 0);
  await agent.answer(7, [node(1)]);
  await until('it is told again', () => echo.lists.length === 2);

  assert.deepEqual(echo.ports, [1]);
});

test('without a leader any server is asked, until one that was waited for knows a leader', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);
  await agent.answer(7, [node(1)]);

  await agent.fail(new ConsulError('answer', '500 No cluster leader', 500));
  await agent.answer(7, [node(1)], { hasLeader: false });
  await agent.answer(7, [node(1)], { hasLeader: false });
  await agent.answer(8, [node(1)], { hasLeader: true });
  await agent.question();

  const kinds = agent.asked.map(({ isStale, waitMs }) => `${isStale} ${waitMs}`);
  assert.deepEqual(kinds, [
    'false 30000',
    'false 30000',
    'true 5000',
    'true 5000',
    'true 5000',
    'false 30000',
  ]);
  assert.deepEqual(echo.troubles, []);
  assert.equal(echo.lists.length, 1);
});

test('when not even stale answers are given it is trouble, which the next answer ends', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);
  await agent.answer(7, [node(1)]);

  await agent.fail(new ConsulError('answer', '500 No cluster leader', 500));
  await agent.fail(new ConsulError('answer', '500 No known servers', 500));
  await agent.answer(7, [node(1)]);
  await until('it is told again', () => echo.lists.length === 2);

  assert.deepEqual(echo.troubles, ['the nodes of group "g1" cannot be read: 500 No known servers']);
});

test('a refusal is trouble of every service of the group', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);
  const other = new Told(agent, OTHER);

  await agent.fail(new ConsulError('answer', '403 Permission denied', 403));
  await until('all are told', () => echo.troubles.length + other.troubles.length === 2);
  await agent.question();

  assert.match(other.troubles[0]!, /403 Permission denied/);
});

test('a connection that broke is no trouble of the group, and asked for again from the beginning', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);
  await agent.answer(7, [node(1)]);

  await agent.fail(new ConsulError('wire', 'socket hang up'));
  const { index } = await agent.question();

  assert.equal(index, 0);
  assert.deepEqual(echo.troubles, []);
});

test('an agent that does not answer in time is asked for what any server knows', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);

  await agent.fail(new ConsulError('wire', 'no answer within 5000 ms'));
  const { isStale } = await agent.question();
  await agent.answer(7, [node(1)], { hasLeader: false });
  await until('it is told', () => echo.lists.length === 1);

  assert.equal(isStale, true);
  assert.deepEqual(echo.troubles, []);
});

test('a group alone that is never answered is trouble; when nobody answers the link tells it', async (t) => {
  const [alone, among] = [begin(t), begin(t)];
  among.isUp = false;
  const told = [new Told(alone), new Told(among)];

  for (const agent of [alone, among]) {
    await agent.fail(new ConsulError('wire', 'no answer within 5000 ms'));
    await agent.fail(new ConsulError('wire', 'no answer within 5000 ms'));
    await agent.question();
  }

  assert.deepEqual(
    told.map(({ troubles }) => troubles.length),
    [1, 0],
  );
});

test('an answer that is no list is trouble', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);

  await agent.answerText(7, '{"a":1}');
  await until('it is told', () => echo.troubles.length === 1);

  assert.match(echo.troubles[0]!, /no JSON list/);
});

test('an empty answer to a token that may not see the nodes is trouble, not emptiness', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);

  await agent.answer(7, [], { isFiltered: true });
  await until('it is told', () => echo.troubles.length === 1);

  assert.deepEqual(echo.lists, []);
});

test('entries that make no sense are counted, and the first is named', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);
  const good = { Service: { ID: 'g', Tags: tagsOf(node(1)) }, Node: {} };
  const bad = { Service: { ID: 'b\n', Tags: ['URL_%'] }, Node: {} };

  await agent.answerText(7, JSON.stringify([bad, { x: 1 }, good]));
  await until('it is told', () => echo.lists.length === 1);

  assert.deepEqual(echo.ports, [1]);
  assert.equal(
    echo.odd,
    'motanrpc_g1: service "b\\n" is left out: the tag "URL_%" is not validly escaped, and 1 more',
  );
  await agent.answer(8, [node(1)]);
  await until('all is well', () => echo.odd === null);
});

test('a node that two Consul agents list is one node', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);

  await agent.answer(7, [node(1), node(1)]);
  await until('it is told', () => echo.lists.length === 1);

  assert.deepEqual(echo.ports, [1]);
});

test('a closed service is told nothing more, and the group ends with the last', async (t) => {
  const agent = begin(t);
  const echo = new Told(agent);
  const other = new Told(agent, OTHER);
  await agent.answer(7, []);
  await agent.question();

  echo.watch.close();
  echo.watch.close();
  assert.equal(agent.idle, 0);
  await agent.answer(8, [node(1), node(3, 'com.x.Other')]);
  await until('the other is told', () => other.lists.length === 2);
  other.watch.close();

  assert.equal(agent.idle, 1);
  assert.equal(echo.lists.length, 1);
});
