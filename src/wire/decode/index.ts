export { type DecodeLimits, decodeStream } from './decode-stream.js';
export type { DecodedBody, DecodedFrame, StreamEntry, StreamError } from './decoded-frame.js';
