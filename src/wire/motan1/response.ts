/**
 * Answers of Motan v1: read as far as an agent must, and the two that an agent makes itself.
 *
 *   value      blocks(process time, class name) | array            flag 01, and 07 with blocks(attachments) behind
 *   void       blocks(process time)                                flag 03
 *   exception  blocks(process time, exception class name) | array  flag 05
 */
import { Metadata, ProtocolError } from '../../core/index.js';
import { encodeV1Frame, readV1Header, V1_FLAG, type V1Header } from './frame.js';
import { encodeHessianString, hessianExceptionText } from './hessian.js';
import { encodeTexts, ObjectStreamReader, ObjectStreamWriter, UNZIPPED_BYTES_MAX } from './object-stream.js';

export interface V1Response {
  readonly header: V1Header;
  /** As the server measured it. */
  readonly processMs: number;
  /** Java class of the value or exception; empty for void. */
  readonly className: string;
  /** The serialized value as a view; null for void and for a value that is no byte array. */
  readonly value: Buffer | null;
  /** Of flag 07; empty otherwise. */
  readonly attachments: Metadata;
  /** Null unless flag 05. */
  readonly exception: V1Exception | null;
}

export interface V1Exception {
  /** True for Motan's business exception: a final answer, never tried again (spec wire 4.2, 10.4). */
  readonly isBusiness: boolean;
  /** The message inside, where the serialized exception gives it away; empty otherwise. */
  readonly text: string;
}

const BUSINESS_CLASS = 'com.weibo.api.motan.exception.MotanBizException';
const SERVICE_CLASS = 'com.weibo.api.motan.exception.MotanServiceException';
const ERROR_MSG_CLASS = 'com.weibo.api.motan.exception.MotanErrorMsg';
const STRING_CLASS = 'java.lang.String';

/** Reads a whole response frame. Throws ProtocolError with the offset in the frame. */
export function parseV1Response(frame: Buffer, unzippedBytesMax = UNZIPPED_BYTES_MAX): V1Response {
  const header = readV1Header(frame);
  if (header.flag === V1_FLAG.request)
    throw new ProtocolError('a Motan v1 request where an answer belongs', 19);
  const stream = new ObjectStreamReader(frame, header, unzippedBytesMax);
  const block = stream.blocks('process time');
  const processMs = Number(block.int64('process time'));
  const attachments = new Metadata();
  if (header.flag === V1_FLAG.void) {
    return { header, processMs, className: '', value: null, attachments, exception: null };
  }
  const className = block.isAtEnd ? '' : block.text('class name');
  // An object that is not a byte array passes through an agent all the same: it is only not shown here.
  const value = stream.isAtArray() ? stream.argument() : null;
  if (header.flag === V1_FLAG.valueWithAttachments && stream.isAtBlock()) {
    stream.blocks('attachments').attachments(header.innerVersion, attachments);
  }
  const exception =
    header.flag === V1_FLAG.exception
      ? { isBusiness: className === BUSINESS_CLASS, text: value === null ? '' : hessianExceptionText(value) }
      : null;
  return { header, processMs, className, value, attachments, exception };
}

const HEARTBEAT_VALUE = Buffer.concat([Buffer.from([9]), Buffer.from('heartbeat')]);

/** Looks at the value alone, so a service may answer the same: only the id tells (spec wire, B18). */
export function isV1HeartbeatAnswer(response: V1Response): boolean {
  return (
    response.header.flag === V1_FLAG.value &&
    response.className === STRING_CLASS &&
    response.value?.equals(HEARTBEAT_VALUE) === true
  );
}

export function encodeV1HeartbeatAnswer(idHigh: number, idLow: number): Buffer {
  const stream = new ObjectStreamWriter()
    .blocks(int64(0n), encodeTexts([STRING_CLASS]))
    .array(HEARTBEAT_VALUE)
    .done();
  return encodeV1Frame({ innerVersion: 1, flag: V1_FLAG.value, idHigh, idLow }, stream);
}

/** UTF-16 units of an exception's text; longer ones are cut. Far more than a message needs. */
const TEXT_UNITS_MAX = 8_192;

/** Class definition 0, an instance of it with three null fields, class definition 1 and an instance: up to the text. */
const EXCEPTION_HEAD = Buffer.concat([
  Buffer.from('C'),
  encodeHessianString(SERVICE_CLASS),
  Buffer.from([0x96]),
  ...['errorMsg', 'detailMessage', 'cause', 'motanErrorMsg', 'stackTrace', 'suppressedExceptions'].map(
    encodeHessianString,
  ),
  Buffer.from('60', 'hex'),
  Buffer.from('NNNC'),
  encodeHessianString(ERROR_MSG_CLASS),
  Buffer.from([0x93]),
  ...['status', 'errorcode', 'message'].map(encodeHessianString),
  // Instance of class 1; status 503, error code 10001.
  Buffer.from('61c9f7d42711', 'hex'),
]);
const EXCEPTION_TAIL = Buffer.from('NN');
/** Written by the peers, so clients have seen nothing else. */
const EXCEPTION_PROCESS_MS = 2n;

/** The exception that an agent answers with: a service exception for every Java client (spec wire 10.6). */
export function encodeV1Exception(idHigh: number, idLow: number, text: string): Buffer {
  // The peers send nothing at all for an empty text, and Java would show null.
  const message = encodeHessianString(
    text === '' ? 'failure without a message' : text.slice(0, TEXT_UNITS_MAX),
  );
  const stream = new ObjectStreamWriter()
    .blocks(int64(EXCEPTION_PROCESS_MS), encodeTexts([SERVICE_CLASS]))
    .array(Buffer.concat([EXCEPTION_HEAD, message, EXCEPTION_TAIL]))
    .done();
  return encodeV1Frame({ innerVersion: 1, flag: V1_FLAG.exception, idHigh, idLow }, stream);
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigInt64BE(value, 0);
  return bytes;
}
