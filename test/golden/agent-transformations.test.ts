/**
 * Whole calls that were taken down at a running motan-go 1.2.0 agent, replayed against the data plane: the caller sends what it sent
 * there, the scripted upstream answers what it answered there, and what leaves on both sides must be what left there.
 *
 * Not compared, because it varies from run to run there too: ids that the agent chose, the order of metadata, `M_pt` that the
 * agent measured, the bytes of gzip (their content is), the upstream's port. What we do differently on purpose stands in DIFFERENCES and
 * is asserted as well; docs/wire-differences.md has the same list.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { parseV1Request, parseV1Response } from '../../src/wire/motan1/index.js';
import { until } from '../support/clock.js';
import { exceptionOf, type Frame, GZIP, HEARTBEAT, hex, parseFrame } from '../support/frames.js';
import { type Scene, scene } from '../support/plane.js';
import type { PeerConnection, Script } from '../support/scripted-peer.js';

interface Vector {
  readonly id: string;
  readonly role: string;
  readonly to_agent: string;
  readonly agent_to_upstream: string | null;
  readonly upstream_to_agent: string | null;
  readonly from_agent: string | null;
  readonly outcome: string;
}

interface Difference {
  readonly reason: string;
  /** What the caller gets from us instead. */
  readonly check: (answer: Frame) => void;
}

const DIFFERENCES: Readonly<Record<string, Difference>> = {
  'v2-meta-oversize': {
    reason: 'a message over the limit fails alone; the other calls of its connection go on',
    check: (answer) => assertException(answer, 400, 'the message is larger than 10485760 bytes'),
  },
  'v2-body-oversize': {
    reason: 'a message over the limit fails alone; the other calls of its connection go on',
    check: (answer) => assertException(answer, 400, 'the message is larger than 10485760 bytes'),
  },
  'v1-answered-with-v2-ok': {
    reason:
      'a call that cannot be answered in its protocol gets an exception at once instead of never an answer',
    check: (answer) => assertV1Exception(answer, 'a Motan v1 call was answered in Motan2'),
  },
  'v1-unknown-service': {
    reason: 'the text of a v1 exception has no prefix about how it was built',
    check: (answer) =>
      assertV1Exception(answer, 'cluster not found. cluster: cluster not found. service: nope'),
  },
  'v1-timeout': {
    reason: 'the text of a v1 exception has no prefix about how it was built',
    check: (answer) => assertV1Exception(answer, 'channel call error:timeout err: receive request timeout'),
  },
};

