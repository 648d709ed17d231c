/**
 * Requests of Motan v1. What routes is read; arguments stay bytes, because the frame does not say how they are serialized.
 *
 *   with arguments   blocks(service, method, description) | array or null each | blocks(attachments)
 *   without          blocks(service, method, description, attachments)
 *
 * Attachments: count (4 bytes, or 2 in the compressed variant), then key and value each as size (2 bytes) and bytes.
 */
import { Metadata } from '../../core/index.js';
import { encodeV1Frame, readV1Header, type V1Header } from './frame.js';
import {
  type BlockReader,
  encodeAttachments,
  encodeTexts,
  ObjectStreamReader,
  ObjectStreamWriter,
  UNZIPPED_BYTES_MAX,
} from './object-stream.js';

/** Service name of a request that names its method by a signature instead (spec wire 10.8): it cannot be routed. */
export const V1_SIGNED_SERVICE = 'v1compressMethodSign';

/** What Java allows a method to have. */
const ARGUMENTS_MAX = 255;

export interface V1Request {
  readonly header: V1Header;
  /** latin1 bytes-as-text, as everything in a Metadata. `V1_SIGNED_SERVICE` when `isSigned`. */
  readonly service: string;
  /** The signature when `isSigned`. */
  readonly method: string;
  /** Comma list of Java types, `void` for none; empty when `isSigned`. */
  readonly description: string;
  readonly isSigned: boolean;
  /** Content of each argument as a view into the frame (or into the unzipped stream); null for null. */
  readonly arguments: readonly (Buffer | null)[];
  readonly attachments: Metadata;
  /** Service, method and description as they came, without the blocks around them. */
  readonly serviceBytes: Buffer;
  /** The arguments as they came, types and sizes included. */
  readonly argumentBytes: Buffer;
}

/**
 * Reads a whole request frame. Throws ProtocolError with the offset in the frame when a header, the stream or a size in it
 * makes no sense, when a zipped stream grows over `unzippedBytesMax`, and for what is outside the known subset.
 */
export function parseV1Request(frame: Buffer, unzippedBytesMax = UNZIPPED_BYTES_MAX): V1Request {
  const header = readV1Header(frame);
  const stream = new ObjectStreamReader(frame, header, unzippedBytesMax);
  const block = stream.blocks('service block');
  const names = readNames(block);
  const serviceBytes = block.data.subarray(0, block.at);
  const values: (Buffer | null)[] = [];
  const argumentsAt = stream.at;
  let attachmentBlock = block;
  let argumentBytes = stream.bytes.subarray(argumentsAt, argumentsAt);
  if (block.isAtEnd) {
    while (!stream.isAtBlock()) {
      if (stream.isAtEnd) throw stream.error('attachments are missing');
      if (values.length === ARGUMENTS_MAX) throw stream.error(`more than ${ARGUMENTS_MAX} arguments`);
      values.push(stream.argument());
    }
    argumentBytes = stream.bytes.subarray(argumentsAt, stream.at);
    attachmentBlock = stream.blocks('attachments');
  }
  const attachments = new Metadata();
  attachmentBlock.attachments(header.innerVersion, attachments);
  return { header, ...names, arguments: values, attachments, serviceBytes, argumentBytes };
}

/**
 * The request for an upstream: service and arguments as they came, `attachments` (latin1, empty values included) in place of the
 * old ones, both ids replaced, sizes computed anew, long data cut into blocks anew. A zipped stream goes out
 * unzipped, its inner version kept (spec wire 10.4, 10.8). Throws ProtocolError for an attachment over 65535 bytes.
 */
export function encodeV1Request(
  request: V1Request,
  attachments: Iterable<readonly [string, string]>,
  idHigh: number,
  idLow: number,
): Buffer {
  const attachmentBytes = encodeAttachments(attachments, request.header.innerVersion);
  const stream = new ObjectStreamWriter();
  if (request.arguments.length === 0) stream.blocks(request.serviceBytes, attachmentBytes);
  else stream.blocks(request.serviceBytes).raw(request.argumentBytes).blocks(attachmentBytes);
  return encodeV1Frame({ ...request.header, idHigh, idLow }, stream.done());
}

/** `encodeV1Request` for a frame that is not parsed yet. */
export function rewriteV1Request(
  frame: Buffer,
  attachments: Iterable<readonly [string, string]>,
  idHigh: number,
  idLow: number,
): Buffer {
  return encodeV1Request(parseV1Request(frame), attachments, idHigh, idLow);
}

const HEARTBEAT_SERVICE = 'com.weibo.api.motan.rpc.heartbeat';
const HEARTBEAT_METHOD = 'heartbeat';

export function isV1Heartbeat(request: V1Request): boolean {
  return request.service === HEARTBEAT_SERVICE && request.method === HEARTBEAT_METHOD;
}

export function encodeV1Heartbeat(idHigh: number, idLow: number): Buffer {
  const names = encodeTexts([HEARTBEAT_SERVICE, HEARTBEAT_METHOD, 'void']);
  const stream = new ObjectStreamWriter().blocks(names, encodeAttachments([], 1)).done();
  return encodeV1Frame({ innerVersion: 1, flag: 0, idHigh, idLow }, stream);
}

function readNames(block: BlockReader): Pick<V1Request, 'service' | 'method' | 'description' | 'isSigned'> {
  const service = block.text('service');
  const method = block.text('method');
  if (service === '1') return { service: V1_SIGNED_SERVICE, method, description: '', isSigned: true };
  return { service, method, description: block.text('parameter description'), isSigned: false };
}
