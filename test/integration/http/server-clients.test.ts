/** Clients that others wrote: node:http, fetch, curl. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import http from 'node:http';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { echo, reply, type ServerScene, serverScene, simple } from './server-scene.js';

const run = promisify(execFile);

/** A scene whose calls are answered with the text that they were given. */
async function bridge(t: Parameters<typeof serverScene>[0]): Promise<{ scene: ServerScene; url: string }> {
  const scene = await serverScene(t, { deps: { directProxy: echo() } });
  scene.service = (call) => reply(call, simple(scene.calls.at(-1)!.body.subarray(5)));
  return { scene, url: `http://127.0.0.1:${scene.server.port}` };
}

const QUERY = 'service=S&method=m&arg_type=string';

test('serves fetch', async (t) => {
  const { url } = await bridge(t);

  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const body = new URLSearchParams({ arg: `value & ${index}` });
      const answer = await fetch(`${url}/proxy_to_rpc?${QUERY}`, { method: 'POST', body });
      return answer.text();
    }),
  );

  assert.deepEqual(
    answers,
    Array.from({ length: 20 }, (_, index) => `value & ${index}`),
  );
});

test('serves node:http on kept connections, with chunked bodies', async (t) => {
  const { scene, url } = await bridge(t);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const ask = (body: string): Promise<string> =>
    new Promise((resolve, reject) => {
      // `write` before `end` makes it chunked.
      const request = http.request(url, { method: 'POST', agent, headers: { Host: 'else' } }, (answer) => {
        let text = '';
        answer.setEncoding('latin1');
        answer.on('data', (piece: string) => {
          text += piece;
        });
        answer.on('end', () => resolve(text));
      });
      request.on('error', reject);
      request.write(body);
      request.end(body);
    });

  assert.equal(await ask('one '), 'one one ');
  assert.equal(await ask('x'.repeat(100_000)), 'x'.repeat(200_000));
  assert.equal(scene.server.report().connectionsAccepted, 1);
  agent.destroy();
});

test('serves curl, which asks before it sends a large body', async (t) => {
  const { url } = await bridge(t);
  const value = 'x'.repeat(2_000_000);
  const args = ['-s', '-m', '10', '--data-urlencode', 'arg@-', `${url}/proxy_to_rpc?${QUERY}`];

  const child = run('curl', ['-H', 'Expect: 100-continue', ...args], { maxBuffer: 10_000_000 });
  child.child.stdin!.end(value);

  assert.equal((await child).stdout, value);
});

test('serves curl as its proxy', async (t) => {
  const { scene, url } = await bridge(t);

  const { stdout } = await run('curl', [
    '-s',
    '-m',
    '10',
    '-x',
    url,
    '-d',
    'body',
    'http://some.where:81/path',
  ]);

  assert.equal(stdout, 'body');
  assert.equal(scene.server.report().ok, 1);
});
