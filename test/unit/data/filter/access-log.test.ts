/** The time of access log lines: what does not depend on calls. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AccessLogWriter } from '../../../../src/data/filter/access-log.js';

/** The beginning of a line written at `wallMs` on a machine in `zone`. */
function timeIn(zone: string, wallMs: number): string {
  const before = process.env.TZ;
  process.env.TZ = zone;
  let line = '';
  const sink = {
    enabled: true,
    write: (chunk: Buffer, _lines: number, release: (chunk: Buffer) => void) => {
      line += chunk.toString('latin1');
      release(chunk);
    },
  };
  try {
    const writer = new AccessLogWriter(sink, { nowMs: () => 0, wallMs: () => wallMs }, false);
    const at = writer.begin(64, 0);
    writer.buffer.write('\n', at);
    writer.end(at + 1);
    writer.flush();
  } finally {
    if (before === undefined) delete process.env.TZ;
    else process.env.TZ = before;
  }
  return line;
}

const WALL_MS = Date.UTC(2026, 10, 23, 15, 38, 35, 498);

test('a line begins with the local time of the machine and its offset', () => {
  assert.equal(timeIn('UTC', WALL_MS), '2026-11-23T15:38:35.498Z\t\n');
  assert.equal(timeIn('Asia/Shanghai', WALL_MS), '2026-11-23T23:38:35.498+0800\t\n');
  assert.equal(timeIn('America/St_Johns', WALL_MS), '2026-11-23T12:08:35.498-0330\t\n');
});
