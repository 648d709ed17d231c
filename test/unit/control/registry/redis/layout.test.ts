import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  CommandPlace,
  entryOfText,
  isCopyText,
  isName,
  nameOf,
  ownerOfText,
  printable,
  ServicePlace,
  serviceOfNodesKey,
  textOfEntry,
  VALUE_BYTES_MAX,
} from '../../../../../src/control/registry/redis/layout.js';
import { MeshUrl } from '../../../../../src/core/index.js';

const NODE = MeshUrl.parse('motan2://10.0.0.5:9982/com.x.Echo?group=g1&weight=2');
const NAME = 'motan2://10.0.0.5:9982';
const PLACE = new ServicePlace('peony', NODE);

function placeOf(group: string, path: string): ServicePlace {
  return new ServicePlace('p', new MeshUrl({ group, path }));
}

/** What Redis takes for the slot: the text between the first brace and the next closing one. */
function slotTextOf(key: string): string {
  return /\{([^}]+)\}/.exec(key)?.[1] ?? key;
}

test('keys and channel of a service are as documented', () => {
  assert.equal(PLACE.nodesKey, 'peony:{g1/com.x.Echo}:nodes');
  assert.equal(PLACE.nodeKey(nameOf(NODE)), 'peony:{g1/com.x.Echo}:node:motan2://10.0.0.5:9982');
  assert.equal(PLACE.channel, 'peony:{g1/com.x.Echo}:changed');
});

test('all of one service is in one slot, and two services never share a key', () => {
  const text = fc.string({ unit: 'binary', maxLength: 8 });
  fc.assert(
    fc.property(text, text, text, text, (group, path, otherGroup, otherPath) => {
      const [one, other] = [placeOf(group, path), placeOf(otherGroup, otherPath)];
      assert.equal(`{${slotTextOf(one.nodesKey)}}`, one.tag);
      assert.equal(slotTextOf(one.nodeKey('motan2://{h}:1')), slotTextOf(one.nodesKey));
      assert.equal(one.tag === other.tag, group === otherGroup && path === otherPath);
    }),
  );
});

test('an entry is read as it was written, in the JSON form where the text would lose something', () => {
  for (const node of [NODE, NODE.withParameter('odd', 'a&b')]) {
    const entry = { node, availability: 'unavailable', owner: 'me' } as const;

    const text = textOfEntry(entry);

    assert.deepEqual(entryOfText(text, NAME, PLACE), entry);
    assert.equal(ownerOfText(text), 'me');
  }
});

test('an entry of an operator needs a url only', () => {
  const { availability, owner } = entryOfText(JSON.stringify({ url: NODE.toText() }), NAME, PLACE);

  assert.deepEqual([availability, owner], ['available', null]);
});

test('a node on a unix socket is listed', () => {
  const node = NODE.with({ host: 'unix:///run/a.sock', port: 0 });
  const text = textOfEntry({ node, availability: 'available', owner: null });

  assert.equal(entryOfText(text, nameOf(node), PLACE).node.host, 'unix:///run/a.sock');
});

for (const [what, text, reason] of [
  ['no JSON', 'motan2://10.0.0.5:9982/com.x.Echo?group=g1', /^Error: no JSON$/],
  ['no object', '["a"]', /no JSON object/],
  ['no url', '{}', /url must be a JSON object/],
  ['a url without a scheme', '{"url":"10.0.0.5"}', /not a url/],
  ['another service', '{"url":"motan2://10.0.0.5:9982/com.x.Other?group=g1"}', /"g1\/com\.x\.Other"/],
  ['another group', '{"url":"motan2://10.0.0.5:9982/com.x.Echo?group=g2"}', /"g2\/com\.x\.Echo"/],
  ['another address', '{"url":"motan2://10.0.0.6:9982/com.x.Echo?group=g1"}', /10\.0\.0\.6/],
  ['a strange availability', `{"url":"${NODE.toText()}","availability":1}`, /availability is "1"/],
  ['a strange owner', `{"url":"${NODE.toText()}","owner":1}`, /owner is no text/],
  ['too much', `{"url":"${NODE.toText()}","x":"${'x'.repeat(VALUE_BYTES_MAX)}"}`, /over 16384 bytes/],
] as const) {
  test(`an entry with ${what} is refused with the reason`, () => {
    assert.throws(() => entryOfText(text, NAME, PLACE), reason);
  });
}

test('an entry without a port is refused', () => {
  const node = NODE.with({ port: 0 });
  const text = textOfEntry({ node, availability: 'available', owner: null });

  assert.throws(() => entryOfText(text, nameOf(node), PLACE), /no host or no port/);
});

test('whatever stands in a value is an entry or a reason, and has an owner or none', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      assert.equal(typeof (ownerOfText(text) ?? ''), 'string');
      assert.throws(() => entryOfText(text, NAME, PLACE), Error);
    }),
  );
});

test('what is too big is not written', () => {
  const big = NODE.withParameter('x', 'x'.repeat(VALUE_BYTES_MAX));

  assert.throws(() => textOfEntry({ node: big, availability: 'available', owner: null }), /cannot be listed/);
  assert.throws(() => nameOf(NODE.with({ host: 'h'.repeat(600) })), /cannot be listed/);
  assert.deepEqual([isName(''), isName('a'), isName('a'.repeat(513))], [false, true, false]);
});

test('what is shown is short and in one line', () => {
  assert.equal(printable('a\n"b'), '"a\\n\\"b"');
  assert.ok(printable('x'.repeat(10_000)).length < 250);
});

test('keys and channels of commands are as documented, and no group has those of an application', () => {
  const ofGroup = new CommandPlace('peony', { kind: 'service', group: 'g1' });
  const ofAgents = new CommandPlace('peony', { kind: 'agent', application: 'shop' });
  const like = new CommandPlace('peony', { kind: 'service', group: 'agent/shop' });

  assert.deepEqual([ofGroup.key, ofGroup.channel], ['peony:{g1}:command', 'peony:{g1}:command:changed']);
  assert.equal(ofAgents.key, 'peony:{agent/shop}:command');
  assert.equal(like.key, 'peony:{agent%2Fshop}:command');
});

test('the key of a set of names tells its service, whatever that is called', () => {
  const name = fc.string({ unit: 'grapheme', maxLength: 40 });
  const property = fc.property(name, name, (group, path) => {
    const key = new ServicePlace('peony', new MeshUrl({ group, path })).nodesKey;
    assert.deepEqual(serviceOfNodesKey('peony', key), { group, path });
  });

  fc.assert(property, { numRuns: 500 });
  for (const key of ['peony:{g1}:nodes', 'peony:{a/b/c}:nodes', 'peony:{%/b}:nodes', 'peony:x:nodes'])
    assert.equal(serviceOfNodesKey('peony', key), null, key);
});

test('a copy is told from the node itself, and from what makes no sense', () => {
  const node = NODE.withParameter('bridgedFrom', 'zookeeper-1');
  const copy = textOfEntry({ node, availability: 'available', owner: 'a' });
  const own = textOfEntry({ node: NODE, availability: 'available', owner: 'a' });

  assert.deepEqual([copy, own, '', '{}', 'null'].map(isCopyText), [true, false, false, false, false]);
});
