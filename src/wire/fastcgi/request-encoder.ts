/**
 * One request as bytes: parameters first, in the order in which they are added, then the body.
 *
 * A pair of name and value stands whole in one record wherever that is possible: PHP (main/fastcgi.c, 8.2) reads every record of
 * parameters for itself and drops the connection when a pair is cut. Only a pair that is larger than a record is
 * cut, as the protocol allows; `pairBytesMax` tells whether one was.
 *
 * A pair: size of name, size of value, name, value; sizes below 128 in one byte, others in four with the top bit set.
 */
import { CONTENT_BYTES_MAX, RECORD_HEAD_BYTES, RECORD_TYPE, writeRecordHead } from './record.js';

const FIRST_BYTES = 2048;
const BEGIN_BYTES = RECORD_HEAD_BYTES + 8;
const ROLE_RESPONDER = 1;
/** Bodies up to this size are copied behind the parameters, so that the request is one slice. */
const COPIED_BODY_BYTES_MAX = 16 * 1024;
/** Of a large body in one record: a multiple of eight, which readers that align like. */
const STDIN_BYTES_MAX = CONTENT_BYTES_MAX & ~7;

const NO_PARAMS_HERE = -1;

export class RequestEncoder {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #at = BEGIN_BYTES;
  /** Head of the open record of parameters. */
  #recordAt = NO_PARAMS_HERE;
  #pairBytesMax = 0;

  constructor() {
    const bytes = this.#bytes;
    writeRecordHead(bytes, 0, RECORD_TYPE.beginRequest, 8);
    // Flags 0: the peer ends the connection after the answer.
    bytes.fill(0, RECORD_HEAD_BYTES, BEGIN_BYTES);
    bytes.writeUInt16BE(ROLE_RESPONDER, RECORD_HEAD_BYTES);
  }

  /** The largest pair so far. Above CONTENT_BYTES_MAX it is cut, and PHP will not read it. */
  get pairBytesMax(): number {
    return this.#pairBytesMax;
  }

  /** Adds a parameter; name and value are latin1 text of the bytes that are meant. */
  param(name: string, value: string): void {
    const nameBytes = name.length;
    const valueBytes = value.length;
    const pairBytes = sizeBytes(nameBytes) + sizeBytes(valueBytes) + nameBytes + valueBytes;
    if (pairBytes > this.#pairBytesMax) this.#pairBytesMax = pairBytes;
    if (pairBytes > CONTENT_BYTES_MAX) {
      this.#cutPair(name, value, pairBytes);
      return;
    }
    const isOpen = this.#recordAt !== NO_PARAMS_HERE;
    if (isOpen && this.#at - this.#recordAt - RECORD_HEAD_BYTES + pairBytes > CONTENT_BYTES_MAX) this.#seal();
    this.#reserve(RECORD_HEAD_BYTES + pairBytes);
    this.#open();
    this.#at = writePair(this.#bytes, this.#at, name, value);
  }

  /**
   * The whole request in the order in which it is sent; the encoder is not used afterwards. A large body is in it by reference.
   */
  finish(body: Buffer): Uint8Array[] {
    if (this.#recordAt !== NO_PARAMS_HERE) this.#seal();
    const isCopied = body.length <= COPIED_BODY_BYTES_MAX;
    this.#reserve(3 * RECORD_HEAD_BYTES + (isCopied ? body.length : 0));
    this.#head(RECORD_TYPE.params, 0);
    if (isCopied && body.length > 0) {
      this.#head(RECORD_TYPE.stdin, body.length);
      this.#at += body.copy(this.#bytes, this.#at);
    }
    if (isCopied) this.#head(RECORD_TYPE.stdin, 0);
    const front = this.#bytes.subarray(0, this.#at);
    return isCopied ? [front] : [front, ...bodySlices(body)];
  }

  #open(): void {
    if (this.#recordAt !== NO_PARAMS_HERE) return;
    this.#recordAt = this.#at;
    this.#at += RECORD_HEAD_BYTES;
  }

  #seal(): void {
    const contentBytes = this.#at - this.#recordAt - RECORD_HEAD_BYTES;
    writeRecordHead(this.#bytes, this.#recordAt, RECORD_TYPE.params, contentBytes);
    this.#recordAt = NO_PARAMS_HERE;
  }

  /** A pair that no record holds: over as many records as it takes, none of them shared with another pair. */
  #cutPair(name: string, value: string, pairBytes: number): void {
    if (this.#recordAt !== NO_PARAMS_HERE) this.#seal();
    const pair = Buffer.allocUnsafe(pairBytes);
    writePair(pair, 0, name, value);
    const records = Math.ceil(pairBytes / CONTENT_BYTES_MAX);
    this.#reserve(pairBytes + records * RECORD_HEAD_BYTES);
    for (let start = 0; start < pairBytes; start += CONTENT_BYTES_MAX) {
      const end = Math.min(pairBytes, start + CONTENT_BYTES_MAX);
      this.#head(RECORD_TYPE.params, end - start);
      this.#at += pair.copy(this.#bytes, this.#at, start, end);
    }
  }

  #head(type: number, contentBytes: number): void {
    writeRecordHead(this.#bytes, this.#at, type, contentBytes);
    this.#at += RECORD_HEAD_BYTES;
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }
}

/** The records of a large body: heads out of one piece of memory, contents by reference. */
function bodySlices(body: Buffer): Uint8Array[] {
  const records = Math.ceil(body.length / STDIN_BYTES_MAX);
  const heads = Buffer.allocUnsafe((records + 1) * RECORD_HEAD_BYTES);
  const slices: Uint8Array[] = [];
  for (let index = 0; index <= records; index += 1) {
    const start = index * STDIN_BYTES_MAX;
    const content = body.subarray(start, start + STDIN_BYTES_MAX);
    const headAt = index * RECORD_HEAD_BYTES;
    writeRecordHead(heads, headAt, RECORD_TYPE.stdin, content.length);
    slices.push(heads.subarray(headAt, headAt + RECORD_HEAD_BYTES));
    if (content.length > 0) slices.push(content);
  }
  return slices;
}

function sizeBytes(size: number): number {
  return size < 0x80 ? 1 : 4;
}

function writePair(into: Buffer, start: number, name: string, value: string): number {
  let at = writeSize(into, start, name.length);
  at = writeSize(into, at, value.length);
  at += into.write(name, at, 'latin1');
  return at + into.write(value, at, 'latin1');
}

function writeSize(into: Buffer, at: number, size: number): number {
  if (size < 0x80) {
    into[at] = size;
    return at + 1;
  }
  return into.writeUInt32BE((size | 0x80000000) >>> 0, at);
}
