/** A start while every registry is down: calls are answered from the snapshot, and everybody can see how old it is. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { atEnd, call, eventually, freePort, Home, refer, SERVICE, startUpstream } from './agent-process.js';

const AGE_SECONDS = 3600;

/** A server that takes connections and says nothing. */
async function blackHole(t: TestContext): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(t, () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
}

/** Our own file, torn, with an older generation behind it. */
function writeSnapshots(home: Home, port: number): number {
  const savedAtMs = Date.now() - AGE_SECONDS * 1000;
  const node = `motan2://127.0.0.1:${port}/${SERVICE}?group=g1`;
  const content = JSON.stringify({ group: 'g1', path: SERVICE, savedAtMs, nodes: [node] });
  mkdirSync(home.path('snapshot', '.peony'), { recursive: true });
  writeFileSync(home.path('snapshot', '.peony', `g1~${SERVICE}.json`), content.slice(0, 40));
  writeFileSync(home.path('snapshot', '.peony', `g1~${SERVICE}.previous.json`), content);
  return savedAtMs;
}

describe('a cold start', { concurrency: 3 }, () => {
  for (const protocol of ['zookeeper', 'consul', 'redis'] as const) {
    for (const [claim, place] of [
      ['refuses connections', () => freePort()],
      ['takes connections and is silent', blackHole],
    ] as const) {
      test(`${protocol} that ${claim}: the first call is answered from the snapshot, whose age is told`, async (t) => {
        const home = await Home.make(t);
        const upstream = await startUpstream(t);
        const savedAtMs = writeSnapshots(home, upstream.port);
        const registry = { protocol, host: '127.0.0.1', port: await place(t) };
        const config = {
          'motan-agent': { initClusterTimeout: 600_000 },
          'motan-registry': { down: registry },
          'motan-refer': { hello: refer({ registry: 'down' }) },
        };

        const agent = await home.start(t, { config });
        const answer = await call(await agent.caller(t), 1n);
        const status = JSON.parse((await agent.get('/status')).body);
        const full = JSON.parse((await agent.get('/v1/status')).body);
        const labels = `cluster="g1_1.0_motan2_${SERVICE}",service="${SERVICE}",group="g1"`;
        const age = await agent.metric(`peony_snapshot_age_seconds{${labels}}`);
        const log = await eventually('the log', () => readLog(home));

        assert.equal(answer.versionStatus & 7, 0);
        assert.deepEqual([status.body.snapshots[0].group, status.body.snapshots[0].name], ['g1', SERVICE]);
        assert.ok(status.body.snapshots[0].age_seconds >= AGE_SECONDS);
        assert.equal(full.clusters[0].snapshotSavedAtMs, savedAtMs);
        assert.ok(age >= AGE_SECONDS);
        assert.match(log, /\.previous\.json/);
      });
    }
  }
});

/** The line of the main log that names the snapshot. */
function readLog(home: Home): string | null {
  const lines = home.read('log', 'peony.log').split('\n');
  return lines.find((line) => line.includes('refers have those of their snapshots')) ?? null;
}
