/** One Motan v1 frame as a plain object. Arguments and values stay hex: the frame does not say how they are serialized. */
import { ProtocolError } from '../../core/index.js';
import {
  isV1Heartbeat,
  isV1HeartbeatAnswer,
  parseV1Request,
  parseV1Response,
  readV1Header,
  V1_FLAG,
  V1_HEADER_BYTES,
  type V1Header,
} from '../motan1/index.js';
import { type DecodedFrame, hexShown, metadataShown, textShown } from './decoded-frame.js';

/**
 * Throws ProtocolError with an offset in the frame when a header is broken, as an agent closes the connection there. Content
 * that cannot be read is a `bodyError`: the frame's end is known and the connection goes on (spec wire 10.5).
 */
export function decodeV1Frame(frame: Buffer, start: number, unzippedBytesMax: number): DecodedFrame {
  const header = readV1Header(frame);
  const isRequest = header.flag === V1_FLAG.request;
  try {
    return isRequest
      ? decodeRequest(frame, header, start, unzippedBytesMax)
      : decodeResponse(frame, header, start, unzippedBytesMax);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return {
      ...common(header, start, frame.length),
      kind: isRequest ? 'request' : header.flag === V1_FLAG.exception ? 'exception' : 'response',
      metadata: {},
      bodyHex: hexShown(frame.subarray(V1_HEADER_BYTES)),
      bodyError: { error: error.message, offset: Math.max(error.offset - V1_HEADER_BYTES, 0) },
    };
  }
}

function decodeRequest(
  frame: Buffer,
  header: V1Header,
  start: number,
  unzippedBytesMax: number,
): DecodedFrame {
  const request = parseV1Request(frame, unzippedBytesMax);
  return {
    ...common(header, start, frame.length),
    kind: isV1Heartbeat(request) ? 'heartbeat' : 'request',
    service: textShown(request.service),
    method: textShown(request.method),
    description: textShown(request.description),
    metadata: metadataShown(request.attachments),
    body: request.arguments.map((argument) => (argument === null ? null : { $hex: hexShown(argument) })),
  };
}

function decodeResponse(
  frame: Buffer,
  header: V1Header,
  start: number,
  unzippedBytesMax: number,
): DecodedFrame {
  const response = parseV1Response(frame, unzippedBytesMax);
  const { exception } = response;
  return {
    ...common(header, start, frame.length),
    kind: exception !== null ? 'exception' : isV1HeartbeatAnswer(response) ? 'heartbeat' : 'response',
    processMs: response.processMs,
    className: textShown(response.className),
    metadata: metadataShown(response.attachments),
    ...(exception === null
      ? {}
      : { exception: { class: textShown(response.className), message: exception.text } }),
    body: response.value === null ? [] : [{ $hex: hexShown(response.value) }],
  };
}

function common(header: V1Header, start: number, size: number) {
  return {
    protocol: 'motan1',
    requestId: String((BigInt(header.idHigh) << 32n) | BigInt(header.idLow)),
    start,
    size,
    innerVersion: header.innerVersion,
    status: header.flag,
  } as const;
}
