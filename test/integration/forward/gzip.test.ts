/** Bodies that a refer with `mingzSize` zips towards its nodes: small ones at once, large ones off the loop. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { exceptionOf, GZIP, reply, request } from '../../support/frames.js';
import { scene } from '../../support/plane.js';

const ZIPPING = { mingzSize: '100', requestTimeout: '2000' };

test('bodies over mingzSize reach the node zipped, whatever their size', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream();
  await made.start([{ parameters: ZIPPING, nodes: [upstream.port] }]);
  const caller = await made.caller();
  const bodies = [Buffer.alloc(100, 'a'), Buffer.alloc(101, 'b'), Buffer.alloc(3_000_000, 'c')];

  for (const [index, body] of bodies.entries()) {
    caller.send(request({ id: BigInt(index), body }));
    const [frame, connection] = await upstream.expect();
    connection.send(reply(frame.id));
    await caller.next();

    const isZipped = (frame.type & GZIP) !== 0;
    assert.equal(isZipped, body.length > 100);
    assert.ok((isZipped ? gunzipSync(frame.body) : frame.body).equals(body));
  }
});

test('a zipped call that is tried again is zipped once', async (t) => {
  const made = await scene(t);
  let tries = 0;
  const upstream = await made.upstream((frame, connection) => {
    tries += 1;
    if (tries === 1) connection.close();
    else connection.send(reply(frame.id, { body: gunzipSync(frame.body) }));
  });
  await made.start([{ parameters: { ...ZIPPING, retries: '1' }, nodes: [upstream.port] }]);
  const caller = await made.caller();
  const body = Buffer.alloc(1_000_000, 'z');

  caller.send(request({ body }));

  assert.ok((await caller.next()).body.equals(body));
});

test('a deadline that passes while the body is zipped is an exception, and nothing is sent', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream();
  await made.start([{ parameters: { mingzSize: '100', requestTimeout: '1' }, nodes: [upstream.port] }]);
  const caller = await made.caller();

  caller.send(request({ body: Buffer.alloc(9_000_000, 'x') }));

  assert.equal(exceptionOf(await caller.next()).errcode, 400);
  assert.equal(made.listener.failed, 1);
});
