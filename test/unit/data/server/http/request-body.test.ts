import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BodyMemory, RequestBody } from '../../../../../src/data/server/http/request-body.js';

/** Grants up to `limit` bytes. */
class Budget implements BodyMemory {
  counted = 0;
  readonly #limit: number;

  constructor(limit = Number.MAX_SAFE_INTEGER) {
    this.#limit = limit;
  }

  mayGather(bytes: number): boolean {
    if (this.counted + bytes > this.#limit) return false;
    this.counted += bytes;
    return true;
  }
}

function gather(body: RequestBody, text: string, announced = -1): boolean {
  const piece = Buffer.from(`<${text}>`);
  return body.gather(piece, 1, piece.length - 1, 8, announced);
}

function textOf(body: RequestBody): string {
  return body.bytes.toString('latin1', body.start, body.end);
}

test('gathers pieces behind the headroom', () => {
  const body = new RequestBody(new Budget());

  for (const piece of ['one ', 'two ', 'x'.repeat(40_000)]) gather(body, piece);

  assert.equal(textOf(body), `one two ${'x'.repeat(40_000)}`);
  assert.equal(body.start, 8);
  assert.equal(body.isOwned, true);
});

test('takes no more memory than twice what has come, however much is announced', () => {
  const budget = new Budget();
  const body = new RequestBody(budget);

  gather(body, 'x', 1_000_000_000);

  assert.ok(budget.counted <= 16 * 1024);
});

test('takes exactly what is announced when that is little', () => {
  const budget = new Budget();
  const body = new RequestBody(budget);

  gather(body, 'abc', 5);
  gather(body, 'de', 5);

  assert.equal(budget.counted, 13);
  assert.equal(textOf(body), 'abcde');
});

test('says when there is no memory, and gives all of it back when released', () => {
  const budget = new Budget(20_000);
  const body = new RequestBody(budget);

  assert.equal(gather(body, 'x'), true);
  assert.equal(gather(body, 'x'.repeat(20_000)), false);
  body.release();

  assert.equal(budget.counted, 0);
  assert.equal(body.bytes.length, 0);
});

test('counts a copy in place of what it was', () => {
  const budget = new Budget();
  const body = new RequestBody(budget);
  const read = Buffer.from('..view..');

  body.lookAt(read, 2, 6, null);
  const wasOwned = body.isOwned;
  body.replace(Buffer.from('##view'), 2);

  assert.equal(wasOwned, false);
  assert.equal(body.isOwned, true);
  assert.equal(textOf(body), 'view');
  assert.equal(budget.counted, 6);
});
