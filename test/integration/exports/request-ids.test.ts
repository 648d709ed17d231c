/** The request id of a caller that is an agent stands at the end of its metadata and differs in each call. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../support/clock.js';
import { type Frame, reply, request } from '../../support/frames.js';
import { type Scene, scene } from '../../support/plane.js';

const NAMES = { M_p: 'svc.one', M_m: 'hello', M_g: 'g1' };

async function started(made: Scene) {
  const backend = await made.upstream();
  await made.start([], {
    exports: [{ provider: 'motan2', parameters: { proxy: `motan2:${backend.port}` } }],
  });
  const caller = await made.caller(made.exportAddress);
  /** What the backend gets of a call with this metadata. */
  const sent = async (metadata: Record<string, string> | Buffer, id = 7n): Promise<Frame> => {
    caller.send(request({ id, metadata }));
    const [frame, connection] = await backend.expect();
    connection.send(reply(frame.id));
    assert.equal((await caller.next()).id, id);
    return frame;
  };
  return { sent };
}

test('each call keeps its own request id, also when all else is equal', async (t) => {
  const { sent } = await started(await scene(t));

  for (const id of ['1', '9223372036854775807', '-9223372036854775808', '-1', '0', '1795448335279433000']) {
    assert.equal((await sent({ ...NAMES, M_rid: id })).metadata.get('M_rid'), id);
  }
});

test('a call without a request id between others has that of its frame', async (t) => {
  const { sent } = await started(await scene(t));

  assert.equal((await sent({ ...NAMES, M_rid: '55' }, 1n)).metadata.get('M_rid'), '55');
  assert.equal((await sent(NAMES, 2n)).metadata.get('M_rid'), '2');
  assert.equal((await sent({ ...NAMES, M_rid: '56' }, 3n)).metadata.get('M_rid'), '56');
});

test('an id that is no number, or not the last key, stays as it is', async (t) => {
  const { sent } = await started(await scene(t));

  for (const id of ['abc', '007', '+5', '99999999999999999999', '1-2'])
    assert.equal((await sent({ ...NAMES, M_rid: id })).metadata.get('M_rid'), id);
  const first = await sent({ M_rid: '5', ...NAMES, x: '12' });
  assert.deepEqual([first.metadata.get('M_rid'), first.metadata.get('x')], ['5', '12']);
});

test('of two request ids the last one counts', async (t) => {
  const { sent } = await started(await scene(t));
  const block = (id: string): Buffer =>
    Buffer.from(`M_p\nsvc.one\nM_m\nhello\nM_g\ng1\nM_rid\n1\nM_rid\n${id}`);

  assert.equal((await sent(block('2'))).metadata.get('M_rid'), '2');
  assert.equal((await sent(block('3'))).metadata.get('M_rid'), '3');
});

test('the access log tells the id of each call', async (t) => {
  const made = await scene(t);
  const { sent } = await started(made);

  await sent({ ...NAMES, M_rid: '101' });
  await sent({ ...NAMES, M_rid: '102' });
  await until('both lines are written', () => made.accessLog.lineCount === 2);

  const ids = made.accessLog.lines.map((line) => line.split('|')[2]);
  assert.deepEqual(ids, ['101', '102']);
});
