/** Frames of Motan v1 as motan-go and Motan Java wrote them, and as a motan-go agent passed them on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  encodeV1Exception,
  encodeV1Heartbeat,
  encodeV1HeartbeatAnswer,
  encodeV1Request,
  isV1Heartbeat,
  isV1HeartbeatAnswer,
  parseV1Request,
  parseV1Response,
  readV1Header,
  rewriteV1Request,
  V1_FLAG,
  withV1RequestId,
} from '../../src/wire/motan1/index.js';
import { decodeBreezeArguments, decodeSimpleArguments } from '../../src/wire/serialization/index.js';
import { agentVectors, canonical, canonicalVector, hex, type VectorValue, vectors } from '../support/golden.js';

const frames = vectors
  .filter((vector) => vector.kind === 'motan1-frame')
  .map((vector) => ({ vector, frame: hex(vector.hex) }));
const requests = frames.filter(({ frame }) => readV1Header(frame).flag === V1_FLAG.request);
const responses = frames.filter(({ frame }) => readV1Header(frame).flag !== V1_FLAG.request);

test(`all ${frames.length} Motan v1 vectors are whole frames with their request id`, () => {
  for (const { vector, frame } of frames) {
    const header = readV1Header(frame);
    const id = (BigInt(header.idHigh) << 32n) | BigInt(header.idLow);
    assert.equal(String(id), vector.fields.requestId ?? '1234567890123456789', vector.name);
  }
});

test(`all ${requests.length} request vectors read as the peer wrote them`, () => {
  for (const { vector, frame } of requests) {
    const { service, method, paramDesc, attachments, arguments: values } = vector.fields;
    const request = parseV1Request(frame);
    assert.equal(request.service, service ?? request.service, vector.name);
    assert.equal(request.method, method ?? request.method, vector.name);
    assert.equal(request.description, paramDesc ?? request.description, vector.name);
    if (attachments !== undefined) {
      assert.deepEqual(Object.fromEntries(request.attachments.entries()), attachments, vector.name);
    }
    if (values !== undefined) assert.equal(request.arguments.length, values.length, vector.name);
  }
});

test(`all ${requests.length} request vectors encode to the same bytes again`, () => {
  for (const { vector, frame } of requests) {
    const request = parseV1Request(frame);
    const { idHigh, idLow } = request.header;

    const again = encodeV1Request(request, request.attachments.entries(), idHigh, idLow);

    assert.equal(again.toString('hex'), vector.hex, vector.name);
  }
});

const DECODERS = new Map<unknown, typeof decodeSimpleArguments | typeof decodeBreezeArguments>([
  ['simple', decodeSimpleArguments],
  ['breeze', decodeBreezeArguments],
]);
const readable = requests.filter(({ vector }) => DECODERS.has(vector.fields.serialization));

test(`arguments of the ${readable.length} simple and breeze request vectors hold the values of the caller`, () => {
  for (const { vector, frame } of readable) {
    const decode = DECODERS.get(vector.fields.serialization)!;
    const values = parseV1Request(frame).arguments.map((bytes) =>
      bytes === null ? 'null' : canonical(decode(bytes)[0]!),
    );
    assert.deepEqual(values, vector.fields.arguments!.map(canonicalVector), vector.name);
  }
});

test(`all ${responses.length} response vectors read as the peer wrote them`, () => {
  for (const { vector, frame } of responses) {
    const { processTime, value } = vector.fields;
    const response = parseV1Response(frame);
    assert.equal(String(response.processMs), processTime ?? String(response.processMs), vector.name);
    const decode = DECODERS.get(vector.fields.serialization);
    if (decode !== undefined && response.value !== null) {
      assert.deepEqual(
        canonical(decode(response.value)[0]!),
        canonicalVector(value as VectorValue),
        vector.name,
      );
    }
    if (response.value === null) assert.equal((value as VectorValue).t, 'nil', vector.name);
  }
});

const exceptions = frames.filter(({ vector }) => vector.fields.message !== undefined);

test(`all ${exceptions.length} exception vectors of motan-go are written byte for byte`, () => {
  for (const { vector, frame } of exceptions) {
    const { idHigh, idLow } = readV1Header(frame);
    const text = vector.fields.message as string;
    assert.equal(encodeV1Exception(idHigh, idLow, text).toString('hex'), vector.hex, vector.name);
    assert.deepEqual(parseV1Response(frame).exception, { isBusiness: false, text }, vector.name);
  }
});

test('the exception of a Java server gives its message away', () => {
  const { frame } = frames.find(
    ({ vector }) => vector.name === 'java/v1/hessian2/response_exception_service',
  )!;

  const response = parseV1Response(frame);

  assert.equal(response.className, 'com.weibo.api.motan.exception.MotanServiceException');
  assert.deepEqual(response.exception, { isBusiness: false, text: 'service failure' });
});

test('heartbeats of Go and Java are recognised and written byte for byte', () => {
  const beats = frames.filter(({ vector }) => vector.name.endsWith('heartbeat_request'));
  const answer = frames.find(({ vector }) => vector.name === 'go/v1/heartbeat_response')!;

  assert.deepEqual(
    beats.map(({ vector }) => vector.name.split('/')[0]),
    ['go', 'java'],
  );
  for (const { frame } of beats) {
    assert.ok(isV1Heartbeat(parseV1Request(frame)));
    assert.deepEqual(encodeV1Heartbeat(0, 99), frame);
  }
  assert.ok(isV1HeartbeatAnswer(parseV1Response(answer.frame)));
  assert.deepEqual(encodeV1HeartbeatAnswer(0, 99), answer.frame);
});

const relayed = agentVectors.filter(
  ({ id, agent_to_upstream }) => id.startsWith('v1') && agent_to_upstream !== null,
);

test(`${relayed.length} requests are rewritten to what a motan-go agent sent upstream`, () => {
  for (const vector of relayed) {
    const wanted = hex(vector.agent_to_upstream!);
    const { attachments, header } = parseV1Request(wanted);

    const sent = rewriteV1Request(hex(vector.to_agent), attachments.entries(), header.idHigh, header.idLow);

    assert.equal(sent.toString('hex'), vector.agent_to_upstream, vector.id);
  }
});

const answered = agentVectors.filter(({ id, upstream_to_agent: sent, from_agent: got }) => {
  return id.startsWith('v1') && sent !== null && got !== null && sent.startsWith('f1f10001');
});

test(`${answered.length} answers go back as a motan-go agent gave them to its caller`, () => {
  for (const vector of answered) {
    const { idHigh, idLow } = readV1Header(hex(vector.from_agent!));

    const sent = withV1RequestId(hex(vector.upstream_to_agent!), idHigh, idLow);

    assert.equal(sent.toString('hex'), vector.from_agent, vector.id);
  }
});
