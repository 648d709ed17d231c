export {
  readV1Header,
  V1_FLAG,
  V1_HEADER_BYTES,
  type V1Header,
  withV1RequestId,
  writeV1RequestId,
} from './frame.js';
export {
  encodeV1Heartbeat,
  encodeV1Request,
  isV1Heartbeat,
  parseV1Request,
  rewriteV1Request,
  V1_SIGNED_SERVICE,
  type V1Request,
} from './request.js';
export {
  encodeV1Exception,
  encodeV1HeartbeatAnswer,
  isV1HeartbeatAnswer,
  parseV1Response,
  type V1Exception,
  type V1Response,
} from './response.js';
