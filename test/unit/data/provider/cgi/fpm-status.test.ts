import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../../../../src/core/index.js';
import {
  FpmStatusWatch,
  parseFpmStatus,
  STATUS_INTERVAL_MS,
} from '../../../../../src/data/provider/cgi/fpm-status.js';

const PAGE = {
  pool: 'www',
  'process manager': 'static',
  'start time': 1795732429,
  'accepted conn': 5,
  'listen queue': 0,
  'active processes': 2,
  'total processes': 4,
  'max active processes': 3,
  'max children reached': 0,
  'slow requests': 1,
};

function childrenOf(changes: object): number | null {
  return parseFpmStatus(Buffer.from(JSON.stringify({ ...PAGE, ...changes })))?.childrenMax ?? null;
}

test('a static pool has its children, a dynamic one as many as there are now', () => {
  assert.equal(childrenOf({}), 4);
  assert.equal(childrenOf({ 'process manager': 'dynamic' }), 4);
});

test('an ondemand pool may have twice as many until it has been at its limit', () => {
  assert.equal(childrenOf({ 'process manager': 'ondemand', 'total processes': 1 }), 2);
  assert.equal(childrenOf({ 'process manager': 'ondemand', 'max children reached': 1 }), 4);
  const shrunk = { 'process manager': 'ondemand', 'max children reached': 2, 'total processes': 1 };
  assert.equal(childrenOf({ ...shrunk, 'max active processes': 6 }), 6);
});

test('what operators look at is kept under its own name, and nothing else', () => {
  const { details } = parseFpmStatus(Buffer.from(JSON.stringify(PAGE)))!;

  assert.equal(details['slow requests'], 1);
  assert.equal('start time' in details, false);
});

test('what is no status page is none', () => {
  const pages = [
    '',
    'File not found.',
    '[]',
    'null',
    '{}',
    '{"total processes":"4"}',
    '{"total processes":0}',
  ];
  pages.push('{"total processes":1.5}', '{"total processes":1e9}', '{"__proto__":{"total processes":4}}');
  for (const page of pages) assert.equal(parseFpmStatus(Buffer.from(page)), null, page);
});

test('the page is asked for when it is due, one at a time, and later in front of calls that wait', () => {
  const learnt: (number | null)[] = [];
  const watch = new FpmStatusWatch('/status', silentLogger, (count) => learnt.push(count));
  const head = { status: 200, fields: [], dropped: 0 };

  const first = watch.next(0, false)!;
  assert.equal(watch.next(0, false), null, 'a second one while the first is on its way');
  const body = Buffer.from(JSON.stringify(PAGE));
  first.onAnswer({ head, pieces: [body], bodyBytes: body.length });

  assert.deepEqual(learnt, [4]);
  assert.equal(watch.next(STATUS_INTERVAL_MS - 1, false), null);
  assert.equal(watch.next(STATUS_INTERVAL_MS, true), null);
  const second = watch.next(2 * STATUS_INTERVAL_MS, true)!;
  second.onTrouble({ code: 'E_BACKEND_TIMEOUT', message: 'late' });
  assert.deepEqual(learnt, [4, 4], 'what was learnt is kept');
  assert.equal(watch.trouble, 'late');
  watch.stop();
  assert.equal(watch.next(10 * STATUS_INTERVAL_MS, false), null);
});
