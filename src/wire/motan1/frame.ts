/**
 * Frames of Motan v1 (spec wire 10.1): the two headers around a Java object stream. Whole frames only, no IO.
 *
 *   0       2      4            12           16      18        19     20           28           32
 *   | f1 f1 | type | request id | rest size  | f0 f0 | version | flag | request id | size n     | object stream n |
 *
 * Invariant of a checked frame: rest size = 16 + n, and the frame ends where the stream does. The inner id counts.
 */
import { ProtocolError } from '../../core/index.js';

export const V1_HEADER_BYTES = 32;
/** Inner version of the variant that may be zipped and counts attachments in two bytes (spec wire 10.8). */
export const V1_COMPRESSED = 2;

export const V1_FLAG = {
  request: 0x00,
  value: 0x01,
  void: 0x03,
  exception: 0x05,
  valueWithAttachments: 0x07,
} as const;

const OUTER_MAGIC = 0xf1f1;
const INNER_MAGIC = 0xf0f0;

export interface V1Header {
  /** 1 plain, 2 compressed variant. Others pass as 1, as they do through motan-go. */
  readonly innerVersion: number;
  /** One of V1_FLAG, or what a peer made up. */
  readonly flag: number;
  readonly idHigh: number;
  readonly idLow: number;
}

/** Checks both headers of a whole frame. Throws ProtocolError with the offset in the frame. */
export function readV1Header(frame: Buffer): V1Header {
  if (frame.length < V1_HEADER_BYTES) {
    throw new ProtocolError(`Motan v1 frame of ${frame.length} bytes is too short`, frame.length);
  }
  if (frame.readUInt16BE(0) !== OUTER_MAGIC) throw new ProtocolError('not a Motan frame', 0);
  if (frame[3]! >> 3 !== 0) throw new ProtocolError('not a Motan v1 frame', 3);
  const restBytes = frame.readUInt32BE(12);
  if (restBytes !== frame.length - 16) {
    throw new ProtocolError(`Motan v1 frame names ${restBytes} bytes, ${frame.length - 16} are there`, 12);
  }
  if (frame.readUInt16BE(16) !== INNER_MAGIC)
    throw new ProtocolError('inner magic of the Motan v1 frame is wrong', 16);
  const streamBytes = frame.readUInt32BE(28);
  if (streamBytes !== frame.length - V1_HEADER_BYTES) {
    throw new ProtocolError(
      `Motan v1 object stream names ${streamBytes} bytes, ${frame.length - V1_HEADER_BYTES} are there`,
      28,
    );
  }
  return {
    innerVersion: frame[18]!,
    flag: frame[19]!,
    idHigh: frame.readUInt32BE(20),
    idLow: frame.readUInt32BE(24),
  };
}

/** A copy of `frame` with both ids replaced: how an answer goes back to its caller. */
export function withV1RequestId(frame: Buffer, idHigh: number, idLow: number): Buffer {
  const copy = Buffer.from(frame);
  writeV1RequestId(copy, idHigh, idLow);
  return copy;
}

/** Replaces both ids in place. `frame` must be at least the two headers long. */
export function writeV1RequestId(frame: Buffer, idHigh: number, idLow: number): void {
  frame.writeUInt32BE(idHigh, 4);
  frame.writeUInt32BE(idLow, 8);
  frame.writeUInt32BE(idHigh, 20);
  frame.writeUInt32BE(idLow, 24);
}

/** A frame around `stream`; the outer type follows from the flag. */
export function encodeV1Frame(header: V1Header, stream: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(V1_HEADER_BYTES + stream.length);
  frame.writeUInt16BE(OUTER_MAGIC, 0);
  frame.writeUInt16BE(header.flag === V1_FLAG.request ? 0 : 1, 2);
  frame.writeUInt32BE(stream.length + 16, 12);
  frame.writeUInt16BE(INNER_MAGIC, 16);
  frame[18] = header.innerVersion;
  frame[19] = header.flag;
  frame.writeUInt32BE(stream.length, 28);
  writeV1RequestId(frame, header.idHigh, header.idLow);
  stream.copy(frame, V1_HEADER_BYTES);
  return frame;
}
