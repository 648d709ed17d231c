/**
 * More callers than a pool of PHP-FPM has children for, through a whole agent and through two: what is refused is refused soon and says
 * so, the books balance at every look, and the pool never sees a connection more than it has children.
 */
import assert from 'node:assert/strict';
import http from 'node:http';
import { phpFpmPeer } from '../../support/php-fpm.js';
import { keepsBooks, listenerOf, residentBytes, statusOf } from '../books.js';
import { ask, valuesOf } from '../http/client.js';
import { type GoResult, goCalls, motanGo } from '../motan-go/peers.js';
import { javaCalls, motanJava } from '../motan-java/peers.js';
import { eventually, peerTest, shared } from '../support.js';
import {
  PAGE,
  PAGE_DOMAIN,
  PAGE_GROUP,
  type PageAnswer,
  type PageScene,
  restart,
  startPage,
} from './php-scene.js';

const QUEUE_MS = 400;
/** A refused call waits for its place in the queue at most, and for two busy cores. */
const REFUSED_MS_MAX = QUEUE_MS + 1600;
const GROWTH_BYTES_MAX = 96 * 1024 * 1024;

/** Two children, of which a slow script takes 150 ms each. */
const small = shared(() =>
  startPage(
    { listen: 'unix', maxChildren: 2 },
    { maxChildren: 2, queueMax: 10, queueTimeout: QUEUE_MS, requestTimeout: 4000 },
  ),
);

function goLoad(port: number, argument: string, times: number, parallel: number): Promise<GoResult[]> {
  return goCalls(
    { at: port, group: PAGE_GROUP, service: PAGE, timeoutMs: 20_000 },
    'show',
    argument,
    times,
    parallel,
  );
}

