/**
 * Motan frames for tests, written out by hand and on purpose without the code under test: what the scripted peers send and how
 * they read what they get.
 */

export const SIMPLE = 0x30;
export const GZIP = 0x08;
export const HEARTBEAT = 0x10;

export interface FrameFields {
  id?: bigint;
  type?: number;
  versionStatus?: number;
  serialization?: number;
  /** Pairs in order, or the block as bytes. */
  metadata?: Record<string, string> | Buffer;
  body?: Buffer;
}

/** Any Motan2 frame. */
export function frame(fields: FrameFields): Buffer {
  const { id = 1n, type = 0, versionStatus = 0x08, serialization = SIMPLE } = fields;
  const metadata = metadataBlock(fields.metadata ?? {});
  const body = fields.body ?? Buffer.alloc(0);
  const out = Buffer.alloc(21 + metadata.length + body.length);
  out.writeUInt16BE(0xf1f1, 0);
  out[2] = type;
  out[3] = versionStatus;
  out[4] = serialization;
  out.writeBigUInt64BE(id, 5);
  out.writeUInt32BE(metadata.length, 13);
  metadata.copy(out, 17);
  out.writeUInt32BE(body.length, 17 + metadata.length);
  body.copy(out, 21 + metadata.length);
  return out;
}

export interface RequestFields extends FrameFields {
  service?: string;
  method?: string;
}

/** A request for `svc.one`, method `hello`, with the string `abc` as argument. */
export function request(fields: RequestFields = {}): Buffer {
  const {
    service = 'svc.one',
    method = 'hello',
    metadata = {},
    body = simpleString('abc'),
    ...rest
  } = fields;
  const pairs = Buffer.isBuffer(metadata) ? metadata : { M_p: service, M_m: method, ...metadata };
  return frame({ ...rest, metadata: pairs, body });
}

/** A normal answer with the string `ok`. */
export function reply(id: bigint, fields: FrameFields = {}): Buffer {
  return frame({ type: 0x01, body: simpleString('ok'), ...fields, id });
}

export function exceptionReply(id: bigint, code: number, type: number, message: string): Buffer {
  const text = JSON.stringify({ errcode: code, errmsg: message, errtype: type });
  return frame({ id, type: 0x01, versionStatus: 0x09, metadata: { M_e: text } });
}

export function heartbeat(id: bigint): Buffer {
  return frame({ id, type: HEARTBEAT });
}

export function heartbeatReply(id: bigint): Buffer {
  return frame({ id, type: HEARTBEAT | 0x01 });
}

/** One argument of serialization `simple`. */
export function simpleString(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.from([1, 0, 0, 0, 0]);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function metadataBlock(metadata: Record<string, string> | Buffer): Buffer {
  if (Buffer.isBuffer(metadata)) return metadata;
  return Buffer.from(Object.entries(metadata).flat().join('\n'));
}

/** One frame as a peer sees it. */
export interface Frame {
  readonly version: 1 | 2;
  readonly bytes: Buffer;
  readonly type: number;
  readonly versionStatus: number;
  readonly serialization: number;
  readonly id: bigint;
  readonly metadata: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** Cuts what a peer receives into frames. Throws on anything that is not one. */
export class FrameCutter {
  #rest: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];
  #partBytes = 0;
  #wanted = 4;

  push(bytes: Buffer): Frame[] {
    this.#parts.push(bytes);
    this.#partBytes += bytes.length;
    if (this.#partBytes < this.#wanted) return [];
    this.#rest = Buffer.concat(this.#parts);
    const frames: Frame[] = [];
    for (;;) {
      const size = frameSize(this.#rest);
      this.#wanted = size ?? this.#rest.length + 1;
      if (size === null || this.#rest.length < size) break;
      frames.push(parseFrame(this.#rest.subarray(0, size)));
      this.#rest = this.#rest.subarray(size);
    }
    this.#parts = [this.#rest];
    this.#partBytes = this.#rest.length;
    return frames;
  }

  get restBytes(): number {
    return this.#partBytes;
  }
}

/** Size of the frame at the start of `bytes`; null when they do not tell yet. */
function frameSize(bytes: Buffer): number | null {
  if (bytes.length < 4) return null;
  if (bytes.readUInt16BE(0) !== 0xf1f1)
    throw new Error(`not a frame: ${bytes.subarray(0, 32).toString('hex')}`);
  if (bytes[3]! >> 3 === 0) return bytes.length < 16 ? null : 16 + bytes.readUInt32BE(12);
  if (bytes.length < 17) return null;
  const bodySizeAt = 17 + bytes.readUInt32BE(13);
  return bytes.length < bodySizeAt + 4 ? null : bodySizeAt + 4 + bytes.readUInt32BE(bodySizeAt);
}

/** A whole frame taken apart. */
export function parseFrame(bytes: Buffer): Frame {
  if (bytes[3]! >> 3 === 0) {
    const id = bytes.readBigUInt64BE(4);
    return {
      version: 1,
      bytes,
      type: bytes[3]!,
      versionStatus: 0,
      serialization: 0,
      id,
      metadata: new Map(),
      body: bytes,
    };
  }
  const metaEnd = 17 + bytes.readUInt32BE(13);
  return {
    version: 2,
    bytes,
    type: bytes[2]!,
    versionStatus: bytes[3]!,
    serialization: bytes[4]!,
    id: bytes.readBigUInt64BE(5),
    metadata: parseMetadataBlock(bytes.subarray(17, metaEnd)),
    body: bytes.subarray(metaEnd + 4),
  };
}

/** Pairs of a metadata block as latin1 text. Throws where a strict peer would close the connection. */
export function parseMetadataBlock(block: Buffer): Map<string, string> {
  const pairs = new Map<string, string>();
  if (block.length === 0) return pairs;
  const tokens = block.toString('latin1').split('\n');
  if (tokens.length % 2 !== 0) throw new Error(`odd metadata: ${JSON.stringify(tokens)}`);
  for (let index = 0; index < tokens.length; index += 2) {
    const [key, value] = [tokens[index]!, tokens[index + 1]!];
    if (key === '' || value === '') throw new Error(`empty key or value: ${JSON.stringify(tokens)}`);
    if (pairs.has(key)) throw new Error(`repeated key: ${key}`);
    pairs.set(key, value);
  }
  return pairs;
}

/** What an exception answer says. */
export function exceptionOf(answer: Frame): { errcode: number; errmsg: string; errtype: number } {
  return JSON.parse(Buffer.from(answer.metadata.get('M_e') ?? 'null', 'latin1').toString());
}

/** `F1F1 00 08` and the like to bytes; blanks do not matter. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replace(/\s/g, ''), 'hex');
}
