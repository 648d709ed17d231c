import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  commandKeyOf,
  groupOfName,
  type HealthEntry,
  idOf,
  nodeOf,
  registeredNameOf,
  servicesOfTags,
  tagsOf,
  toHealthEntry,
} from '../../../../../src/control/registry/consul/layout.js';
import { MeshUrl } from '../../../../../src/core/index.js';

const NODE = MeshUrl.parse('motan2://10.0.0.5:9982/com.x.Echo?group=g1&nodeType=service&weight=7');

function entry(fields: Partial<HealthEntry>): HealthEntry {
  return { id: '10.0.0.5:9982-com.x.Echo', tags: [], address: '10.0.0.5', port: 9982, ...fields };
}

test('a node is written as Motan Java writes it', () => {
  assert.equal(registeredNameOf(NODE), 'motanrpc_g1');
  assert.deepEqual(tagsOf(NODE), [
    'protocol_motan2',
    'URL_motan2%3A%2F%2F10.0.0.5%3A9982%2Fcom.x.Echo%3Fgroup%3Dg1%26nodeType%3Dservice%26weight%3D7%26',
  ]);
});

test('an agent is no service of its application', () => {
  const agent = MeshUrl.parse('agent://10.0.0.5:8002/myapp?group=myapp&nodeType=agent');

  assert.equal(registeredNameOf(agent), 'motanagent_myapp');
});

test('an id begins as that of Motan Java, and nodes that differ have ids that differ', () => {
  const others = [
    NODE.with({ group: 'g2' }),
    NODE.with({ protocol: 'motan' }),
    NODE.with({ group: 'g1@motan2:g1' }),
    NODE.with({ path: 'com.x.Echo@motan2:g1', group: 'g1' }),
    NODE.with({ group: '~1' }),
    NODE.with({ group: '@' }),
  ];
  const ids = [NODE, ...others].map(idOf);

  assert.equal(ids[0], '10.0.0.5:9982-com.x.Echo@motan2:g1');
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.every((id) => id.startsWith('10.0.0.5:9982-com.x.Echo') && !id.includes('%')));
});

test('what is written is read again, whatever the parameters hold', () => {
  const odd = NODE.with({
    group: 'g 1&x=ü',
    parameters: new Map([
      ['nodeType', 'service'],
      ['a b', '1+1=2&100%'],
      ['url', 'http://h/?a=b&c=d#e'],
    ]),
  });

  const read = nodeOf(entry({ tags: tagsOf(odd) }), 'other');

  assert.deepEqual(read.toJSON(), odd.toJSON());
});

test('a tag of Motan Java is read: blanks are plus signs, stars and braces escaped', () => {
  const url =
    'motan2%3A%2F%2F10.0.0.9%3A8002%2Fcom.x.Echo%3Fversion%3D1.0%26note%3Da%2Bb%252Bc%2B%257Bd%257D%26group%3Dg1%26';

  const node = nodeOf(entry({ tags: ['protocol_motan2', `URL_${url}`] }), 'g1');

  assert.equal(node.toText(), 'motan2://10.0.0.9:8002/com.x.Echo?group=g1&note=a b+c {d}&version=1.0');
});

test('a url that somebody wrote by hand is taken as it stands', () => {
  const node = nodeOf(entry({ tags: [`URL_${NODE.toText()}`] }), 'g1');

  assert.equal(node.toText(), NODE.toText());
});

test('an entry without a url is read from its other fields, as Motan Java does', () => {
  const node = nodeOf(entry({ tags: ['protocol_motan'] }), 'g1');

  assert.equal(node.toText(), 'motan://10.0.0.5:9982/com.x.Echo?group=g1&nodeType=service');
});

const NO_NODES: Record<string, [Partial<HealthEntry>, RegExp]> = {
  'an escape that is none': [{ tags: ['URL_%zz'] }, /not validly escaped/],
  'no url': [{ tags: ['URL_hello'] }, /not a url/],
  'no host': [{ tags: ['URL_motan2%3A%2F%2F%3A1%2Fa'] }, /no host/],
  'no port': [{ tags: ['URL_motan2%3A%2F%2Fh%2Fa'] }, /no port/],
  'a port that is none': [{ tags: ['URL_motan2%3A%2F%2Fh%3A65536%2Fa'] }, /no port/],
  'no service': [{ tags: ['URL_motan2%3A%2F%2Fh%3A1'] }, /no service/],
  'a url without an end': [{ tags: [`URL_${'a'.repeat(65 * 1024)}`] }, /expected at most 65536/],
  'neither url nor protocol': [{}, /neither/],
  'neither url nor a path in the id': [{ tags: ['protocol_motan2'], id: 'web' }, /neither/],
};

for (const [what, [fields, reason]] of Object.entries(NO_NODES)) {
  test(`an entry with ${what} is no node`, () => {
    assert.throws(() => nodeOf(entry(fields), 'g1'), reason);
  });
}

test('an entry without an address of its own has that of its Consul node', () => {
  const Service = { ID: 'a', Tags: ['x', 7], Address: '', Port: 1 };

  assert.deepEqual(toHealthEntry({ Node: { Address: '10.0.0.1' }, Service }), {
    id: 'a',
    tags: ['x'],
    address: '10.0.0.1',
    port: 1,
  });
});

test('what is no entry is refused', () => {
  for (const value of [{}, { Service: null }, { Service: [] }, { Service: {}, Node: 'x' }])
    assert.throws(() => toHealthEntry(value), /no entry of a service/);
});

test('commands stand at the keys that motan-manager writes, and those of agents beside them', () => {
  assert.equal(commandKeyOf({ kind: 'service', group: 'g1' }), 'motan/command/motanrpc_g1');
  assert.equal(commandKeyOf({ kind: 'agent', application: 'shop' }), 'motan/command/agent/shop');
  for (const group of ['a%2fb', 'a/../b', 'a//b', 'a\nb'])
    assert.throws(() => commandKeyOf({ kind: 'service', group }), /cannot be a key of Consul/, group);
});

test('a copy has an id of its own beside the node itself', () => {
  const copy = NODE.withParameter('bridgedFrom', 'zookeeper-1');

  assert.equal(idOf(copy), `${idOf(NODE)}~czookeeper-1`);
  assert.notEqual(idOf(copy), idOf(NODE.with({ group: 'g1~czookeeper-1' })));
});

test('the services of a group are those that the tags of its entries name', () => {
  const tags = [
    ...tagsOf(NODE),
    ...tagsOf(NODE.with({ path: 'com.x.B' })),
    ...tagsOf(NODE),
    'URL_%',
    'other',
  ];

  assert.deepEqual(servicesOfTags('g1', tags), [
    { group: 'g1', path: 'com.x.Echo' },
    { group: 'g1', path: 'com.x.B' },
  ]);
  assert.equal(servicesOfTags('g1', ['protocol_motan2']), null);
  assert.deepEqual(['motanrpc_g1', 'motanagent_shop', 'web'].map(groupOfName), ['g1', null, null]);
});
