/** What a real pool of PHP-FPM does to calls when it is full, recycles, loses or restarts its children; and what we do to it. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Reply } from '../../../src/core/index.js';
import { CgiScene, httpCall, httpOf, textOf } from '../../support/cgi-provider.js';
import { realClock } from '../../support/clock.js';
import { PhpFpm, type PhpFpmOptions, phpFpmPeer } from '../../support/php-fpm.js';
import { eventually, peerTest } from '../support.js';
import { SCRIPTS } from './scripts.js';

const WITHIN_MS = 10_000;

async function poolOf(t: TestContext, options: Partial<PhpFpmOptions> = {}): Promise<PhpFpm> {
  const fpm = await PhpFpm.start({ maxChildren: 2, scripts: SCRIPTS, ...options });
  t.after(() => fpm.stop());
  return fpm;
}

function sceneOf(
  t: TestContext,
  fpm: PhpFpm,
  script: string,
  parameters: Record<string, string> = {},
): CgiScene {
  const scene = new CgiScene({ ...fpm.parameters(script), ...parameters });
  t.after(() => scene.end());
  return scene;
}

/** Looks at the pool all the time. */
class Watch {
  activeMax = 0;
  listenQueueMax = 0;
  looks = 0;
  #isOver = false;
  readonly #looking: Promise<void>;

  constructor(fpm: PhpFpm) {
    this.#looking = this.#look(fpm);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#looking;
  }

  async #look(fpm: PhpFpm): Promise<void> {
    while (!this.#isOver) {
      const page = await fpm.status();
      this.looks += 1;
      this.activeMax = Math.max(this.activeMax, page['active processes']);
      this.listenQueueMax = Math.max(this.listenQueueMax, page['listen queue']);
    }
  }
}

function count(replies: readonly Reply[], code: string | null): number {
  return replies.filter((reply) => (reply.failure?.code ?? null) === code).length;
}

async function accepted(fpm: PhpFpm): Promise<number> {
  return (await fpm.status())['accepted conn'];
}

for (const listen of ['tcp', 'unix'] as const) {
  peerTest(
    `200 callers of a slow script and two children, ${listen}: a bounded queue and fast refusals`,
    [phpFpmPeer],
    async (t) => {
      const fpm = await poolOf(t, { listen });
      const scene = sceneOf(t, fpm, 'sleep.php', {
        maxChildren: '2',
        queueMax: '20',
        queueTimeout: '1500',
        requestTimeout: '4000',
      });
      const before = await accepted(fpm);
      const watch = new Watch(fpm);
      const refusedAfter: number[] = [];
      const startMs = realClock.nowMs();

      const replies = await Promise.all(
        Array.from({ length: 200 }, async () => {
          const reply = await scene.call({ metadata: { ms: '300' } });
          if (reply.failure !== null) refusedAfter.push(realClock.nowMs() - startMs);
          return reply;
        }),
      );

      await watch.end();
      const served = count(replies, null);
      assert.ok(served >= 6 && served <= 22, `${served} were served`);
      assert.equal(count(replies, 'E_BACKEND_BUSY'), 200 - served);
      refusedAfter.sort((a, b) => a - b);
      assert.ok(refusedAfter[177]! < 200, `the refusals beyond the queue took ${refusedAfter[177]} ms`);
      assert.ok(refusedAfter.at(-1)! < 2500, `the last refusal came after ${refusedAfter.at(-1)} ms`);
      assert.equal((await accepted(fpm)) - before, served);
      assert.ok(watch.looks > 20);
      assert.ok(watch.activeMax <= 2);
      assert.ok(watch.listenQueueMax <= 1, `${watch.listenQueueMax} connections waited at FPM`);
      assert.equal(scene.provider.report().refused, 200 - served);
    },
  );
}

