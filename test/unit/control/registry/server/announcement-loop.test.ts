import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnnouncementLoop } from '../../../../../src/control/registry/server/announcement-loop.js';
import { MeshUrl } from '../../../../../src/core/index.js';
import { until } from '../../../../support/clock.js';
import { FakeDriver } from '../../../../support/fake-driver.js';
import { RecordingLogger, realClock } from '../../../../support/registry-deps.js';

test('a step that the end of the loop cut off is no failure', async () => {
  const driver = new FakeDriver();
  const logger = new RecordingLogger();
  const loop = new AnnouncementLoop({
    driver,
    clock: realClock,
    random: () => 0,
    logger,
    lookEveryMs: 60_000,
  });
  let cutOff = (): void => {};
  let isOver = false;
  driver.put = async () => {
    try {
      await new Promise((_resolve, reject) => {
        cutOff = () => reject(new Error('cancelled'));
      });
    } finally {
      isOver = true;
    }
  };
  loop.onUp(true);
  loop.want(MeshUrl.parse('motan2://10.0.0.1:8001/com.x.Echo?group=g1'), 'available');

  loop.close();
  cutOff();
  await until('the step is over', () => isOver);
  await new Promise((resolve) => setImmediate(resolve));

  assert.equal(loop.lastError, null);
  assert.deepEqual(logger.lines, []);
});
