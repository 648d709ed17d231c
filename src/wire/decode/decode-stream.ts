/**
 * A byte string with Motan frames of both protocols as plain objects for people: what `peony decode` prints.
 *
 * Frames are cut by the reader of the data path, so that what is refused here is refused there. Where the bytes stop
 * making sense one object `{error, offset}` ends the list. A body that cannot be read is no such end: its frame is shown with the
 * bytes in hex and with `bodyError`. Never throws for bad bytes.
 */
import { BufferPool } from '../../base/index.js';
import {
  type Metadata,
  ProtocolError,
  TYPE_GZIP,
  TYPE_HEARTBEAT,
  TYPE_PROXY,
  TYPE_RESPONSE,
} from '../../core/index.js';
import { FrameReader } from '../framing/index.js';
import { gunzipBody, parseException, parseMetadata } from '../motan2/index.js';
import {
  BREEZE,
  breezeToJson,
  decodeBreezeArguments,
  decodeSimpleArguments,
  SIMPLE,
  serializationName,
  simpleToJson,
} from '../serialization/index.js';
import { decodeV1Frame } from './decode-v1.js';
import {
  type DecodedBody,
  type DecodedFrame,
  hexShown,
  metadataShown,
  type StreamEntry,
  textShown,
} from './decoded-frame.js';

const TYPE_ONE_WAY = 0x04;
const TYPE_RESERVED = 0xe0;
const STATUS_EXCEPTION = 1;
const JSON_TEXT = 2;

export interface DecodeLimits {
  /** Metadata and body of a frame, each; default 64 MiB, because here it is the size of a file and no peer's wish. */
  readonly frameBytesMax?: number;
  /** What a zipped body may grow to; default 16 MiB. */
  readonly unzippedBytesMax?: number;
}

const FRAME_BYTES_MAX = 64 * 1024 * 1024;
const UNZIPPED_BYTES_MAX = 16 * 1024 * 1024;

/** All frames of `bytes` in order; the last entry is an error when the bytes stop making sense or end inside a frame. */
export function decodeStream(bytes: Buffer, limits: DecodeLimits = {}): StreamEntry[] {
  const entries: StreamEntry[] = [];
  const frameBytesMax = limits.frameBytesMax ?? FRAME_BYTES_MAX;
  const unzippedBytesMax = limits.unzippedBytesMax ?? UNZIPPED_BYTES_MAX;
  const reader = new FrameReader(frameBytesMax, new BufferPool());
  reader.push(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), bytes.length);
  let at = 0;
  // Errors of the frame reader count from the start of the frame, those of the parsers from the start of `bytes`.
  let base = 0;
  try {
    for (;;) {
      base = at;
      if (!reader.next()) break;
      if (reader.oversize) throw new ProtocolError(`metadata or body is over ${frameBytesMax} bytes`, 0);
      if (reader.version === 1) {
        entries.push(decodeV1Frame(bytes.subarray(reader.start, reader.end), reader.start, unzippedBytesMax));
      } else {
        base = 0;
        entries.push(decodeMotan2(reader, unzippedBytesMax));
      }
      at = reader.end;
    }
    if (at < bytes.length) {
      throw new ProtocolError(
        `input ends inside a frame, ${bytes.length - at} bytes of it are there`,
        bytes.length - at,
      );
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    entries.push({ error: error.message, offset: base + Math.max(error.offset, 0) });
  }
  return entries;
}

function decodeMotan2(frame: FrameReader, unzippedBytesMax: number): DecodedFrame {
  const type = frame.type;
  const metadata = parseMetadata(frame.bytes, frame.metaStart, frame.metaEnd);
  const status = frame.versionStatus & 0x07;
  const isResponse = (type & TYPE_RESPONSE) !== 0;
  const number = frame.serialization >> 3;
  const shown: DecodedFrame = {
    protocol: 'motan2',
    kind: kindOf(type, status),
    requestId: String((BigInt(frame.idHigh) << 32n) | BigInt(frame.idLow)),
    start: frame.start,
    size: frame.end - frame.start,
    flags: {
      response: isResponse,
      proxy: (type & TYPE_PROXY) !== 0,
      oneWay: (type & TYPE_ONE_WAY) !== 0,
      gzip: (type & TYPE_GZIP) !== 0,
      heartbeat: (type & TYPE_HEARTBEAT) !== 0,
      reserved: (type & TYPE_RESERVED) >> 5,
    },
    serialization: serializationName(number),
    serializationNumber: number,
    status,
    metadata: metadataShown(metadata),
  };
  const exception = exceptionOf(metadata);
  const bytes = frame.bytes.subarray(frame.bodyStart, frame.bodyEnd);
  return {
    ...shown,
    ...(exception === null ? {} : { exception }),
    ...decodeBody(bytes, number, (type & TYPE_GZIP) !== 0, unzippedBytesMax),
  };
}

function kindOf(type: number, status: number): DecodedFrame['kind'] {
  if ((type & TYPE_HEARTBEAT) !== 0) return 'heartbeat';
  if ((type & TYPE_RESPONSE) === 0) return 'request';
  return status === STATUS_EXCEPTION ? 'exception' : 'response';
}

/** `M_e` as an object; null when it is absent or unreadable, which the metadata shows anyway. */
function exceptionOf(metadata: Metadata): { errcode: number; errmsg: string; errtype: number } | null {
  const text = metadata.get('M_e');
  const exception = text === undefined ? null : parseException(text);
  if (exception === null || exception === 'unreadable') return null;
  return { errcode: exception.code, errmsg: exception.message, errtype: exception.type };
}

function decodeBody(body: Buffer, number: number, isZipped: boolean, unzippedBytesMax: number): DecodedBody {
  let bytes = body;
  if (isZipped && body.length > 0) {
    const unzipped = gunzipBody(body, unzippedBytesMax);
    if (unzipped === null || unzipped === 'too-large') {
      const error =
        unzipped === null ? 'body is not gzip' : `body unzips to more than ${unzippedBytesMax} bytes`;
      return { bodyHex: hexShown(body), bodyError: { error, offset: 0 } };
    }
    bytes = unzipped;
  }
  try {
    if (number === SIMPLE)
      return { body: decodeSimpleArguments(bytes).map((item) => simpleToJson(item, { exact: true })) };
    if (number === BREEZE)
      return { body: decodeBreezeArguments(bytes).map((item) => breezeToJson(item, { exact: true })) };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { bodyHex: hexShown(bytes), bodyError: { error: error.message, offset: error.offset } };
  }
  if (bytes.length === 0) return { body: [] };
  if (number === JSON_TEXT) return { bodyText: textShown(bytes.toString('latin1')) };
  return { bodyHex: hexShown(bytes) };
}
