#!/usr/bin/env node
/**
 * A small Motan2 service on Peony's own codec. It announces itself in a registry, where agents find it: in a directory, which is a `file`
 * registry, or in a server, as `zookeeper://127.0.0.1:2181`, `consul://127.0.0.1:8500` or `redis://127.0.0.1:6379`.
 *
 *   node examples/echo-service/echo-service.mjs --registry DIR|URL [--port N] [--group G] [--service NAME]
 *
 * Methods: hello(name), echo(value), sleep(ms), fail(text). Arguments and answers are in `simple`.
 *
 * How it stops matters more than how it starts: on SIGTERM it first leaves the registry, goes on answering until its callers have
 * let go of it, and only then ends. So nobody's call fails.
 */
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { BufferPool } from '../../dist/base/index.js';
import { registries } from '../../dist/control/registry/index.js';
import { MeshUrl, Metadata, silentLogger } from '../../dist/core/index.js';
import { FrameReader } from '../../dist/wire/framing/index.js';
import { encodeMetadata, exceptionText, parseMetadata } from '../../dist/wire/motan2/index.js';
import { decodeSimpleArguments, encodeSimple } from '../../dist/wire/serialization/index.js';

const RESPONSE = 0x01;
const HEARTBEAT = 0x10;
const [NORMAL, EXCEPTION] = [0x08, 0x09];
const FRAME_BYTES_MAX = 10 * 1024 * 1024;
const FAREWELL_MS_MAX = 10_000;

const { values: options } = parseArgs({
  options: {
    registry: { type: 'string' },
    port: { type: 'string', default: '0' },
    group: { type: 'string', default: 'demo' },
    service: { type: 'string', default: 'com.weibo.HelloService' },
  },
});
if (options.registry === undefined) throw new Error('--registry DIR or URL is missing');

const methods = {
  hello: ({ value: name }) => ({ type: 'string', value: `Hello, ${name}! (from port ${node.port})` }),
  echo: (argument) => argument,
  sleep: async ({ value: ms }) => {
    await pause(Number(ms));
    return { type: 'string', value: `slept ${ms} ms (on port ${node.port})` };
  },
  fail: ({ value: text }) => {
    throw new Error(text);
  },
};

const sockets = new Set();
const server = net.createServer((socket) => {
  const reader = new FrameReader(FRAME_BYTES_MAX, new BufferPool());
  sockets.add(socket);
  socket.setNoDelay(true);
  socket.on('close', () => sockets.delete(socket));
  socket.on('error', () => socket.destroy()); // the caller is gone, and nothing else is lost
  socket.on('data', (chunk) => {
    try {
      reader.push(chunk, new DataView(chunk.buffer, chunk.byteOffset, chunk.length), chunk.length);
      while (reader.next()) answer(take(reader), socket);
    } catch (error) {
      console.error(`a connection is closed: ${error.message}`);
      socket.destroy();
    }
  });
});

/** What the reader shows is valid until its next frame, so a request is copied out of it. */
function take(frame) {
  if (frame.version !== 2) throw new Error('Motan v1 is not spoken here');
  const header = Buffer.from(frame.bytes.subarray(frame.start, frame.start + 17));
  header[2] = RESPONSE | (frame.type & HEARTBEAT);
  return {
    header,
    isHeartbeat: (frame.type & HEARTBEAT) !== 0,
    metadata: parseMetadata(frame.bytes, frame.metaStart, frame.metaEnd),
    body: Buffer.from(frame.bytes.subarray(frame.bodyStart, frame.bodyEnd)),
  };
}

async function answer({ header, isHeartbeat, metadata, body }, socket) {
  if (isHeartbeat) return send(socket, header, NORMAL, new Metadata(), Buffer.alloc(0));
  const startedMs = performance.now();
  try {
    const method = Object.hasOwn(methods, metadata.text('M_m')) ? methods[metadata.text('M_m')] : null;
    if (method === null) throw new Error(`there is no method ${metadata.text('M_m')}`);
    const value = await method(decodeSimpleArguments(body)[0] ?? { type: 'null' });
    const passed = String(Math.round(performance.now() - startedMs));
    send(socket, header, NORMAL, Metadata.of([['M_pt', passed]]), encodeSimple(value));
  } catch (error) {
    // Type 2: it is the service's own answer, which no agent tries elsewhere.
    const exception = exceptionText({ code: 30001, type: 2, message: error.message });
    send(socket, header, EXCEPTION, Metadata.of([['M_e', exception]]), Buffer.alloc(0));
  }
}

function send(socket, header, versionStatus, metadata, body) {
  const block = encodeMetadata(metadata);
  const bodySize = Buffer.alloc(4);
  bodySize.writeUInt32BE(body.length);
  header[3] = versionStatus;
  header.writeUInt32BE(block.length, 13);
  socket.write(Buffer.concat([header, block, bodySize, body]));
}

await new Promise((resolve) => server.listen(Number(options.port), '127.0.0.1', resolve));
const node = new MeshUrl({
  protocol: 'motan2',
  host: '127.0.0.1',
  port: server.address().port,
  path: options.service,
  group: options.group,
  parameters: new Map([['nodeType', 'service']]),
});
const place = options.registry.includes('://')
  ? MeshUrl.parse(options.registry)
  : new MeshUrl({ protocol: 'file', path: options.registry });
const factory = registries[place.protocol];
if (factory === undefined) throw new Error(`nobody knows a registry of protocol ${place.protocol}`);
const registry = factory.create('shared', place, {
  clock: { nowMs: () => performance.now(), wallMs: () => Date.now() },
  random: Math.random,
  logger: silentLogger,
  defaultDirectory: options.registry,
});
registry.announce(node, 'available');
if (!(await registry.settled(FAREWELL_MS_MAX))) throw new Error(registry.report().lastError);
console.log(`serving ${options.service} on port ${node.port}`);

process.once('SIGTERM', async () => {
  registry.withdraw(node);
  if (!(await registry.settled(FAREWELL_MS_MAX))) console.error(registry.report().lastError);
  console.log('left the registry');
  const untilMs = performance.now() + FAREWELL_MS_MAX;
  while (sockets.size > 0 && performance.now() < untilMs) await pause(10);
  server.close();
  for (const socket of sockets) socket.destroy();
  await registry.close();
});
