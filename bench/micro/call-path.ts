/**
 * CPU of one call through the data plane without the kernel: frames come from memory, and the node is a loop that answers at once.
 * What is left is our own code: decoding, routing, filters, encoding. Prints ns per call, best of the rounds.
 */

import { type Call, type Failure, failed, MeshUrl, silentLogger } from '../../src/core/index.js';
import { Cluster } from '../../src/data/cluster/cluster.js';
import { MotanEndpoint } from '../../src/data/endpoint/motan-endpoint.js';
import { AccessLogWriter, CallCounters, chainBuilder, filterTable } from '../../src/data/filter/index.js';
import { RouteTable } from '../../src/data/route/index.js';
import { MotanServerConnection } from '../../src/data/server/motan-server-connection.js';
import { ByteStream } from '../../src/data/transport/byte-stream.js';
import { IoLoop } from '../../src/data/transport/index.js';

const BATCH = 64;
const ROUNDS = 12;
const BATCHES_PER_ROUND = 2000;
const BODY_BYTES = Number(process.env.BODY_BYTES ?? 128);

class MemoryStream extends ByteStream {
  readonly remoteHost = '127.0.0.1';
  written: Uint8Array[] = [];
  pauseReading(): void {}
  resumeReading(): void {}
  protected writeSlices(slices: Uint8Array[]): boolean {
    this.written.push(...slices.map((slice) => Buffer.from(slice)));
    return true;
  }
  protected shutdown(): void {}
  protected destroyHandle(): void {}
}

const loop = new IoLoop({ nowMs: () => performance.now(), wallMs: () => Date.now() });
loop.flushLater = () => undefined; // flushed by hand
const accessLog = new AccessLogWriter(
  { enabled: true, write: (chunk, _lines, release) => release(chunk) },
  loop.clock,
  false,
);
const filter = process.argv.includes('--bare') ? '' : 'accessLog,metrics';
const chains = chainBuilder(filterTable({ accessLog, counters: new CallCounters() }));
const upstream = new MemoryStream(loop);
const dialQueue = {
  dial: (_target: unknown, _ms: number, done: (s: ByteStream | null, e: null) => void) =>
    done(upstream, null),
};
const url = new MeshUrl({
  protocol: 'motan2',
  path: 'com.example.EchoService',
  group: 'bench',
  parameters: new Map([
    ['filter', filter],
    ['application', 'bench'],
  ]),
});
const node = url.with({ host: '127.0.0.1', port: 9001, parameters: new Map() });
const cluster = new Cluster(
  { key: 'k', referId: 'r', domain: null, url, source: 'registry', endpoints: [{ id: 'n', node }] },
  {
    createEndpoint: (state, endpoint) =>
      new MotanEndpoint(state, endpoint, {
        loop,
        logger: silentLogger,
        dialQueue: dialQueue as never,
        chains,
        isBackend: false,
      }),
    chains,
    random: Math.random,
    nowMs: () => loop.nowMs,
  },
);
const routes = new RouteTable(1, [cluster]);
let answered = 0;
const server = {
  frameBytesMax: 10_485_760,
  begin() {},
  carry(call: Call) {
    const head = call.head;
    if (head.routeState !== routes.number || head.route === null) {
      head.route = routes.resolve(head);
      head.routeState = routes.number;
    }
    const target = head.route as Cluster | Failure;
    if (target instanceof Cluster) target.call(call);
    else call.origin.onReply(call, failed(target));
  },
  refuse() {},
  onAnswered() {
    answered += 1;
  },
};
const downstream = new MemoryStream(loop);
const caller = new MotanServerConnection(server as never, downstream);

const metadata = Buffer.from('M_p\ncom.example.EchoService\nM_m\necho\nM_g\nbench\nM_pp\nmotan2\nM_s\nload');
const frame = Buffer.alloc(21 + metadata.length + BODY_BYTES);
frame.writeUInt32BE(0xf1f10008, 0);
frame[4] = 0x30;
frame.writeUInt32BE(metadata.length, 13);
metadata.copy(frame, 17);
frame.writeUInt32BE(BODY_BYTES, 17 + metadata.length);
const requests = Buffer.concat(Array.from({ length: BATCH }, () => frame));
for (let index = 0; index < BATCH; index += 1) requests.writeUInt32BE(index, index * frame.length + 9);
const requestView = new DataView(requests.buffer, requests.byteOffset, requests.length);
const answer = Buffer.alloc(21 + BODY_BYTES);
answer.writeUInt32BE(0xf1f10108, 0);
answer[4] = 0x30;
answer.writeUInt32BE(BODY_BYTES, 17);
const answers = Buffer.concat(Array.from({ length: BATCH }, () => answer));
const answerView = new DataView(answers.buffer, answers.byteOffset, answers.length);

function batch(): void {
  loop.tick();
  caller.onBytes(requests, requestView, requests.length);
  upstream.flush();
  const sent = Buffer.concat(upstream.written);
  upstream.written = [];
  let at = 0;
  for (let index = 0; index < BATCH; index += 1) {
    sent.copy(answers, index * answer.length + 5, at + 5, at + 13);
    const metaBytes = sent.readUInt32BE(at + 13);
    at += 21 + metaBytes + sent.readUInt32BE(at + 17 + metaBytes);
  }
  loop.tick();
  upstream.owner!.onBytes(answers, answerView, answers.length);
  downstream.flush();
  downstream.written = [];
}

let best = Number.POSITIVE_INFINITY;
for (let round = 0; round < ROUNDS; round += 1) {
  const startedNs = process.hrtime.bigint();
  for (let count = 0; count < BATCHES_PER_ROUND; count += 1) batch();
  best = Math.min(best, Number(process.hrtime.bigint() - startedNs) / (BATCHES_PER_ROUND * BATCH));
}
loop.close();
accessLog.flush();
console.log(
  `call-path (${filter || 'bare'}, ${BODY_BYTES} B): ${best.toFixed(0)} ns per call, ${answered} answered`,
);
