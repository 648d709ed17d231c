import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WatchTable } from '../../../../../src/control/registry/zookeeper/watch-table.js';

test('a watch fires once, for the events of its kind', () => {
  const table = new WatchTable();
  const fired: string[] = [];
  table.add('children', '/a', () => fired.push('children'));
  table.add('data', '/a', () => fired.push('data'));
  table.add('exists', '/a', () => fired.push('exists'));

  table.fire({ type: 'children', path: '/b' });
  table.fire({ type: 'other', path: '/a' });
  table.fire({ type: 'children', path: '/a' });
  table.fire({ type: 'children', path: '/a' });
  table.fire({ type: 'created', path: '/a' });
  table.fire({ type: 'data', path: '/a' });

  assert.deepEqual(fired, ['children', 'exists', 'data']);
});

test('a watch that stands for several kinds fires once on a deletion', () => {
  const table = new WatchTable();
  let count = 0;
  const onWatch = (): void => {
    count += 1;
  };
  table.add('children', '/a', onWatch);
  table.add('exists', '/a', onWatch);

  table.fire({ type: 'deleted', path: '/a' });

  assert.equal(count, 1);
  assert.deepEqual([...table.pieces(100)], []);
});

test('a watch may be asked for again while it fires', () => {
  const table = new WatchTable();
  let count = 0;
  const onWatch = (): void => {
    count += 1;
    table.add('data', '/a', onWatch);
  };
  table.add('data', '/a', onWatch);

  table.fire({ type: 'data', path: '/a' });
  table.fire({ type: 'data', path: '/a' });

  assert.equal(count, 2);
});

test('a removed watch leaves those of others', () => {
  const table = new WatchTable();
  const fired: string[] = [];
  const first = (): void => void fired.push('first');
  table.add('data', '/a', first);
  table.add('data', '/a', () => fired.push('second'));

  table.remove('data', '/a', first);
  table.remove('data', '/b', first);
  table.fire({ type: 'data', path: '/a' });

  assert.deepEqual(fired, ['second']);
});

test('all paths are in pieces that fit, each once', () => {
  const table = new WatchTable();
  for (let index = 10; index < 60; index += 1) table.add('data', `/data/${index}`, () => {});
  table.add('children', '/children', () => {});
  table.add('exists', '/exists', () => {});

  const pieces = [...table.pieces(100)];
  const bytes = pieces.map(({ data, exists, children }) =>
    [...data, ...exists, ...children].reduce((sum, path) => sum + 4 + path.length, 0),
  );

  assert.ok(Math.max(...bytes) <= 100);
  assert.equal(new Set(pieces.flatMap(({ data }) => data)).size, 50);
  assert.deepEqual(
    pieces.flatMap(({ exists }) => exists),
    ['/exists'],
  );
  assert.deepEqual(
    pieces.flatMap(({ children }) => children),
    ['/children'],
  );
  table.clear();
  assert.deepEqual([...table.pieces(100)], []);
});
