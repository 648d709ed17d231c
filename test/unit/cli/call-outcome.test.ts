import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { CallSummary, describe, exitCodeOf, isAgentMade, outcomeOf } from '../../../src/cli/call-outcome.js';
import type { CallAnswer } from '../../../src/cli/motan-client.js';
import { Metadata } from '../../../src/core/index.js';
import { exceptionText } from '../../../src/wire/motan2/index.js';
import { encodeSimple, SIMPLE, type SimpleValue } from '../../../src/wire/serialization/index.js';

const BREEZE_OR_OTHER = 5;

function answer(fields: Partial<CallAnswer> = {}): CallAnswer {
  return {
    type: 1,
    status: 0,
    serialization: SIMPLE,
    metadata: new Metadata(),
    body: encodeSimple({ type: 'int32', value: 5 }),
    requestId: 7n,
    requestBytes: 30,
    answerBytes: 40,
    elapsedMs: 1.5,
    ...fields,
  };
}

function exception(code: number, type: number, fields: Partial<CallAnswer> = {}): CallAnswer {
  const metadata = Metadata.of([['M_e', exceptionText({ code, type, message: 'no' })]]);
  return answer({ status: 1, serialization: 0, body: Buffer.alloc(0), metadata, ...fields });
}

test('a value is plain JSON, or typed when asked for', () => {
  assert.equal(Reflect.get(outcomeOf(answer(), false), 'value'), 5);
  assert.deepEqual(Reflect.get(outcomeOf(answer(), true), 'value'), { $int32: 5 });
});

test('text and bytes are shown raw as they are, other values as JSON', () => {
  const raw = (value: SimpleValue): string | Buffer => {
    const outcome = outcomeOf(answer({ body: encodeSimple(value) }), false);
    assert.equal(outcome.outcome, 'ok');
    return describe.raw(outcome as Extract<typeof outcome, { outcome: 'ok' }>);
  };

  assert.equal(raw({ type: 'string', value: 'a\nb' }), 'a\nb');
  assert.deepEqual(raw({ type: 'bytes', value: Buffer.from([0, 255]) }), Buffer.from([0, 255]));
  assert.equal(raw({ type: 'int32', value: 5 }), '5\n');
});

test('the node is the one that the agent names', () => {
  const metadata = Metadata.of([['x-forwarded-for', '10.0.0.5:8100']]);

  assert.equal(Reflect.get(outcomeOf(answer({ metadata }), false), 'node'), '10.0.0.5:8100');
  assert.equal(Reflect.get(outcomeOf(answer(), false), 'node'), null);
});

test('a zipped body is unzipped, one that only says so is shown as hex', () => {
  const zipped = answer({ type: 0x09, body: gzipSync(encodeSimple({ type: 'string', value: 'a' })) });
  const wrong = answer({ type: 0x09, body: Buffer.from([1, 2]) });

  assert.equal(Reflect.get(outcomeOf(zipped, false), 'value'), 'a');
  assert.deepEqual(Reflect.get(outcomeOf(wrong, false), 'value'), '0102');
});

test('an empty body is null, and what cannot be read is hex with the reason', () => {
  const empty = outcomeOf(answer({ body: Buffer.alloc(0) }), false);
  const foreign = outcomeOf(answer({ serialization: BREEZE_OR_OTHER, body: Buffer.from([8, 1]) }), false);
  const broken = outcomeOf(answer({ body: Buffer.from([1, 0, 0, 0, 9, 65]) }), false);

  assert.equal(Reflect.get(empty, 'value'), null);
  assert.equal(Reflect.get(foreign, 'value'), '0801');
  assert.match(String(Reflect.get(foreign, 'note')), /protobuf/);
  assert.match(String(Reflect.get(broken, 'note')), /at byte \d+/);
});

test('exceptions of an agent are told from those of a service', () => {
  for (const code of [400, 500, 503, 1001, 1002, 1003, 1004]) {
    assert.equal(outcomeOf(exception(code, 1), false).outcome, 'agent-exception', String(code));
  }
  assert.equal(outcomeOf(exception(503, 503), false).outcome, 'agent-exception');
  assert.equal(outcomeOf(exception(30001, 2), false).outcome, 'exception');
  assert.equal(outcomeOf(exception(400, 2), false).outcome, 'exception');
  assert.equal(outcomeOf(exception(400, 1, { serialization: SIMPLE }), false).outcome, 'exception');
  assert.equal(isAgentMade({ serialization: 0, body: Buffer.from([0]) }, { code: 400, type: 1 }), false);
});

test('an exception status without a readable M_e is still an exception', () => {
  const outcome = outcomeOf(answer({ status: 1, metadata: Metadata.of([['M_e', 'oops']]) }), false);

  assert.equal(exitCodeOf(outcome), 1);
  assert.match(JSON.stringify(outcome), /without a readable M_e: oops/);
});

test('M_e makes an exception whatever the status says, as PHP clients read it', () => {
  assert.equal(outcomeOf(exception(30001, 2, { status: 0 }), false).outcome, 'exception');
});

test('exit codes: 0 for an answer, 1 for an exception of the service, 2 for everything else', () => {
  const failure = { outcome: 'failure', failure: { code: 'E_TIMEOUT', message: 'late' }, timeMs: 5 } as const;

  assert.deepEqual(
    [
      outcomeOf(answer(), false),
      outcomeOf(exception(1, 2), false),
      outcomeOf(exception(1001, 1), false),
      failure,
    ].map(exitCodeOf),
    [0, 1, 2, 2],
  );
});

test('a trouble is one sentence with code, type and text', () => {
  const outcome = outcomeOf(exception(30001, 2), false) as Parameters<typeof describe.trouble>[0];

  assert.equal(describe.trouble(outcome), 'exception of the service: code 30001, type 2 (business): no');
});

test('a summary counts outcomes, nodes and times, and ends with the worst exit code', () => {
  const summary = new CallSummary();
  const metadata = Metadata.of([['x-forwarded-for', 'a:1']]);
  summary.add(outcomeOf(answer({ metadata, elapsedMs: 1 }), false));
  summary.add(outcomeOf(answer({ metadata, elapsedMs: 3 }), false));
  summary.add(outcomeOf(exception(30001, 2, { elapsedMs: 2 }), false));

  assert.equal(summary.exitCode, 1);
  assert.deepEqual(summary.toJSON(), {
    calls: 3,
    ok: 2,
    exceptions: 1,
    failures: 0,
    timeMs: { p50: 2, p99: 3, max: 3 },
    nodes: { 'a:1': 2, unknown: 1 },
    troubles: { 'exception of the service: code 30001, type 2 (business): no': 1 },
  });
  assert.match(summary.toText(), /^3 calls: 2 ok, 1 exceptions, 0 failures\ntime: p50 2\.00 ms/);
});
