import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KnownNodes } from '../../../../src/control/discovery/known-nodes.js';
import { MeshUrl } from '../../../../src/core/index.js';

const HOLD = { lossPercent: 50, holdMs: 60_000, silenceMs: 5_000 };

const node = (port: number, more = ''): MeshUrl =>
  MeshUrl.parse(`motan2://10.0.0.1:${port}/com.x.Echo?group=g1${more}`);
const nodes = (...ports: number[]): MeshUrl[] => ports.map((port) => node(port));
const at = (nowMs: number) => ({ nowMs, wallMs: 1_000_000 + nowMs });

/** What one registry says, answer by answer, `stepMs` apart, with the nodes in use at the end. */
function told(answers: readonly (readonly MeshUrl[])[], stepMs = 0, hold = HOLD, isLast = true) {
  const known = new KnownNodes();
  const newlyHeld = answers.map((answer, index) => known.take(answer, hold, isLast, at(index * stepMs)));
  return { known, newlyHeld, ports: known.all.map(({ port }) => port), held: held(known) };
}

function held(known: KnownNodes): number[] {
  return [...known.held.values()].map((one) => one.node.port);
}

test('more than half of the nodes lost at once are held and stay in use, behind those that are listed', () => {
  const { known, newlyHeld, ports, held } = told([nodes(1, 2, 3, 4, 5), nodes(4, 5)]);

  assert.deepEqual(newlyHeld, [0, 3]);
  assert.deepEqual(ports, [4, 5, 1, 2, 3]);
  assert.deepEqual(held, [1, 2, 3]);
  assert.equal([...known.held.values()][0]!.why, 'loss');
});

test('half of the nodes, or less, go at once', () => {
  assert.deepEqual(told([nodes(1, 2, 3, 4), nodes(3, 4)]).ports, [3, 4]);
});

test('of one and two nodes the last one alone is held', () => {
  const { known, ports } = told([nodes(1, 2), nodes(2), []], 60_000);

  assert.deepEqual(ports, [2]);
  assert.equal([...known.held.values()][0]!.why, 'last');
});

test('with nodes elsewhere an empty answer takes away one or two nodes, and no more', () => {
  assert.deepEqual(told([nodes(1, 2), []], 0, HOLD, false).ports, []);
  assert.deepEqual(told([nodes(1, 2, 3), []], 0, HOLD, false).ports, [1, 2, 3]);
});

test('small losses shortly after one another add up, and what went before is held as well', () => {
  const { ports, held } = told([nodes(1, 2, 3, 4, 5), nodes(2, 3, 4, 5), nodes(3, 4, 5), nodes(4, 5)], 3_000);

  assert.deepEqual(ports, [4, 5, 1, 2, 3]);
  assert.deepEqual(held, [1, 2, 3]);
});

test('nodes that are withdrawn one by one are not held', () => {
  const { ports } = told([nodes(1, 2, 3, 4, 5), nodes(2, 3, 4, 5), nodes(3, 4, 5), nodes(4, 5)], 11_000);

  assert.deepEqual(ports, [4, 5]);
});

test('nodes that come back do not count as lost', () => {
  const answers = [nodes(1, 2, 3), nodes(2, 3), nodes(1, 2, 3), nodes(1, 3), nodes(1, 2, 3), nodes(1, 2)];

  assert.deepEqual(told(answers, 100).ports, [1, 2]);
});

test('a held node that is listed again has the parameters of the list', () => {
  const { known, held } = told([nodes(1, 2, 3), [], [node(1, '&weight=5'), node(2)]]);

  assert.deepEqual(held, [3]);
  assert.equal(known.all[0]!.text('weight'), '5');
});

test('while nodes are held, a further loss is not believed either', () => {
  assert.deepEqual(told([nodes(1, 2, 3, 4, 5), nodes(4, 5), nodes(5)], 60_000).held, [1, 2, 3, 4]);
});

test('0 percent believes every loss but that of the last nodes', () => {
  const hold = { ...HOLD, lossPercent: 0 };

  assert.deepEqual(told([nodes(1, 2, 3, 4, 5), nodes(5)], 0, hold).ports, [5]);
  assert.deepEqual(told([nodes(1, 2, 3), []], 0, hold).ports, [1, 2, 3]);
});

test('two nodes of one answer with one address are one, and the first counts', () => {
  const { known } = told([[node(1, '&weight=1'), node(1, '&weight=2'), node(1).with({ protocol: 'motan' })]]);

  assert.deepEqual(known.all.map(String), [node(1, '&weight=1')].map(String));
});

test('a node that is silent for long enough after it was asked is overdue', () => {
  const { known } = told([nodes(1, 2, 3), []]);
  const [first, second, third] = [...known.held.values()];
  first!.askedMs = 1_000;
  second!.askedMs = 1_000;
  second!.answeredMs = 3_000;
  third!.askedMs = null;

  assert.deepEqual(known.overdue(HOLD, 5_999), []);
  assert.deepEqual(known.overdue(HOLD, 6_000), ['10.0.0.1:1']);
  assert.deepEqual(known.overdue(HOLD, 8_000), ['10.0.0.1:1', '10.0.0.1:2']);
});

test('a node that answers is overdue when it was held for long enough, unless that has no end', () => {
  const { known } = told([nodes(1, 2, 3), []]);
  for (const one of known.held.values()) one.askedMs = one.answeredMs = 59_999;

  assert.equal(known.overdue(HOLD, 59_999).length, 0);
  assert.equal(known.overdue(HOLD, 60_000).length, 3);
  assert.equal(known.overdue({ ...HOLD, holdMs: 0 }, 60_000).length, 0);
});

test('an accepted registry is right: nothing is held, and no loss counts against it', () => {
  const { known } = told([nodes(1, 2, 3, 4, 5, 6), nodes(5, 6)]);

  known.accept();
  const afterAccept = known.all.map(({ port }) => port);
  known.take(nodes(6), HOLD, true, at(1));

  assert.deepEqual(afterAccept, [5, 6]);
  assert.deepEqual(known.all, nodes(6));
});
