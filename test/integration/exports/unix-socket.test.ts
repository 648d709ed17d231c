/** An export port that is a unix socket: read from the first service of the port, as in the peers. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { reply, request } from '../../support/frames.js';
import { scene } from '../../support/plane.js';

test('services are called over a unix socket, to a backend on another one', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'peony-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const made = await scene(t, { exportListener: { unixSock: join(folder, 'export.sock') } });
  const backend = await made.upstream(null, join(folder, 'backend.sock'));
  const parameters = { proxy: 'motan2', 'proxy.host': `unix://${join(folder, 'backend.sock')}` };
  await made.start([], { exports: [{ provider: 'motan2', parameters }] });
  const caller = await made.caller(made.exportAddress);

  caller.send(request({ metadata: { M_p: 'svc.one', M_m: 'hello', M_g: 'g1' } }));
  const [frame, connection] = await backend.expect();
  connection.send(reply(frame.id));
  const answer = await caller.next();

  assert.equal(frame.metadata.get('host'), '@');
  assert.equal(answer.versionStatus & 7, 0);
  assert.match(made.exports[0]!.backend.backend, /backend\.sock/);
  await made.drain(1000);
  assert.ok(!existsSync(join(folder, 'export.sock')), 'the socket is removed');
});
