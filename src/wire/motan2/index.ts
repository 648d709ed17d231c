export { gunzipBody } from './body.js';
export { exceptionText, parseException } from './exception.js';
export { encodeHeartbeat } from './heartbeat.js';
export { encodeMetadata, PAIRS_MAX, parseMetadata } from './metadata.js';