peerTest('callers that give up leave no backlog at the pool', [phpFpmPeer], async (t) => {
  const fpm = await poolOf(t);
  const parameters = { maxChildren: '2', queueMax: '50', queueTimeout: '100', requestTimeout: '150' };
  const scene = sceneOf(t, fpm, 'sleep.php', parameters);
  const before = await accepted(fpm);
  const watch = new Watch(fpm);

  // Callers come for two seconds, and the scripts take longer than any of them waits.
  const replies: Promise<Reply>[] = [];
  for (let round = 0; round < 20; round += 1) {
    for (let call = 0; call < 10; call += 1) replies.push(scene.call({ metadata: { ms: '700' } }));
    await replies.at(-1);
  }
  const all = await Promise.all(replies);

  await watch.end();
  const timedOut = count(all, 'E_BACKEND_TIMEOUT');
  assert.equal(count(all, 'E_BACKEND_BUSY') + timedOut, 200);
  assert.equal((await accepted(fpm)) - before, timedOut);
  assert.ok(timedOut <= 10, `${timedOut} calls were put to two children that take 700 ms each`);
  assert.ok(watch.listenQueueMax <= 1, `${watch.listenQueueMax} connections waited at FPM`);
  await eventually('the children are free', WITHIN_MS, async () => scene.provider.report().connections === 0);
  assert.equal((await scene.call({ metadata: { ms: '0' } })).failure, null);
});

peerTest(
  'a full pool refuses HTTP callers with 503 and Retry-After, and late scripts with 504',
  [phpFpmPeer],
  async (t) => {
    const fpm = await poolOf(t, { maxChildren: 1 });
    const scene = sceneOf(t, fpm, 'sleep.php', { maxChildren: '1', queueMax: '0', requestTimeout: '200' });
    const slow = scene.call(httpCall('GET / HTTP/1.1\r\n\r\n', '', { ms: '600' }));

    const refused = httpOf(await scene.call(httpCall('GET / HTTP/1.1\r\n\r\n')));

    assert.match(refused.block, /^HTTP\/1\.1 503 Service Unavailable\r\n/);
    assert.match(refused.block, /\r\nRetry-After: 1\r\n/);
    assert.match(httpOf(await slow).block, /^HTTP\/1\.1 504 /);
  },
);

peerTest('children that end after ten requests fail no call', [phpFpmPeer], async (t) => {
  for (const listen of ['tcp', 'unix'] as const) {
    const fpm = await poolOf(t, { listen, maxRequests: 10 });
    const scene = sceneOf(t, fpm, 'sleep.php', {
      maxChildren: '2',
      queueMax: '1000',
      queueTimeout: '9000',
      requestTimeout: '10000',
    });

    const replies = await Promise.all(Array.from({ length: 400 }, () => scene.call()));

    assert.equal(count(replies, null), 400);
    const pids = new Set(replies.map(textOf));
    assert.ok(pids.size >= 40, `${pids.size} children served`);
  }
});

peerTest('a killed child fails its own call, once, and no other', [phpFpmPeer], async (t) => {
  const fpm = await poolOf(t);
  const scene = sceneOf(t, fpm, 'sleep.php', { maxChildren: '2', queueTimeout: '5000' });
  const doomed = scene.call({ metadata: { ms: '3000', name: 'doomed' } });
  const others = Array.from({ length: 20 }, () => scene.call({ metadata: { ms: '20' } }));
  const pid = await eventually(
    'the script has begun',
    WITHIN_MS,
    async () => Number(fpm.read('doomed')) || null,
  );

  process.kill(pid, 'SIGKILL');

  const lost = await doomed;
  assert.equal(lost.failure!.code, 'E_BACKEND_LOST');
  assert.equal(lost.exception!.code, 503);
  assert.equal(count(await Promise.all(others), null), 20);
  assert.equal(fpm.read('doomed.done'), '');
  assert.equal((await scene.call()).failure, null);
});

peerTest('a script that FPM ends for its time fails its own call', [phpFpmPeer], async (t) => {
  const fpm = await poolOf(t, { extra: ['request_terminate_timeout = 1'] });
  const scene = sceneOf(t, fpm, 'sleep.php', { maxChildren: '2' });

  const [late, quick] = await Promise.all([scene.call({ metadata: { ms: '4500' } }), scene.call()]);

  assert.equal(late.failure!.code, 'E_BACKEND_LOST');
  assert.equal(quick.failure, null);
});