/** Numbers of what happened, by the code of the exception; 0 for an answer. */
function byCode(results: readonly GoResult[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { exception } of results) {
    const key = exception === null ? 'ok' : `${exception.errcode}/${exception.errtype}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

async function withinMemory<T>({ front, behind }: PageScene, load: () => Promise<T>): Promise<T> {
  const before = await Promise.all([front, behind].map(residentBytes));
  const value = await load();
  const after = await Promise.all([front, behind].map(residentBytes));
  for (const [index, bytes] of after.entries()) {
    const growth = bytes - before[index]!;
    assert.ok(growth < GROWTH_BYTES_MAX, `agent ${index} grew by ${Math.round(growth / 1024 / 1024)} MiB`);
  }
  return value;
}

for (const where of ['at the export port', 'through an agent'] as const) {
  peerTest(
    `200 Go callers ${where} of two slow children: refusals are soon and typed`,
    [motanGo, phpFpmPeer],
    async () => {
      const scene = await small();
      const port = where === 'through an agent' ? scene.front.port : scene.exportPort;
      const before = listenerOf(await statusOf(scene.behind), exportOf(scene));

      const { value, most, looks, statuses } = await withinMemory(scene, () =>
        keepsBooks([scene.behind, scene.front], () => goLoad(port, 'map:ms=150', 400, 200)),
      );

      const { ok = 0, '503/503': refused = 0, ...others } = byCode(value);
      assert.deepEqual(others, {});
      assert.equal(ok + refused, 400);
      // Ten waited, two were served, more were served while others waited.
      assert.ok(ok >= 4 && refused >= 100, `${ok} answered, ${refused} refused`);
      const slowest = Math.max(
        ...value.filter((result) => result.exception !== null).map((result) => result.ms),
      );
      assert.ok(slowest < REFUSED_MS_MAX, `a refusal after ${slowest} ms`);
      assert.ok(most.connections <= 2 && most.queued <= 10, JSON.stringify(most));
      assert.ok(looks > 4, `${looks} looks`);
      const after = listenerOf(statuses[0]!, exportOf(scene));
      assert.deepEqual(
        [after.in - before.in, after.ok - before.ok, after.shed - before.shed + after.failed - before.failed],
        [400, ok, refused],
      );
      assert.equal((await scene.fpm.status())['listen queue'], 0);
    },
  );
}

function exportOf({ exportPort }: PageScene): string {
  return `export:${exportPort}`;
}

peerTest(
  '200 Java callers of two slow children: refusals are soon and typed',
  [motanJava, phpFpmPeer],
  async () => {
    const scene = await small();
    const refer = {
      protocol: 'motan2',
      serialization: 'simple',
      group: PAGE_GROUP,
      port: scene.front.port,
    } as const;

    const { value, most } = await keepsBooks([scene.behind, scene.front], () =>
      javaCalls({ refer, service: PAGE }, 'show', 'map:ms=150', 400, 200),
    );

    const refused = value.filter((answer) => !answer.ok);
    assert.ok(refused.length >= 100 && refused.length <= 396, `${refused.length} refused`);
    // This client takes its only node out for itself after ten failures in a row.
    for (const { exception } of refused) assert.match(exception ?? '', /error_code: (503|10001|20001)/);
    assert.ok(refused.some(({ code }) => code === 503));
    assert.ok(most.connections <= 2, JSON.stringify(most));
  },
);

peerTest('200 HTTP callers of two slow children: 503 with Retry-After, soon', [phpFpmPeer], async () => {
  const scene = await small();
  const agent = new http.Agent({ keepAlive: true });
  const call = async () => {
    const begin = Date.now();
    const answer = await ask(scene.httpPort, { host: PAGE_DOMAIN, path: '/?ms=150' }, agent);
    return { answer, ms: Date.now() - begin };
  };

  const { value, statuses } = await withinMemory(scene, () =>
    keepsBooks([scene.front, scene.behind], () => Promise.all(Array.from({ length: 200 }, call))),
  );

  agent.destroy();
  const refused = value.filter(({ answer }) => answer.status !== 200);
  assert.ok(refused.length >= 100 && refused.length <= 196, `${refused.length} refused`);
  for (const { answer, ms } of refused) {
    assert.equal(answer.status, 503, answer.body.toString());
    assert.deepEqual(valuesOf(answer.fields, 'Retry-After').length, 1);
    assert.ok(ms < REFUSED_MS_MAX, `a refusal after ${ms} ms`);
  }
  assert.equal(listenerOf(statuses[0]!, 'http').inFlight, 0);
});

peerTest('after all that the pool serves as before', [phpFpmPeer], async () => {
  const { httpPort, behind } = await small();

  const answer = await eventually('a page', 10_000, async () => {
    const found = await ask(httpPort, { host: PAGE_DOMAIN, path: '/again' });
    return found.status === 200 ? found : null;
  });

  assert.equal((JSON.parse(answer.body.toString()) as PageAnswer).uri, '/again');
  const [page] = (await statusOf(behind)).exports;
  assert.deepEqual([page!.backend.inFlight, page!.backend.queued], [0, 0]);
});

/** Children that end after ten requests, and room for everybody to wait. */
const shortLived = shared(() =>
  startPage(
    { listen: 'tcp', maxChildren: 2, maxRequests: 10 },
    { maxChildren: 2, queueMax: 100, queueTimeout: 8000, requestTimeout: 10_000 },
  ),
);

peerTest('children that end after ten requests fail no call', [motanGo, phpFpmPeer], async () => {
  const scene = await shortLived();

  const { value, most } = await keepsBooks([scene.behind, scene.front], () =>
    goLoad(scene.front.port, 'map:name=x', 600, 32),
  );

  assert.deepEqual(byCode(value), { ok: 600 });
  assert.ok(most.connections <= 2, JSON.stringify(most));
  const pids = new Set(
    value.map(({ base64 }) => (JSON.parse(Buffer.from(base64, 'base64').toString()) as PageAnswer).pid),
  );
  assert.ok(pids.size >= 60, `${pids.size} children`);
});

peerTest(
  'a pool that is restarted in the middle fails what it had begun, and is called again',
  [motanGo, phpFpmPeer],
  async () => {
    const scene = await shortLived();
    const counts = { ok: 0, refused: 0 };
    const other: GoResult[] = [];
    let isOver = false;
    const callOn = async (): Promise<void> => {
      while (!isOver) {
        for (const result of await goLoad(scene.front.port, 'map:ms=5', 40, 8)) {
          if (result.exception === null) counts.ok += 1;
          else if (result.exception.errcode === 503 && result.exception.errtype === 503) counts.refused += 1;
          else other.push(result);
        }
      }
    };

    await keepsBooks([scene.behind, scene.front], async () => {
      const calling = callOn();
      await eventually('calls are answered', 10_000, async () => counts.ok > 40);
      await restart(scene.fpm, () =>
        eventually('calls are refused', 10_000, async () => counts.refused > 0).then(() => {}),
      );
      const before = counts.ok;
      await eventually('calls are answered again', 10_000, async () => counts.ok > before + 80);
      isOver = true;
      await calling;
    });
    const last = await goLoad(scene.front.port, 'map:ms=5', 40, 8);

    assert.deepEqual(other, []);
    assert.deepEqual(byCode(last), { ok: 40 });
  },
);
