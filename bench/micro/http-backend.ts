/**
 * CPU of one call through provider http, kernel included: calls come from memory, and the backend is a process of its own that answers with
 * the body that it got. Prints calls/s and CPU microseconds per call of this process.
 *
 *   node --import tsx bench/micro/http-backend.ts [--bytes N] [--transparent] [--backend HOST:PORT]
 *
 * With --backend it takes a server that runs already, `meshload echo --wire http` for one: the own one is node:http, which is slower than
 * what is measured, so that only the CPU is worth reading.
 */
import { fork } from 'node:child_process';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  Call,
  CallHead,
  MeshUrl,
  Metadata,
  type ProviderObserver,
  silentLogger,
} from '../../src/core/index.js';
import { createHttpProvider } from '../../src/data/provider/http/index.js';
import { IoLoop, rawStreamsWork } from '../../src/data/transport/index.js';
import { spread } from './support.js';

const IN_FLIGHT = 32;
const ROUND_MS = 700;
const ROUNDS = 7;

const { values } = parseArgs({
  options: {
    bytes: { type: 'string' },
    transparent: { type: 'boolean' },
    backend: { type: 'string' },
    server: { type: 'boolean' },
  },
});

if (values.server === true) serve();
else await measure();

function serve(): void {
  const server = http.createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => response.end(Buffer.concat(pieces)));
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
  process.on('disconnect', () => process.exit());
}

async function measure(): Promise<void> {
  const own = values.backend === undefined ? fork(fileURLToPath(import.meta.url), ['--server']) : null;
  const address =
    values.backend ??
    `127.0.0.1:${await new Promise((resolve) => {
      own!.once('message', resolve);
    })}`;
  const loop = new IoLoop({ nowMs: () => performance.now(), wallMs: () => Date.now() });
  const useRaw = await rawStreamsWork(loop);
  const parameters = new Map(Object.entries({ proxyAddress: address, enableRewrite: 'false', domain: 'd' }));
  const url = new MeshUrl({ protocol: 'motan2', path: 'com.example.Echo', group: 'bench', parameters });
  const target = { url, locations: null, httpMethods: new Map() };
  const provider = createHttpProvider(target, { loop, useRaw, logger: silentLogger });

  const head = callHead();
  let done = 0;
  let failed = 0;
  let isStopping = false;
  let running = 0;
  let onStopped = (): void => undefined;
  const body = argument(Number(values.bytes ?? 128));
  const origin = { onReply() {}, onPressure() {}, onRelief() {} };
  const observer: ProviderObserver = {
    onProviderDone(_call, reply) {
      done += 1;
      running -= 1;
      if (reply.exception !== null) failed += 1;
      if (!isStopping) next();
      else if (running === 0) onStopped();
    },
  };
  function next(): void {
    running += 1;
    const call = new Call(head, origin, 2, 0, done, 2, 8, 0x30, loop.nowMs, body, 0, body.length);
    provider.start(call, observer);
  }

  loop.tick();
  for (let count = 0; count < IN_FLIGHT; count += 1) next();
  const perSecond: number[] = [];
  const micros: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = { done, ms: performance.now(), cpu: process.cpuUsage() };
    await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
    const cpu = process.cpuUsage(before.cpu);
    const calls = done - before.done;
    perSecond.push((calls / (performance.now() - before.ms)) * 1000);
    micros.push((cpu.user + cpu.system) / calls);
  }
  isStopping = true;
  await new Promise<void>((resolve) => {
    onStopped = resolve;
  });
  console.log(
    `  ${body.length} bytes: ${spread(perSecond).middle.toFixed(0)} calls/s, ${spread(micros).middle.toFixed(1)} us of CPU a call` +
      ` (best ${spread(micros).low.toFixed(1)}); ${failed} failed, ${provider.report().connections} connections`,
  );
  provider.close(0);
  loop.close();
  own?.disconnect();
}

function callHead(): CallHead {
  const pairs = { M_p: 'com.example.Echo', M_m: '/echo', M_g: 'bench', M_s: 'app', host: '127.0.0.1' };
  const more = values.transparent === true ? { HTTP_PROXY: 'true' } : { HTTP_Method: 'POST' };
  return new CallHead(Metadata.of(Object.entries({ ...pairs, ...more })), '127.0.0.1');
}

/** One byte array, or header block and body. */
function argument(bytes: number): Buffer {
  const content = sized(Buffer.alloc(bytes, 'x'));
  if (values.transparent !== true) return content;
  const block = 'POST /echo HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n';
  return Buffer.concat([sized(Buffer.from(block)), content]);
}

function sized(bytes: Buffer): Buffer {
  const front = Buffer.from([3, 0, 0, 0, 0]);
  front.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([front, bytes]);
}
