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
const BY_REFERENCE_BYTES_MIN = 16 * 1024;

export function writeAnswer(stream: ByteStream, call: Call, reply: Reply, nowMs: number): void {
  const head = reply.head;
  const elapsedMs = Math.max(0, Math.trunc(nowMs - call.receivedMs));
  if (head === null) {
    writeFrame(stream, call, reply, TYPE_RESPONSE, EXCEPTION_STATUS, failureMetadata(reply), elapsedMs);
  } else {
    const metadata = encodedMetadata(head, reply.address);
    writeFrame(
      stream,
      call,
      reply,
      reply.type,
      reply.versionStatus,
      metadata,
      head.hasProcessTime ? -1 : elapsedMs,
    );
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

/** @param elapsedMs written as `M_pt`; -1 for none */
function writeFrame(
  stream: ByteStream,
  call: Call,
  reply: Reply,
  type: number,
  versionStatus: number,
  metadata: Buffer,
  elapsedMs: number,
): void {
  const { bodyStart, bodyEnd } = reply;
  const bodyBytes = bodyEnd - bodyStart;
  const fixed = HEADER_BYTES + PROCESS_TIME_KEY.length + DECIMAL_BYTES_MAX + 4;
  const isMetadataCopied = fixed + metadata.length <= CHUNK_BYTES;
  const byReference = bodyBytes >= BY_REFERENCE_BYTES_MIN && reply.isOwned;
  const most = isMetadataCopied ? fixed + metadata.length : fixed;
  const isBodyCopied = isMetadataCopied && !byReference && most + bodyBytes <= CHUNK_BYTES;
  const chunk = stream.reserve(isBodyCopied ? most + bodyBytes : most);
  const { bytes, view } = chunk;
  const start = chunk.used;
  view.setUint32(start, (0xf1f10000 | ((type | TYPE_PROXY) << 8) | versionStatus) >>> 0);
  bytes[start + 4] = reply.serialization;
  view.setUint32(start + 5, call.idHigh);
  view.setUint32(start + 9, call.idLow);
  let at = start + HEADER_BYTES;
  if (isMetadataCopied) {
    bytes.set(metadata, at);
    at += metadata.length;
  } else {
    chunk.used = at;
    stream.appendBuffer(metadata);
  }
  let timeBytes = 0;
  if (elapsedMs >= 0) {
    const timeStart = at;
    // Without other metadata the key begins the block: no line break before it.
    const key = metadata.length === 0 ? PROCESS_TIME_KEY.subarray(1) : PROCESS_TIME_KEY;
    bytes.set(key, at);
    at = writeInteger(bytes, at + key.length, elapsedMs);
    timeBytes = at - timeStart;
  }
  view.setUint32(start + 13, metadata.length + timeBytes);
  view.setUint32(at, bodyBytes);
  at += 4;
  if (isBodyCopied) {
    copyBytes(reply.bytes, reply.view, bodyStart, bodyEnd, bytes, view, at);
    chunk.used = at + bodyBytes;
    return;
  }
  chunk.used = at;
  if (bodyBytes === 0) return;
  const body = reply.bytes.subarray(bodyStart, bodyEnd);
  if (reply.isOwned) stream.appendBuffer(body, reply.pooled);
  else stream.appendBuffer(Buffer.from(body));
}
