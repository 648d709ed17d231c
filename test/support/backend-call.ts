/** Calls for a provider, and whoever waits for its reply. */
import {
  Call,
  CallHead,
  Metadata,
  type Provider,
  type ProviderObserver,
  type Reply,
} from '../../src/core/index.js';
import { within } from './clock.js';

export const SIMPLE_BYTE = 0x30;
export const BREEZE_BYTE = 0x40;

/** `simple` values, written by hand. */
export const simple = {
  nothing: Buffer.alloc(0),
  null: Buffer.from([0]),
  text: (text: string | Buffer): Buffer => sized(1, Buffer.from(text)),
  bytes: (bytes: string | Buffer): Buffer => sized(3, Buffer.from(bytes)),
  map: (pairs: Record<string, string>): Buffer => {
    const parts = Object.entries(pairs).flatMap(([key, value]) => [
      counted(Buffer.from(key)),
      counted(Buffer.from(value)),
    ]);
    return sized(2, Buffer.concat(parts));
  },
  /** A zigzag int64 below 64. */
  int64: (value: number): Buffer => Buffer.from([9, value * 2]),
};

function counted(bytes: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(bytes.length);
  return Buffer.concat([size, bytes]);
}

function sized(tag: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag]), counted(bytes)]);
}

export interface CallOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly serialization?: number;
  readonly protocol?: 1 | 2;
  readonly receivedMs?: number;
  readonly host?: string;
}

const NOBODY = { onReply() {}, onPressure() {}, onRelief() {} };

export function callHead(
  method: string,
  metadata: Readonly<Record<string, string>> = {},
  host = '10.1.2.3',
): CallHead {
  const pairs = { M_p: 'svc.one', M_m: method, M_g: 'g1', host, ...metadata };
  return new CallHead(Metadata.of(Object.entries(pairs)), host);
}

/** A call with frame id 77, whose body is a view into memory that is overwritten as soon as `run` has handed it over. */
export function backendCall(head: CallHead, options: CallOptions = {}): Call {
  const { body = simple.nothing, serialization = SIMPLE_BYTE, protocol = 2, receivedMs = 0 } = options;
  const memory = Buffer.concat([Buffer.from('before'), body, Buffer.from('behind')]);
  return new Call(
    head,
    NOBODY,
    protocol,
    0,
    77,
    0x02,
    0x08,
    serialization,
    receivedMs,
    memory,
    6,
    6 + body.length,
  );
}

/** A reply as it was when it was told, with the body copied. */
export interface Told {
  readonly reply: Reply;
  readonly body: Buffer;
}

export class ReplyRecorder implements ProviderObserver {
  readonly told: Told[] = [];
  readonly first: Promise<Told>;
  #resolve: (told: Told) => void = () => undefined;

  constructor() {
    this.first = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  onProviderDone(_call: Call, reply: Reply): void {
    const told = { reply, body: Buffer.from(reply.bytes.subarray(reply.bodyStart, reply.bodyEnd)) };
    this.told.push(told);
    this.#resolve(told);
  }
}

/** Hands the call over, spoils the memory it came in, and waits for its reply. */
export async function runCall(provider: Provider, call: Call, withinMs = 5000): Promise<Told> {
  const recorder = new ReplyRecorder();
  const { bytes, isOwned } = call;
  provider.start(call, recorder);
  if (!isOwned) bytes.fill(0xee);
  return within('the reply', recorder.first, withinMs);
}
