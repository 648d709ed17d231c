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

test('trouble with looking is over when a look went well', async () => {
  const driver = new FakeDriver();
  const loop = new AnnouncementLoop({
    driver,
    clock: realClock,
    random: () => 0,
    logger: new RecordingLogger(),
    lookEveryMs: 1,
  });
  let trouble: string | null = 'the server is busy';
  driver.look = async () => {
    if (trouble !== null) throw new Error(trouble);
    return 'available';
  };
  loop.onUp(true);
  loop.want(MeshUrl.parse('motan2://10.0.0.1:8001/com.x.Echo?group=g1'), 'available');

  await until('it is told', () => /cannot be looked at: the server is busy$/.test(loop.lastError ?? ''));
  trouble = null;
  await until('it is over', () => loop.lastError === null);

  loop.close();
});

test('a driver that can tell of all nodes at once is asked for all in every round', async () => {
  const driver: FakeDriver & { looksMax?: number } = new FakeDriver();
  driver.looksMax = Number.POSITIVE_INFINITY;
  const looked = new Set<string>();
  driver.look = async ({ identity }) => {
    looked.add(identity);
    return 'available';
  };
  const loop = new AnnouncementLoop({
    driver,
    clock: realClock,
    random: () => 0,
    logger: new RecordingLogger(),
    lookEveryMs: 60_000,
  });
  for (let port = 1; port <= 200; port += 1)
    loop.want(MeshUrl.parse(`motan2://10.0.0.1:${port}/com.x.Echo?group=g1`), 'available');
  loop.onUp(true);
  await until('all are announced', () => driver.steps.length === 200);

  loop.onUp(false); // looks at once

  await until('all are looked at', () => looked.size === 200);
  loop.close();
});
