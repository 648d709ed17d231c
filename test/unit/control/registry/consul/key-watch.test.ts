import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import {
  ConsulError,
  type KeyAnswer,
  type KeyQuery,
} from '../../../../../src/control/registry/consul/consul-api.js';
import { KeyWatch } from '../../../../../src/control/registry/consul/key-watch.js';
import { COMMAND_BYTES_MAX, silentLogger } from '../../../../../src/core/index.js';
import { CommandWatch } from '../../../../support/registry-contract.js';

/** Asks this; what it is asked is kept. */
function watching(t: TestContext, answer: (query: KeyQuery, count: number) => KeyAnswer | Error) {
  const queries: KeyQuery[] = [];
  const listener = new CommandWatch();
  const watch = new KeyWatch({
    key: 'motan/command/motanrpc_g1',
    listener,
    ask: async (query, signal) => {
      queries.push(query);
      const given = answer(query, queries.length);
      if (given instanceof Error) throw given;
      if (query.index !== given.index || query.index === 0) return given;
      // Nothing changes until it is given up.
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      throw new ConsulError('cancelled', 'cancelled');
    },
    isUp: () => true,
    untilUp: async () => {},
    waitMs: () => 30_000,
    random: () => 0,
    logger: silentLogger,
    onClosed: () => {},
  });
  t.after(() => watch.close());
  return { queries, listener, watch };
}

function answered(index: number, text: string | null): KeyAnswer {
  return { index, value: text === null ? null : Buffer.from(text), hasLeader: true };
}

async function turns(count: number): Promise<void> {
  for (let made = 0; made < count; made += 1) await turn();
}

test('after the first answer it is waited for the next index', async (t) => {
  const { queries, listener } = watching(t, () => answered(7, 'text'));

  await listener.untilText('text');
  await listener.until(() => true);
  while (queries.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));

  assert.deepEqual(
    queries.map(({ index }) => index),
    [0, 7],
  );
});

test('answers without news, as of a store that others write, are not asked for all the time', async (t) => {
  const { queries, listener } = watching(t, (_query, count) => answered(count, null));

  await listener.untilText(null);
  await turns(500);

  assert.ok(queries.length <= 3, `${queries.length} questions`);
});

test('an index that is missing or goes back is asked for anew, and not all the time', async (t) => {
  const { queries, listener } = watching(t, () => answered(0, 'text'));

  await listener.untilText('text');
  await turns(500);

  assert.ok(queries.length <= 2, `${queries.length} questions`);
  assert.ok(queries.every(({ index }) => index === 0));
});

test('a value that is too long is trouble, and the next one that is not ends it', async (t) => {
  const { listener } = watching(t, (_query, count) =>
    answered(count, count === 1 ? 'x'.repeat(COMMAND_BYTES_MAX + 1) : 'short'),
  );

  await listener.untilText('short');

  assert.equal(listener.troubles.length, 1);
  assert.match(listener.troubles[0]!, /over 1048576 bytes/);
});

test('without a leader any server is asked, and a refusal is told with a pause that grows', async (t) => {
  const lost = watching(t, (query) =>
    query.isStale ? answered(3, 'stale') : new ConsulError('answer', '500', 500),
  );
  const refused = watching(t, () => new ConsulError('answer', '403 Permission denied', 403));

  await lost.listener.untilText('stale');
  await refused.listener.until(() => refused.listener.troubles.length > 0);
  await turns(500);

  assert.deepEqual(lost.listener.troubles, []);
  assert.ok(refused.queries.length <= 2, `${refused.queries.length} questions`);
  assert.match(refused.listener.troubles[0]!, /motanrpc_g1 cannot be read: 403/);
});

test('when the agent answers again, all is told anew', async (t) => {
  const { queries, listener, watch } = watching(t, () => answered(7, 'text'));
  let told = 0;
  const onCommand = listener.onCommand.bind(listener);
  listener.onCommand = (text) => {
    told += 1;
    onCommand(text);
  };
  await listener.untilText('text');

  watch.onUp();
  await listener.until(() => told > 1 || queries.length > 20);

  assert.equal(told, 2);
});
