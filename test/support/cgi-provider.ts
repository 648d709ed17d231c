/** A provider `cgi` under test: calls in, replies out, and the proof that each call is answered once. */
import assert from 'node:assert/strict';
import {
  Call,
  CallHead,
  type CallOrigin,
  type Logger,
  MeshUrl,
  Metadata,
  type Provider,
  type Reply,
} from '../../src/core/index.js';
import { createCgiProvider } from '../../src/data/provider/cgi/index.js';
import { IoLoop } from '../../src/data/transport/index.js';
import {
  decodeBreezeArguments,
  decodeSimpleValue,
  encodeSimpleArguments,
  type SimpleValue,
} from '../../src/wire/serialization/index.js';
import { realClock, within } from './clock.js';

const NOBODY: CallOrigin = { onReply() {}, onPressure() {}, onRelief() {} };
const SIMPLE = 6;
export const BREEZE = 8;

export interface CgiCallFields {
  metadata?: Record<string, string>;
  args?: readonly SimpleValue[];
  /** Instead of `args`. */
  body?: Buffer;
  serialization?: number;
  host?: string;
  protocol?: 1 | 2;
  id?: readonly [high: number, low: number];
}

/** A call as it comes from an export listener: its body is a view into foreign memory. */
export function cgiCall(fields: CgiCallFields = {}, receivedMs = realClock.nowMs()): Call {
  const { metadata = {}, args = [], host = '10.1.2.3', id = [0, 7], protocol = 2 } = fields;
  const body = fields.body ?? encodeSimpleArguments(args);
  const head = new CallHead(Metadata.of(Object.entries({ M_p: 'svc.php', M_m: 'run', ...metadata })), host);
  const serialization = (fields.serialization ?? SIMPLE) << 3;
  return new Call(
    head,
    NOBODY,
    protocol,
    id[0],
    id[1],
    2,
    8,
    serialization,
    receivedMs,
    body,
    0,
    body.length,
  );
}

export const text = (value: string): SimpleValue => ({ type: 'string', value });
export const bytes = (value: Buffer | string): SimpleValue => ({
  type: 'bytes',
  value: Buffer.from(value as string, 'latin1'),
});
export const map = (pairs: Record<string, string>): SimpleValue => ({
  type: 'stringMap',
  entries: Object.entries(pairs),
});

/** A transparent HTTP call. */
export function httpCall(
  block: string,
  body: Buffer | string = '',
  metadata: Record<string, string> = {},
): CgiCallFields {
  const parts: SimpleValue[] = [
    { type: 'bytes', value: Buffer.from(block, 'latin1') },
    { type: 'bytes', value: typeof body === 'string' ? Buffer.from(body, 'latin1') : body },
  ];
  return { metadata: { HTTP_PROXY: 'true', ...metadata }, args: parts };
}

/** The string value of an RPC answer, as latin1. */
export function textOf(reply: Reply): string {
  const body = reply.bytes.subarray(reply.bodyStart, reply.bodyEnd);
  const value =
    reply.serialization >> 3 === BREEZE ? decodeBreezeArguments(body)[0]! : decodeSimpleValue(body);
  assert.equal(value.type, 'string');
  const inner = (value as { value: string | Buffer }).value;
  return typeof inner === 'string' ? Buffer.from(inner, 'utf8').toString('latin1') : inner.toString('latin1');
}

/** Header block and body of a transparent answer. */
export function httpOf(reply: Reply): { block: string; body: Buffer } {
  const value = decodeSimpleValue(reply.bytes.subarray(reply.bodyStart, reply.bodyEnd));
  assert.equal(value.type, 'array');
  const [block, body] = (value as unknown as { elements: { type: string; value: Buffer }[] }).elements;
  assert.deepEqual([block!.type, body!.type], ['bytes', 'bytes']);
  return { block: block!.value.toString('latin1'), body: body!.value };
}

/** Keeps the warnings. */
export class WarningsLogger implements Logger {
  readonly entries: { fields: object; message: string }[] = [];

  debug(): void {}
  info(): void {}
  error(): void {}

  warn(fields: object, message: string): void {
    if (this.entries.length < 10_000) this.entries.push({ fields, message });
  }

  child(): Logger {
    return this;
  }
}

export class CgiScene {
  readonly loop: IoLoop;
  readonly logger = new WarningsLogger();
  readonly provider: Provider;
  /** Calls begun and calls answered. */
  started = 0;
  answered = 0;

  constructor(parameters: Record<string, string>, options: { useRaw?: boolean } = {}) {
    this.loop = new IoLoop(realClock);
    const url = new MeshUrl({
      protocol: 'motan2',
      host: '127.0.0.1',
      port: 9982,
      path: 'svc.php',
      group: 'g1',
      parameters: new Map(Object.entries({ requestTimeout: '5000', ...parameters })),
    });
    this.provider = createCgiProvider(
      { url, locations: null, httpMethods: new Map() },
      { loop: this.loop, logger: this.logger, useRaw: options.useRaw ?? true },
    );
  }

  /** Starts a call; resolves with its reply and fails when it gets a second one. */
  call(fields: CgiCallFields = {}): Promise<Reply> {
    return this.start(cgiCall(fields));
  }

  start(call: Call, withinMs = 20_000): Promise<Reply> {
    this.started += 1;
    const reply = new Promise<Reply>((resolve) => {
      let isDone = false;
      this.provider.start(call, {
        onProviderDone: (_call, got) => {
          assert.equal(isDone, false, 'a call was answered twice');
          isDone = true;
          this.answered += 1;
          resolve(got);
        },
      });
    });
    return within('the reply of a call', reply, withinMs);
  }

  probe(kind: 'tcp' | 'http' | 'fpm', path = '/ping', timeoutMs = 1000): Promise<string | null> {
    const answer = new Promise<string | null>((resolve) => {
      this.provider.probe({ kind, path }, timeoutMs, resolve);
    });
    return within('the result of a probe', answer);
  }

  end(): void {
    this.provider.close(0);
    this.loop.close();
  }
}
