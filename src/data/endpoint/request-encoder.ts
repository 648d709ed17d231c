/**
 * Writes a call towards its node: header, metadata with what the client agent adds (spec wire 3.2), body as it came.
 *
 * The metadata of most calls of a caller is equal, so its outgoing form is kept with the shared head as bytes; only `M_rid` is written
 * per call, and last: there the next agent parts it from the rest.
 */
import { copyBytes, DECIMAL_BYTES_MAX, writeSigned64 } from '../../base/index.js';
import type { Call, CallHead, Metadata } from '../../core/index.js';
import { encodeMetadata } from '../../wire/motan2/index.js';
import { type ByteStream, CHUNK_BYTES } from '../transport/index.js';

const HEADER_BYTES = 17;
const REQUEST_ID_KEY = Buffer.from('\nM_rid\n');
/** Bodies from this size on go by reference when the call owns them: copying them would cost more than a second slice. */
export const BY_REFERENCE_BYTES_MIN = 16 * 1024;

/** Outgoing metadata of a head for endpoints of `group`; `application` is the refer's. */
export function encodedMetadata(head: CallHead, group: string, application: string): Buffer {
  const known = head.encoded;
  if (known !== null && head.encodedGroup === group && head.encodedSource === application) return known;
  const metadata = head.metadata.copy();
  metadata.set('host', head.host);
  if (head.source === '') metadata.set('M_s', metadata.text('application') || application);
  if (group !== '') metadata.set('M_g', group);
  const encoded = encodeMetadata(metadata);
  head.encoded = encoded;
  head.encodedGroup = group;
  head.encodedSource = application;
  return encoded;
}

/** Outgoing metadata of a call that a server agent hands to the backend beside it: spec wire 3.3. The group stays as it came. */
export function encodedBackendMetadata(head: CallHead): Buffer {
  if (head.encoded !== null) return head.encoded;
  const metadata = head.metadata.copy();
  metadata.set('host', head.host);
  addForwardedFor(metadata, head.host);
  head.encoded = encodeMetadata(metadata);
  return head.encoded;
}

export function addForwardedFor(metadata: Metadata, host: string): void {
  if (metadata.text('x-forwarded-for') === '' && metadata.text('X-Forwarded-For') === '')
    metadata.set('x-forwarded-for', host);
}

/** Appends the frame to `stream`. The call's bytes may change afterwards only if the call does not own them. */
export function writeRequest(
  stream: ByteStream,
  call: Call,
  metadata: Buffer,
  idHigh: number,
  idLow: number,
): void {
  const bodyBytes = call.bodyEnd - call.bodyStart;
  const byReference = bodyBytes >= BY_REFERENCE_BYTES_MIN && call.isOwned;
  const most = HEADER_BYTES + metadata.length + REQUEST_ID_KEY.length + DECIMAL_BYTES_MAX + 4;
  if (most > CHUNK_BYTES) {
    writeHuge(stream, call, metadata, idHigh, idLow);
    return;
  }
  const isCopied = !byReference && most + bodyBytes <= CHUNK_BYTES;
  const chunk = stream.reserve(isCopied ? most + bodyBytes : most);
  const { bytes, view } = chunk;
  const start = chunk.used;
  view.setUint32(start, (0xf1f10000 | (call.type << 8) | call.versionStatus) >>> 0);
  bytes[start + 4] = call.serialization;
  view.setUint32(start + 5, idHigh);
  view.setUint32(start + 9, idLow);
  const metaStart = start + HEADER_BYTES;
  bytes.set(metadata, metaStart);
  let at = metaStart + metadata.length;
  if (call.head.requestId === '') {
    bytes.set(REQUEST_ID_KEY, at);
    at = writeSigned64(bytes, at + REQUEST_ID_KEY.length, call.requestIdHigh, call.requestIdLow);
  }
  view.setUint32(start + 13, at - metaStart);
  view.setUint32(at, bodyBytes);
  at += 4;
  if (isCopied) {
    copyBytes(call.bytes, call.view, call.bodyStart, call.bodyEnd, bytes, view, at);
    chunk.used = at + bodyBytes;
    return;
  }
  chunk.used = at;
  const body = call.bytes.subarray(call.bodyStart, call.bodyEnd);
  if (!call.isOwned) {
    stream.appendBuffer(Buffer.from(body));
    return;
  }
  // A call that may be tried again keeps its bytes.
  stream.appendBuffer(body, call.triesLeft === 0 ? call.pooled : null);
}

/** Metadata beyond a chunk: rare enough to be plain. */
function writeHuge(stream: ByteStream, call: Call, metadata: Buffer, idHigh: number, idLow: number): void {
  const requestId = Buffer.alloc(REQUEST_ID_KEY.length + DECIMAL_BYTES_MAX);
  let idBytes = 0;
  if (call.head.requestId === '') {
    REQUEST_ID_KEY.copy(requestId);
    idBytes = writeSigned64(requestId, REQUEST_ID_KEY.length, call.requestIdHigh, call.requestIdLow);
  }
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt32BE((0xf1f10000 | (call.type << 8) | call.versionStatus) >>> 0, 0);
  head[4] = call.serialization;
  head.writeUInt32BE(idHigh, 5);
  head.writeUInt32BE(idLow, 9);
  head.writeUInt32BE(metadata.length + idBytes, 13);
  const bodySize = Buffer.alloc(4);
  bodySize.writeUInt32BE(call.bodyBytes);
  const body = call.bytes.subarray(call.bodyStart, call.bodyEnd);
  stream.appendBuffer(Buffer.concat([head, metadata, requestId.subarray(0, idBytes), bodySize, body]));
}
