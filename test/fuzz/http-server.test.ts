/**
 * An HTTP listener under mutated requests, cut anywhere, with callers that end or reset at any time, and services that answer mutated values.
 * Whatever comes, nothing faults, the books balance, and nothing is in flight at the end.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  domain,
  echo,
  httpValue,
  type RawCaller,
  reply,
  serverScene,
  simple,
} from '../integration/http/server-scene.js';
import { until } from '../support/clock.js';
import { below, FUZZ_MS, FUZZ_SEED, mutate, pick, seededRandom } from '../support/fuzz.js';

const FORM = 'Content-Type: application/x-www-form-urlencoded\r\n';
const BRIDGE = '/proxy_to_rpc?service=S&method=m&arg_type=string';

const REQUESTS = [
  `POST ${BRIDGE} HTTP/1.1\r\nHost: x\r\n${FORM}Content-Length: 11\r\n\r\narg=h%20w+z`,
  `POST ${BRIDGE} HTTP/1.1\r\nHost: x\r\n${FORM}Transfer-Encoding: chunked\r\n\r\n5\r\narg=%\r\n3\r\n41b\r\n0\r\n\r\n`,
  'GET /rpc/a%2Fb?c HTTP/1.1\r\nHost: web.domain\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n',
  'POST /rpc HTTP/1.1\r\nHost: web.domain\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n0\r\nT: 1\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nabcd',
  'GET http://a/b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n',
  'HEAD / HTTP/1.1\r\nHost: x\r\n\r\n',
].map((text) => Buffer.from(text, 'latin1'));

const VALUES = [simple('v'), Buffer.from([0]), simple(Buffer.alloc(70_000))];
const WEB_VALUES = [
  httpValue('HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 3\r\n\r\n', 'abc'),
  httpValue('HTTP/1.1 204 No Content\r\n\r\n'),
];

test(`an HTTP listener survives mutated requests and values, seed ${FUZZ_SEED}`, async (t) => {
  const random = seededRandom(FUZZ_SEED);
  const answer = (call: Parameters<typeof reply>[0], values: readonly Buffer[]): void => {
    const value = below(random, 2) === 0 ? pick(random, values) : mutate(random, values);
    if (below(random, 2) === 0) reply(call, value);
    else setImmediate(() => reply(call, value));
  };
  const web = domain('web.domain', (_service, call) => answer(call, WEB_VALUES));
  const made = await serverScene(t, {
    domains: [web],
    http: { bodyTimeoutMs: 200 },
    deps: { directProxy: echo() },
  });
  made.service = (call) => {
    made.calls.length = 0;
    answer(call, VALUES);
  };

  const endMs = performance.now() + FUZZ_MS;
  while (performance.now() < endMs) {
    await sendOne(await made.caller(), random);
    if (below(random, 20) === 0) {
      await until('few connections are open', () => made.server.report().connections < 50);
      made.forgetCallers();
    }
  }

  await until('nothing is in flight', () => made.server.report().inFlight === 0);
  assert.equal((await made.ask('GET / HTTP/1.1\r\nHost: x\r\n\r\n')).status, 200);
});

/** Some requests on one connection, mostly broken somewhere, in pieces; then the end, or a reset. */
async function sendOne(caller: RawCaller, random: () => number): Promise<void> {
  const messages = Array.from({ length: 1 + below(random, 6) }, () => pick(random, REQUESTS));
  const bytes = below(random, 3) === 0 ? Buffer.concat(messages) : mutate(random, [Buffer.concat(messages)]);
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + below(random, bytes.length);
    caller.send(bytes.subarray(at, end));
    at = end;
    if (below(random, 3) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  if (below(random, 3) === 0) caller.socket.resetAndDestroy();
  else caller.socket.end();
}
