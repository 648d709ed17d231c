/**
 * Writes the answer to a Motan2 caller: its own id, the proxy bit, `M_pt` and `x-forwarded-for` added (spec wire 3.2), all else
 * as the node sent it. What the agent says itself is an exception without a body (spec wire 4).
 *
 * A frame never leaves in two writes before its 13th byte: PHP's reader takes them in one read (spec wire appendix B5).
 */
import { copyBytes, DECIMAL_BYTES_MAX, writeInteger } from '../../base/index.js';
import {
  type Call,
  latin1Text,
  Metadata,
  type Reply,
  type ReplyHead,
  TYPE_PROXY,
  TYPE_RESPONSE,
} from '../../core/index.js';
import { encodeMetadata, exceptionText } from '../../wire/motan2/index.js';
import { type ByteStream, CHUNK_BYTES } from '../transport/index.js';

const HEADER_BYTES = 17;
const PROCESS_TIME_KEY = Buffer.from('\nM_pt\n');
/** Room that a frame takes besides metadata and body. */
const FIXED_BYTES = HEADER_BYTES + PROCESS_TIME_KEY.length + DECIMAL_BYTES_MAX + 4;
const BY_REFERENCE_BYTES_MIN = 16 * 1024;

export function writeAnswer(stream: ByteStream, call: Call, reply: Reply, nowMs: number): void {
  const head = reply.head;
  const elapsedMs = Math.max(0, Math.trunc(nowMs - call.receivedMs));
  if (head === null) {
    const metadata = failureMetadata(reply);
    writeFrame(stream, call, reply, {
      type: TYPE_RESPONSE,
      versionStatus: EXCEPTION_STATUS,
      metadata,
      elapsedMs,
    });
  } else {
    writeFrame(stream, call, reply, {
      type: reply.type,
      versionStatus: reply.versionStatus,
      metadata: encodedMetadata(head, reply.address),
      elapsedMs: head.hasProcessTime ? -1 : elapsedMs,
    });
  }
}

/** Version 1, status 1. */
const EXCEPTION_STATUS = 0x09;

function failureMetadata(reply: Reply): Buffer {
  const metadata = Metadata.of([['M_e', exceptionText(reply.exception!)]]);
  if (reply.address !== '') metadata.set('x-forwarded-for', latin1Text(reply.address));
  return encodeMetadata(metadata);
}

/** Metadata of an answer with the node's address, without what no peer can read. Kept with the head it was made of. */
function encodedMetadata(head: ReplyHead, address: string): Buffer {
  if (head.encoded !== null && head.encodedAddress === address) return head.encoded;
  const metadata = head.metadata.copy();
  if (address !== '') metadata.set('x-forwarded-for', latin1Text(address));
  head.encoded = encodeMetadata(metadata);
  head.encodedAddress = address;
  return head.encoded;
}

/** Everything in front of the body, and what it is made of. */
interface Front {
  readonly type: number;
  readonly versionStatus: number;
  readonly metadata: Buffer;
  /** Written as `M_pt`; -1 for none. */
  readonly elapsedMs: number;
}

function writeFrame(stream: ByteStream, call: Call, reply: Reply, front: Front): void {
  const { bodyStart, bodyEnd } = reply;
  const bodyBytes = bodyEnd - bodyStart;
  const most = FIXED_BYTES + front.metadata.length;
  if (most > CHUNK_BYTES) {
    const own = Buffer.allocUnsafe(most);
    const ownView = new DataView(own.buffer, own.byteOffset, most);
    stream.appendBuffer(own.subarray(0, writeFront(own, ownView, 0, call, reply, front)));
    appendBody(stream, reply);
    return;
  }
  const byReference = bodyBytes >= BY_REFERENCE_BYTES_MIN && reply.isOwned;
  const isBodyCopied = !byReference && most + bodyBytes <= CHUNK_BYTES;
  const chunk = stream.reserve(isBodyCopied ? most + bodyBytes : most);
  const { bytes, view } = chunk;
  const at = writeFront(bytes, view, chunk.used, call, reply, front);
  if (isBodyCopied) {
    copyBytes(reply.bytes, reply.view, bodyStart, bodyEnd, bytes, view, at);
    chunk.used = at + bodyBytes;
  } else {
    chunk.used = at;
    appendBody(stream, reply);
  }
}

/** Header, metadata and body size at `start`; returns where the body begins. */
function writeFront(
  bytes: Buffer,
  view: DataView,
  start: number,
  call: Call,
  reply: Reply,
  front: Front,
): number {
  const { metadata, elapsedMs } = front;
  view.setUint32(start, (0xf1f10000 | ((front.type | TYPE_PROXY) << 8) | front.versionStatus) >>> 0);
  bytes[start + 4] = reply.serialization;
  view.setUint32(start + 5, call.idHigh);
  view.setUint32(start + 9, call.idLow);
  const metaStart = start + HEADER_BYTES;
  bytes.set(metadata, metaStart);
  let at = metaStart + metadata.length;
  if (elapsedMs >= 0) {
    // Without other metadata the key begins the block: no line break before it.
    const key = metadata.length === 0 ? PROCESS_TIME_KEY.subarray(1) : PROCESS_TIME_KEY;
    bytes.set(key, at);
    at = writeInteger(bytes, at + key.length, elapsedMs);
  }
  view.setUint32(start + 13, at - metaStart);
  view.setUint32(at, reply.bodyEnd - reply.bodyStart);
  return at + 4;
}

function appendBody(stream: ByteStream, reply: Reply): void {
  if (reply.bodyEnd === reply.bodyStart) return;
  const body = reply.bytes.subarray(reply.bodyStart, reply.bodyEnd);
  if (reply.isOwned) stream.appendBuffer(body, reply.pooled);
  else stream.appendBuffer(Buffer.from(body));
}