peerTest(
  'a reload of FPM loses at most the calls that its children have in hand',
  [phpFpmPeer],
  async (t) => {
    const fpm = await poolOf(t, { listen: 'unix' });
    const scene = sceneOf(t, fpm, 'sleep.php', { maxChildren: '2' });
    const master = Number(fpm.read('../pid'));
    const replies: Reply[] = [];
    const callers = Array.from({ length: 2 }, async () => {
      while (replies.length < 400) {
        replies.push(await scene.call({ metadata: { ms: '2' } }));
        if (replies.length === 100) process.kill(master, 'SIGUSR2');
      }
    });

    await Promise.all(callers);

    await eventually('it was reloaded', WITHIN_MS, async () => fpm.log.includes('Reloading in progress'));
    const lost = count(replies, 'E_BACKEND_LOST');
    assert.ok(lost <= 2, `${lost} calls were lost`);
    assert.equal(count(replies, null) + lost, replies.length);
  },
);

peerTest('a pool that is gone is told at once', [phpFpmPeer], async (t) => {
  const fpm = await poolOf(t, { listen: 'unix' });
  const scene = sceneOf(t, fpm, 'sleep.php', { maxChildren: '2' });
  assert.equal((await scene.call()).failure, null);

  await fpm.stop();

  const gone = await scene.call();
  assert.equal(gone.failure!.code, 'E_BACKEND_DOWN');
  assert.match(gone.exception!.message, /^dial unix .*: connect: no such file or directory$/);
  assert.match((await scene.probe('fpm'))!, /dial unix/);
});

peerTest('the number of children is learnt from the pool', [phpFpmPeer], async (t) => {
  const fpm = await poolOf(t, { maxChildren: 3 });
  const scene = sceneOf(t, fpm, 'sleep.php', {
    fpmStatusPath: '/status',
    queueMax: '100',
    queueTimeout: '4000',
  });

  const replies = await Promise.all(Array.from({ length: 30 }, () => scene.call({ metadata: { ms: '20' } })));

  assert.equal(count(replies, null), 30);
  const { connectionsMax, details } = scene.provider.report();
  assert.equal(connectionsMax, 3);
  assert.equal(details['total processes'], 3);
  assert.equal(details['process manager'], 'static');
  assert.equal(details['max children reached'], 0);
});

peerTest('an ondemand pool is let grow to its limit and no further', [phpFpmPeer], async (t) => {
  const fpm = await poolOf(t, {
    maxChildren: 4,
    extra: ['pm = ondemand', 'pm.process_idle_timeout = 60s'],
  });
  const scene = sceneOf(t, fpm, 'sleep.php', {
    fpmStatusPath: '/status',
    queueMax: '1000',
    queueTimeout: '9000',
    requestTimeout: '10000',
  });
  let most = 0;
  const isAtLimit = (): boolean => {
    const { connectionsMax, details } = scene.provider.report();
    most = Math.max(most, connectionsMax);
    return Number(details['max children reached'] ?? 0) > 0;
  };
  const endMs = realClock.nowMs() + WITHIN_MS;
  const callers = Array.from({ length: 12 }, async () => {
    while (!isAtLimit() && realClock.nowMs() < endMs)
      assert.equal((await scene.call({ metadata: { ms: '50' } })).failure, null);
  });

  await Promise.all(callers);

  assert.equal(scene.provider.report().connectionsMax, 4);
  assert.ok(most <= 8, `${most} connections were allowed`);
});

peerTest(
  'a busy pool is well for the health check, and one whose scripts nobody waits for is not',
  [phpFpmPeer],
  async (t) => {
    const fpm = await poolOf(t, { maxChildren: 1 });
    const scene = sceneOf(t, fpm, 'sleep.php', { maxChildren: '1', requestTimeout: '300' });
    const slow = scene.call({ metadata: { ms: '1000', name: 'slow' } });
    await eventually('the script has begun', WITHIN_MS, async () => fpm.read('slow') !== '');

    const whileBusy = await scene.probe('fpm');
    assert.equal((await slow).failure!.code, 'E_BACKEND_TIMEOUT');
    const whenStuck = await scene.probe('fpm');
    await eventually('the child is free', WITHIN_MS, async () => scene.provider.report().connections === 0);
    const after = await scene.probe('fpm');

    assert.equal(whileBusy, null);
    assert.match(whenStuck!, /given up/);
    assert.equal(after, null);
  },
);
