import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isUsable } from '../../../../src/control/discovery/usable-node.js';
import { MeshUrl } from '../../../../src/core/index.js';

const CASES: readonly (readonly [claim: string, refer: string, node: string, expected: boolean])[] = [
  ['equal protocols fit', 'motan2://:0/E?group=g', 'motan2://h:1/E?group=g', true],
  ['a motan refer takes a motan2 node', 'motan://:0/E?group=g', 'motan2://h:1/E?group=g', true],
  ['a motan2 refer takes no motan node', 'motan2://:0/E?group=g', 'motan://h:1/E?group=g', false],
  ['every refer takes a local node', 'motan2://:0/E?group=g', 'local://h:1/E?group=g', true],
  ['a weight rule is no node', 'motan2://:0/E?group=g', 'rule://h:1/E?group=g', false],
  ['paths must be equal', 'motan2://:0/E?group=g', 'motan2://h:1/F?group=g', false],
  ['groups need not be equal', 'motan2://:0/E?group=g', 'motan2://h:1/E?group=other', true],
  [
    'serializations must be equal',
    'motan://:0/E?serialization=hessian2',
    'motan://h:1/E?serialization=simple',
    false,
  ],
  ['an absent serialization is none', 'motan://:0/E?serialization=hessian2', 'motan://h:1/E?group=g', false],
  [
    'a motan2 node takes any serialization',
    'motan2://:0/E?serialization=pb',
    'motan2://h:1/E?serialization=simple',
    true,
  ],
  ['equal versions fit', 'motan2://:0/E?version=2.0', 'motan2://h:1/E?version=2.0', true],
  ['versions must be equal', 'motan2://:0/E?version=2.0', 'motan2://h:1/E?version=1.0', false],
  ['1.0 and 0.1 are not equal', 'motan2://:0/E?version=1.0', 'motan2://h:1/E?version=0.1', false],
  ['an absent version counts as 1.0', 'motan2://:0/E?version=1.0', 'motan2://h:1/E?group=g', true],
  ['an absent version counts as 0.1', 'motan2://:0/E?group=g', 'motan2://h:1/E?version=0.1', true],
  ['an absent version does not count as 2.0', 'motan2://:0/E?group=g', 'motan2://h:1/E?version=2.0', false],
  ['two absent versions are equal', 'motan2://:0/E?group=g', 'motan2://h:1/E?group=g', true],
];

for (const [claim, refer, node, expected] of CASES) {
  test(`usable nodes: ${claim}`, () => {
    assert.equal(isUsable(MeshUrl.parse(refer), MeshUrl.parse(node)), expected);
  });
}