const VECTORS: Vector[] = fs
  .readFileSync(new URL('./agent-transformations.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));
const CLIENT_AGENT = VECTORS.filter((vector) => vector.role === 'client-agent');

const RECORDED_UPSTREAM = '127.0.0.1:39100';
const RECORDED_DEAD = '127.0.0.1:39199';

test('every deliberate difference names a recorded call', () => {
  const ids = new Set(CLIENT_AGENT.map((vector) => vector.id));
  for (const id of Object.keys(DIFFERENCES)) assert.ok(ids.has(id), id);
});

test('the documentation lists the same differences with the same reasons', () => {
  const text = fs.readFileSync(new URL('../../docs/wire-differences.md', import.meta.url), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| `v'));
  const documented = rows.map((line) => line.split('|').map((cell) => cell.trim()));

  const listed = Object.fromEntries(documented.map((cells) => [cells[1]!.replaceAll('`', ''), cells[4]]));
  const asserted = Object.fromEntries(Object.entries(DIFFERENCES).map(([id, { reason }]) => [id, reason]));
  assert.deepEqual(listed, asserted);
});

for (const vector of CLIENT_AGENT) {
  const difference = DIFFERENCES[vector.id];
  const claim =
    difference === undefined ? 'does what motan-go does' : `differs from motan-go: ${difference.reason}`;
  test(`${vector.id}: ${claim}`, async (t) => {
    const replay = await Replay.start(t, vector);

    await replay.assertUpstream();
    if (difference !== undefined) difference.check(await replay.caller.next());
    else await replay.assertAnswer();
  });
}

/** One recorded call on its way through our plane. */
class Replay {
  readonly caller: PeerConnection;
  readonly #scene: Scene;
  readonly #vector: Vector;
  readonly #upstreamPort: number;
  readonly #deadPort: number;
  readonly #requests: Frame[];

  private constructor(
    made: Scene,
    vector: Vector,
    caller: PeerConnection,
    upstreamPort: number,
    deadPort: number,
    requests: Frame[],
  ) {
    this.#scene = made;
    this.#vector = vector;
    this.caller = caller;
    this.#upstreamPort = upstreamPort;
    this.#deadPort = deadPort;
    this.#requests = requests;
  }

  static async start(t: TestContext, vector: Vector): Promise<Replay> {
    const made = await scene(t);
    const upstream = await made.upstream(recordedAnswer(vector));
    const deadPort = await unusedPort();
    const parameters = { requestTimeout: '400', clientConnection: '1' };
    const nodes = [upstream.port];
    await made.start([
      { service: 'svc.one', parameters, nodes },
      { service: 'svc.gz', parameters: { ...parameters, mingzSize: '50' }, nodes },
      { service: 'svc.two', group: 'ga', parameters, nodes },
      { service: 'svc.two', group: 'gb', parameters, nodes },
      { service: 'svc.v1', protocol: 'motan', parameters, nodes },
      { service: 'svc.dead', parameters: { ...parameters, lazyInit: 'true' }, nodes: [deadPort] },
      { service: 'svc.deadeager', parameters, nodes: [deadPort] },
    ]);
    const caller = await made.caller();
    caller.send(hex(vector.to_agent));
    return new Replay(made, vector, caller, upstream.port, deadPort, upstream.requests);
  }

  /** What left for the upstream is what was recorded. */
  async assertUpstream(): Promise<void> {
    const recorded = this.#vector.agent_to_upstream;
    if (recorded === null) return;
    await until('the request reaches the upstream', () => this.#requests.length > 0);
    assert.equal(this.#requests.length, 1);
    const [actual, expected] = [this.#requests[0]!, parseFrame(hex(recorded))];
    assert.deepEqual(requestContent(actual), requestContent(expected));
  }

  /** What the caller gets is what was recorded. */
  async assertAnswer(): Promise<void> {
    const { from_agent: recorded, upstream_to_agent: answer } = this.#vector;
    if (recorded === null) {
      assert.equal(this.#vector.outcome, 'connection closed without a byte');
      await this.caller.over();
      assert.equal(this.caller.bytesRead, 0);
      return;
    }
    const isTimeOurs = answer === null || !answer.includes(Buffer.from('M_pt\n').toString('hex'));
    const expected = answerContent(parseFrame(hex(recorded)), isTimeOurs);
    const actual = answerContent(await this.caller.next(), isTimeOurs);
    assert.deepEqual(actual, this.#withOurPorts(expected));
    assert.equal(this.#requests.length, this.#vector.agent_to_upstream === null ? 0 : 1);
    assert.equal(this.#scene.listener.in, this.#isHeartbeat() ? 0 : 1);
  }

  #isHeartbeat(): boolean {
    return this.#vector.id.includes('heartbeat') && this.#vector.agent_to_upstream === null;
  }

  #withOurPorts(content: Record<string, unknown>): Record<string, unknown> {
    const metadata = content.metadata as Record<string, string> | undefined;
    const recorded = metadata?.['x-forwarded-for'];
    if (metadata === undefined || recorded === undefined) return content;
    const ours = new Map([
      [RECORDED_UPSTREAM, `127.0.0.1:${this.#upstreamPort}`],
      [RECORDED_DEAD, `127.0.0.1:${this.#deadPort}`],
    ]).get(recorded);
    assert.notEqual(ours, undefined, recorded);
    return { ...content, metadata: { ...metadata, 'x-forwarded-for': ours } };
  }
}

/** Answers the one call as the recorded upstream did, with the id that we gave it. */
function recordedAnswer(vector: Vector): Script {
  return (frame, connection) => {
    if (vector.upstream_to_agent === null) return;
    const answer = hex(vector.upstream_to_agent);
    if (answer.readUInt16BE(0) === 0xf1f1) setId(answer, frame.id);
    connection.send(answer);
  };
}

function setId(bytes: Buffer, id: bigint): void {
  if (bytes[3]! >> 3 === 1) {
    bytes.writeBigUInt64BE(id, 5);
    return;
  }
  bytes.writeBigUInt64BE(id, 4);
  bytes.writeBigUInt64BE(id, 20);
}

/** All of a request that must not vary. */
function requestContent(frame: Frame): Record<string, unknown> {
  if (frame.version === 1) {
    const { service, method, description, attachments } = parseV1Request(frame.bytes);
    const pairs = Object.fromEntries(attachments.entries());
    return {
      service,
      method,
      description,
      pairs,
      arguments: argumentsOf(frame.bytes),
      head: frame.bytes.subarray(16, 20),
    };
  }
  const { type, versionStatus, serialization, metadata } = frame;
  const body = (type & GZIP) !== 0 ? gunzipSync(frame.body) : frame.body;
  return { type, versionStatus, serialization, metadata: Object.fromEntries(metadata), body };
}

/** The byte arrays of a v1 request, which pass as they are. */
function argumentsOf(bytes: Buffer): string {
  const start = bytes.indexOf(Buffer.from('757200025b42', 'hex'));
  const length = start < 0 ? 0 : 23 + bytes.readUInt32BE(start + 19);
  return start < 0 ? '' : bytes.subarray(start, start + length).toString('hex');
}

function answerContent(frame: Frame, isTimeOurs: boolean): Record<string, unknown> {
  if (frame.version === 1) return { bytes: frame.bytes.toString('hex') };
  const { id, type, versionStatus, serialization, body } = frame;
  const metadata = Object.fromEntries(frame.metadata);
  if (isTimeOurs && (type & HEARTBEAT) === 0) {
    assert.match(metadata.M_pt ?? '', /^\d+$/);
    metadata.M_pt = 'measured';
  }
  if (metadata.M_e !== undefined) metadata.M_e = JSON.stringify(sorted(JSON.parse(metadata.M_e)));
  return { id, type, versionStatus, serialization, metadata, body: body.toString('hex') };
}

function sorted(value: object): object {
  return Object.fromEntries(Object.entries(value).sort());
}

function assertException(answer: Frame, code: number, text: string): void {
  assert.equal(answer.type, 0x03);
  assert.equal(answer.versionStatus, 0x09);
  assert.deepEqual(exceptionOf(answer), { errcode: code, errmsg: text, errtype: 1 });
}

function assertV1Exception(answer: Frame, text: string): void {
  const { className, exception } = parseV1Response(answer.bytes);
  assert.equal(className, 'com.weibo.api.motan.exception.MotanServiceException');
  assert.equal(exception?.text, text);
}

async function unusedPort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
